"""VRRP over IPv6 as configured: the addresses say so, and what does not fit is told with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastha.config.load import load
from fastha.model import VrrpInstance


def built(folder: Path, *lines: str) -> tuple[VrrpInstance | None, list[str]]:
    path = folder / "vi.conf"
    inside = "\n".join(("interface eth0", "virtual_router_id 7", *lines))
    path.write_text(f"vrrp_instance vi {{\n{inside}\n}}\n")
    loaded = load(str(path))
    return next(iter(loaded.config.instances), None), [fault.message for fault in loaded.faults]


@pytest.mark.parametrize(
    ("lines", "family", "version"),
    [
        (["virtual_ipaddress { 10.0.0.1 }"], 4, 2),
        (["virtual_ipaddress { fe80::1 }"], 6, 3),
        (["virtual_ipaddress { fe80::1 }", "version 3"], 6, 3),
        (["virtual_ipaddress { fe80::1 2001:db8::1/64 }", "virtual_ipaddress_excluded { 10.0.0.1 }"], 6, 3),
        (["virtual_ipaddress { 10.0.0.1 }", "virtual_ipaddress_excluded { 2001:db8::1 }", "version 3"], 4, 3),
        (["virtual_ipaddress { fe80::1 }", "unicast_src_ip fd00::1", "unicast_peer { fd00::2 }"], 6, 3),
    ],
)
def test_addresses_say_what_is_spoken(tmp_path: Path, lines: list[str], family: int, version: int) -> None:
    instance, faults = built(tmp_path, *lines)
    assert faults == []
    assert instance is not None
    assert (instance.family, instance.version) == (family, version)
    assert [":" in a.ip for a in instance.addresses] == [family == 6] * len(instance.addresses)
    assert {a.prefixlen for a in instance.carried} <= {32, 64, 128}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["virtual_ipaddress { fe80::1 }", "version 2"], "VRRP over IPv6 is version 3, which is used"),
        (["virtual_ipaddress { fe80::1 10.0.0.1 }"], "10.0.0.1 is not IPv6, which this instance speaks"),
        (["virtual_ipaddress { 10.0.0.1 fe80::1 }"], "fe80::1 is not IPv4, which this instance speaks"),
        (["virtual_ipaddress { fe80::1 }", "unicast_peer { 10.0.0.2 }"], "10.0.0.2 is not IPv6"),
        (
            ["virtual_ipaddress { 10.0.0.1 }", "unicast_src_ip fd00::1", "unicast_peer { 10.0.0.2 }"],
            "fd00::1 is not IPv4",
        ),
        (
            ["virtual_ipaddress { fe80::1 }", "authentication {", "auth_type PASS", "auth_pass secret", "}"],
            "VRRP version 3 has no authentication; it is ignored",
        ),
    ],
)
def test_what_does_not_fit_is_said(tmp_path: Path, lines: list[str], message: str) -> None:
    _, faults = built(tmp_path, *lines)
    assert [fault for fault in faults if fault.startswith(message)], faults


def test_both_families_may_have_one_vrid_on_one_interface(tmp_path: Path) -> None:
    path = tmp_path / "both.conf"
    path.write_text(
        "".join(
            f"vrrp_instance {name} {{\ninterface eth0\nvirtual_router_id 7\nversion 3\n"
            f"virtual_ipaddress {{ {ip} }}\n}}\n"
            for name, ip in (("four", "10.0.0.1"), ("six", "fe80::1"))
        )
    )
    loaded = load(str(path))
    assert list(loaded.faults) == []
    assert len({i.identity for i in loaded.config.instances}) == 2
