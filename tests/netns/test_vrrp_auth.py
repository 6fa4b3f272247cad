"""Signed adverts on a real wire: a wrong key, and a replacement that peers go on believing. The matrices have the rest:
test_vrrp_matrix.py (`auth_type AH` beside keepalived), test_vrrp_matrix_hmac.py.
"""

from __future__ import annotations

import pytest

import need
from fastha.lab.network import Network
from fastha.model import Auth, Hmac, HmacKey, VirtualAddress
from fastha.model.units import NS_PER_S
from netns.vrrp_director import Director, directors, instance

pytestmark = [pytest.mark.root]
KEY = HmacKey(1, bytes(range(32)).hex())
HMAC = Hmac((KEY,), 1)


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
