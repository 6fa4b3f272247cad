"""`strict_mode`, `no_virtual_ipaddress` and `native_ipv6`.

What keepalived 2.2.7 makes of the same lines was observed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastha.config.dump import dump
from fastha.config.load import load
from fastha.errors import Severity
from fastha.model import Auth, Config, VrrpInstance

Build = Callable[[str], tuple[VrrpInstance, list[str]]]
VIP = "virtual_ipaddress {\n10.0.0.1\n}"


@pytest.fixture
def build(tmp_path: Path) -> Build:
    def one(inside: str, globals_: str = "") -> tuple[VrrpInstance, list[str]]:
        path = tmp_path / "x.conf"
        path.write_text(
            f"global_defs {{\n{globals_}\n}}\nvrrp_instance a {{\ninterface eth0\nvirtual_router_id 7\n{inside}\n}}\n"
        )
        loaded = load(str(path))
        assert all(f.severity is Severity.WARNING for f in loaded.faults), loaded.faults
        (instance,) = loaded.config.instances
        path.write_text(dump(Config(instances=(instance,))))
        again = load(str(path))
        assert again.config.instances == (instance,), "read back"
        return instance, [f.message for f in loaded.faults]

    return one


def test_what_it_changes_by_itself(build: Build) -> None:
    instance, said = build(f"strict_mode\npriority 100\n{VIP}")
    assert said == []
    assert not instance.accept
    assert instance.lower_prio_no_advert
    assert (instance.garp.lower_prio_repeat, instance.garp.lower_prio_delay_ns) == (0, 0)
    assert build(f"strict_mode\npriority 255\n{VIP}")[0].accept
    assert build(f"strict_mode\nversion 3\naccept\n{VIP}")[0].accept
    assert build(f"strict_mode off\n{VIP}")[0].accept


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("state MASTER\npriority 100", "wants_master", False),
        ("state BACKUP\npriority 255", "wants_master", True),
        ("authentication {\nauth_type PASS\nauth_pass foo\n}", "auth", Auth()),
        ("preempt_delay 5", "preempt_delay_ns", 0),
        ("down_timer_adverts 4", "down_timer_adverts", 3),
        ("accept", "accept", False),
        ("lower_prio_no_advert off", "lower_prio_no_advert", True),
        ("higher_prio_send_advert", "higher_prio_send_advert", False),
        ("unicast_peer {\n10.0.0.9\n}", "unicast_peers", ("10.0.0.9",)),
    ],
)
def test_what_it_corrects(build: Build, line: str, field: str, value: Any) -> None:
    instance, said = build(f"strict_mode\nversion 2\n{line}\n{VIP}")
    assert getattr(instance, field) == value
    assert len(said) == 1
    assert said[0].startswith("strict_mode: ")


def test_what_else_it_corrects(build: Build) -> None:
    key = 32 * "a"
    hmac = f"auth_hmac {{\nkey 1 {key}\nactive_key 1\nmode permissive\n}}"
    instance, said = build(f"strict_mode\nversion 3\n{hmac}\n{VIP}")
    assert instance.hmac is not None
    assert (instance.hmac.mode, len(said)) == ("enforce", 1)
    instance, said = build(f"strict_mode\nuse_vmac v1 02:00:00:00:00:01\nvmac_xmit_base\n{VIP}")
    assert instance.vmac is not None
    assert (instance.vmac.mac, instance.vmac.xmit_base, len(said)) == ("00:00:5e:00:01:07", False, 2)
    _, said = build(f"strict_mode\ngarp_lower_prio_repeat 2\ngarp_lower_prio_delay 2\n{VIP}")
    assert len(said) == 2
    _, said = build("strict_mode\nvirtual_ipaddress {\n2001:db8::1\nfe80::1\n}")
    assert said == ["strict_mode: 2001:db8::1 is first, which should be link-local"]


def test_all_instances_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.conf"
    one = "vrrp_instance N {\ninterface eth0\nvirtual_router_id N\nMORE\nvirtual_ipaddress {\n10.0.0.N\n}\n}\n"
    path.write_text(
        one.replace("N", "1").replace("MORE", "")
        + one.replace("N", "2").replace("MORE", "strict_mode no")
        + "global_defs {\nvrrp_strict\n}\n"
    )
    assert [i.strict_mode for i in load(str(path)).config.instances] == [True, False]


@pytest.mark.parametrize(
    ("inside", "refused"),
    [
        ("version 3", True),
        ("version 3\nno_virtual_ipaddress", False),
        ("version 2\nno_virtual_ipaddress", False),
        ("version 2", False),
        ("version 2\nstrict_mode", True),
        ("version 3\nno_virtual_ipaddress\nstrict_mode", True),
        ("native_ipv6\nvirtual_ipaddress {\n10.0.0.1\n}", True),
        ("native_ipv6", True),
    ],
)
def test_there_must_be_an_address_unless_said(tmp_path: Path, inside: str, refused: bool) -> None:
    path = tmp_path / "x.conf"
    path.write_text(f"vrrp_instance a {{\ninterface eth0\nvirtual_router_id 7\n{inside}\n}}\n")
    loaded = load(str(path))
    assert any(f.severity is Severity.ERROR for f in loaded.faults) is refused
    if "no_virtual" in inside and not refused:
        assert loaded.faults == ()


def test_what_it_speaks_without_an_address(build: Build) -> None:
    for line, family in (
        ("native_ipv6", 6),
        ("", 4),
        ("unicast_src_ip fe80::1\nunicast_peer {\nfe80::2\n}", 6),
        ("mcast_dst_ip ff02::77", 6),
        ("virtual_ipaddress_excluded {\n2001:db8::1\n}", 4),
    ):
        instance, said = build(f"version 3\nno_virtual_ipaddress\n{line}")
        assert (instance.family, instance.version, instance.addresses, said) == (family, 3, (), [])


def test_a_group_speaks_for_members_that_do_not_say_it(tmp_path: Path) -> None:
    """`notify_priority_changes`; of keepalived 2.2.7 its FIFO told."""
    path = tmp_path / "x.conf"
    one = "vrrp_instance N {\ninterface eth0\nvirtual_router_id N\nMORE\nvirtual_ipaddress {\n10.0.0.N\n}\n}\n"
    path.write_text(
        one.replace("N", "1").replace("MORE", "")
        + one.replace("N", "2").replace("MORE", "notify_priority_changes off")
        + "vrrp_sync_group g {\ngroup {\n1\n2\n}\nnotify_priority_changes\n}\n"
    )
    assert [i.notify_priority for i in load(str(path)).config.instances] == [True, False]
