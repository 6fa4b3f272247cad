"""Signed adverts on a real wire: `auth_type AH` beside Debian's keepalived in both roles, `auth_hmac` among ourselves
(keepalived has it since 2.4), a wrong key, and a replacement that peers go on believing.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

import need
from fastha.lab.network import Network
from fastha.model import Auth, Hmac, HmacKey, VirtualAddress
from fastha.model.units import NS_PER_S
from netns.vrrp_director import Director, Keepalived, directors, has_vip, instance, keepalived_conf

pytestmark = [pytest.mark.root]
KEY = HmacKey(1, bytes(range(32)).hex())
HMAC = Hmac((KEY,), 1)
SLACK = 5.0


def beside_keepalived(unicast: bool) -> None:
    down = 4.0
    more = "unicast_src_ip 10.9.0.2\n unicast_peer {\n 10.9.0.1\n }" if unicast else ""
    more += "\nauthentication {\n auth_type AH\n auth_pass secret\n}\n"
    both = {
        "version": 2, "advert_int_ns": NS_PER_S, "auth": Auth("ah", "secret"),
        "unicast_src": "10.9.0.1" if unicast else "", "unicast_peers": ("10.9.0.2",) if unicast else (),
    }  # fmt: skip
    with Network() as net:
        a, b = directors(net)
        with Director.start(a, instance(priority=150, **both)) as us:
            them = Keepalived(b, net.folder, keepalived_conf(100, version=2, advert_int="1", more=more))
            us.until_role("master", deadline_s=2 * down + SLACK)
            us.until(lambda: us.router()["sent"] >= 6, "we speak", 2 * down + SLACK)
            assert has_vip(a)
            assert not them.has(), them.log.read_text()
            us.kill()
            need.wait_until(them.has, down + SLACK, "keepalived takes over")
        with Director.start(a, instance(priority=150, **both)) as us:
            us.until_role("master", deadline_s=2 * down + SLACK)
            need.wait_until(lambda: not them.has(), down + SLACK, "keepalived yields")
            assert us.router()["discarded"] == {}
            assert us.stop() == 0
            need.wait_until(them.has, down + SLACK, "keepalived hears our goodbye")
        them.stop()
        them = Keepalived(b, net.folder, keepalived_conf(200, version=2, advert_int="1", more=more))
        need.wait_until(them.has, 2 * down + SLACK, "keepalived is master")
        with Director.start(a, instance(priority=150, **both)) as us:
            us.until(lambda: us.router().get("received", 0) >= 4, "we hear it", 2 * down + SLACK)
            assert us.router()["state"] == "backup"
            assert us.router()["discarded"] == {}
            them.kill()
            us.until_role("master", deadline_s=down + SLACK)
            b.ip("addr del 10.9.0.100/32 dev eth0")
            them = Keepalived(b, net.folder, keepalived_conf(200, version=2, advert_int="1", more=more))
            us.until_role("backup", deadline_s=2 * down + SLACK)  # it has begun at 1 again, and heard us
            them.process.terminate()
            us.until_role("master", deadline_s=down + SLACK)
            assert us.router()["zero_received"] >= 1
            them.process.wait(10)
            assert us.stop() == 0


def test_ah_beside_keepalived() -> None:
    need.tool("keepalived")
    need.kernel("veth", "bridge")
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(beside_keepalived, unicast) for unicast in (False, True)]:
            done.result()


@pytest.mark.parametrize("kind", ["ah", "hmac", "hmac over IPv6"])
def test_a_replacement_is_believed_and_another_key_is_not(kind: str) -> None:
    need.kernel("veth", "bridge")
    signed = {"auth": Auth("ah", "secret"), "version": 2, "advert_int_ns": NS_PER_S} if kind == "ah" else {"hmac": HMAC}
    if kind == "hmac over IPv6":
        signed |= {"family": 6, "addresses": (VirtualAddress("fe80::100", 128),)}
    wrong = {
        **signed,
        **({"auth": Auth("ah", "guess")} if kind == "ah" else {"hmac": Hmac((HmacKey(1, 64 * "e"),), 1)}),
    }
    with Network() as net:
        a, b = directors(net)
        with Director.start(a, instance(priority=200, **signed)) as us:
            us.until_role("master", deadline_s=10)
            with Director.start(b, instance(priority=100, **signed)) as peer:
                peer.until(lambda: peer.router().get("received", 0) >= 3, "it hears", 10)
                assert peer.router()["state"] == "backup"
                us.poll()
                us.kill()
                with us.replacement(instance(priority=200, **signed)) as again:
                    again.until_role("master", deadline_s=10)
                    heard = peer.router()["received"]
                    peer.until(lambda: peer.router()["received"] >= heard + 3, "it goes on hearing", 10)
                    assert peer.router()["discarded"] == {}
                    peer.configure(instance(priority=100, **wrong))
                    peer.until(lambda: peer.router()["discarded"].get("auth_digest", 0) >= 2, "a wrong key", 10)
