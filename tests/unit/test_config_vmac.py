"""use_vmac and use_ipvlan in all their forms, VMACs of addresses, and the names that all of them get."""

from __future__ import annotations

import pytest

from fastha.config.build import build
from fastha.config.expand import Environment
from fastha.config.keywords import SCRIPT_WORDS
from fastha.config.reader import read
from fastha.errors import Severity
from fastha.model import Device
from unit.test_config_effects import Text


def built(*lines: str, top: str = "", vip: str = "10.0.0.7") -> tuple[list[Device | None], list[str]]:
    """The devices of instances that say these lines, with VRID 7 on eth0, eth1 ..., and all errors."""
    text = top
    for i, line in enumerate(lines):
        text += f"vrrp_instance i{i} {{\ninterface eth{i}\nvirtual_router_id 7\n{line}\n"
        text += f"virtual_ipaddress {{\n{vip}\n}}\n}}\n"
    config, faults = build(read("x", Text(text), SCRIPT_WORDS, Environment("x")))
    errors = [f"{f.line}: {f.message}" for f in faults if f.severity is Severity.ERROR]
    return [i.vmac for i in config.instances], errors


@pytest.mark.parametrize(
    ("line", "device"),
    [
        ("use_vmac", Device("vrrp.7", "eth0", "00:00:5e:00:01:07")),
        ("use_vmac mine", Device("mine", "eth0", "00:00:5e:00:01:07")),
        ("use_vmac name mine", Device("mine", "eth0", "00:00:5e:00:01:07")),
        ("use_vmac 2:0:0:0:0:A", Device("vrrp.7", "eth0", "02:00:00:00:00:0a")),
        ("use_vmac mine 02:00:00:00:01", Device("mine", "eth0", "02:00:00:00:01:07")),
        ("use_vmac mine 00:00:5e:00:01:09", Device("mine", "eth0", "00:00:5e:00:01:07")),
        ("use_vmac netlink_notify_msg group 9", Device("vrrp.7", "eth0", "00:00:5e:00:01:07", 9)),
        ("use_vmac group default", Device("vrrp.7", "eth0", "00:00:5e:00:01:07", 0)),
        ("use_vmac\nvmac_xmit_base", Device("vrrp.7", "eth0", "00:00:5e:00:01:07", xmit_base=True)),
        ("use_vmac\nstaged_addresses", Device("vrrp.7", "eth0", "00:00:5e:00:01:07", staged=True)),
        ("vmac_xmit_base", None),
        ("", None),
    ],
)
def test_forms(line: str, device: Device | None) -> None:
    assert built(line) == ([device], [])


@pytest.mark.parametrize(
    ("line", "device"),
    [
        ("use_ipvlan 10.0.0.9", Device("vrrp.7", "eth0", "", ipvlan="bridge", own="10.0.0.9/32")),
        ("use_ipvlan mine 10.0.0.9/24 vepa", Device("mine", "eth0", "", ipvlan="vepa", own="10.0.0.9/24")),
        (
            "use_ipvlan name mine group 9 private 10.0.0.9/24",
            Device("mine", "eth0", "", 9, ipvlan="private", own="10.0.0.9/24"),
        ),
    ],
)
def test_ipvlan(line: str, device: Device) -> None:
    assert built(line) == ([device], [])


def test_ipvlan_of_ipv6_needs_no_address() -> None:
    device = Device("vrrp.7", "eth0", "", ipv6=True, ipvlan="bridge")
    assert built("use_ipvlan", vip="fe80::100") == ([device], [])


VIPS = """10.0.0.7
10.0.1.7 dev eth1{0}
10.0.0.8 dev eth0
}}
virtual_ipaddress_excluded {{
2001:db8::7{0}
10.0.1.8 dev eth1"""


def carried(line: str, more: str = "", top: str = "") -> dict[str, str]:
    """Each address and the interface it is on."""
    text = f"{top}vrrp_instance i {{\ninterface eth0\nvirtual_router_id 7\n{line}\n"
    text += f"virtual_ipaddress {{\n{VIPS.format(more)}\n}}\n}}\n"
    config, faults = build(read("x", Text(text), SCRIPT_WORDS, Environment("x")))
    assert not [f for f in faults if f.severity is Severity.ERROR]
    (instance,) = config.instances
    names = {d.name: (d.base, d.mac) for d in instance.address_vmacs}
    assert set(names.values()) <= {
        ("eth0", "00:00:5e:00:02:07"),
        ("eth1", "00:00:5e:00:01:07"),
        ("eth0", "00:00:5e:00:01:07"),
    }
    return {a.ip: instance.dev_of(a) for a in instance.carried}


@pytest.mark.parametrize(
    ("line", "more", "devs"),
    [
        ("", "", ["eth0", "eth1", "eth0", "eth0", "eth1"]),
        ("use_vmac", "", ["vrrp.7", "eth1", "vrrp.7", "vrrp.7", "eth1"]),
        ("use_vmac\nuse_vmac_addr", "", ["vrrp.7", "vrrp1.7", "vrrp.7", "vrrp6.7", "vrrp1.7"]),
        ("use_vmac", " use_vmac", ["vrrp.7", "vrrp1.7", "vrrp.7", "vrrp6.7", "eth1"]),
        ("", " use_vmac", ["eth0", "vrrp.7", "eth0", "vrrp6.7", "eth1"]),
        ("use_vmac_addr", "", ["eth0", "vrrp.7", "eth0", "vrrp6.7", "vrrp.7"]),
        ("use_ipvlan 10.0.0.9/24", " use_vmac", ["eth0", "vrrp1.7", "eth0", "eth0", "eth1"]),
    ],
)
def test_vmacs_of_addresses(line: str, more: str, devs: list[str]) -> None:
    """As keepalived 2.2.7 places and names them (netns/test_vrrp_vmac_addresses.py looks)."""
    assert list(carried(line, more).values()) == devs


@pytest.mark.parametrize(
    ("words", "name"), [("vmac_prefix v", "v.7"), ("vmac_prefix v\nvmac_addr_prefix w", "w.7"), ("", "vrrp.7")]
)
def test_prefix_of_vmacs_of_addresses(words: str, name: str) -> None:
    assert carried("", " use_vmac", f"global_defs {{\n{words}\n}}\n")["10.0.1.7"] == name


def test_names_are_made_unique() -> None:
    devices, errors = built(
        "use_vmac", "use_vmac", "use_vmac vrrp.7", "use_vmac", top="global_defs {\nvmac_prefix v\n}\n"
    )
    assert [d and d.name for d in devices] == ["v.7", "v1.7", "vrrp.7", "v2.7"]
    assert not errors


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (("use_vmac one", "use_vmac one"), "9: use_vmac: one is the interface of another instance"),
        (("use_vmac one two", "use_vmac two"), "4: use_vmac: a second name, 'two'"),  # and no other
        (("use_vmac eth0",), "1: use_vmac: eth0 is the interface it would be on"),
        (("use_vmac group nosuch",), "4: there is no link group 'nosuch'"),
        (("use_ipvlan 10.0.0.9/33",), "4: '33' is not a prefix length (0 to 32)"),
        (("use_ipvlan 2001:db8::9/64",), "4: use_ipvlan: 2001:db8::9/64 is not IPv4, which this instance speaks"),
        (("use_ipvlan 10.0.0.9\nstaged_addresses",), "5: staged_addresses needs use_vmac"),
        (
            ("use_vmac", "use_ipvlan 10.0.0.9\ninterface eth0"),
            "9: use_ipvlan: eth0 cannot have both VMACs and ipvlans",
        ),
        (
            ("use_ipvlan one 10.0.0.8 vepa", "use_ipvlan two 10.0.0.9\ninterface eth0"),
            "9: use_ipvlan: eth0 has ipvlans of mode vepa, and those of one interface have one mode",
        ),
    ],
)
def test_mistakes(lines: tuple[str, ...], error: str) -> None:
    assert error in built(*lines)[1]


def test_a_prefix_that_leaves_no_room() -> None:
    _, errors = built("use_vmac", top="global_defs {\nvmac_prefix longer_than_that\n}\n")
    assert "use_vmac: no name can be made with vmac_prefix longer_than_that" in errors[0]


def test_staged_addresses_are_all_on_the_vmac() -> None:
    _, errors = built("use_vmac\nstaged_addresses", vip="10.0.0.7 dev eth9")
    assert errors == ["1: staged_addresses: 10.0.0.7 is on eth9, not on the VMAC"]


@pytest.mark.parametrize(
    ("lines", "vrf", "told"),
    [
        ("vrf blue\nunicast_peer {\n10.0.0.2\n}", True, []),
        ("vrf blue\ninterface eth0", False, ["vrf has no effect with interface"]),
        ("vrf blue", True, ["vrf is for unicast: multicast needs an interface"]),
        (
            "vrf blue\nunicast_peer {\n10.0.0.2\n}\nuse_vmac",
            True,
            [
                "with unicast, use_vmac sends from the interface itself",
                "use_vmac and use_ipvlan need an interface, which a VRF is not",
            ],
        ),
    ],
)
def test_a_vrf_in_place_of_an_interface(lines: str, vrf: bool, told: list[str]) -> None:
    text = f"vrrp_instance i {{\nvirtual_router_id 7\n{lines}\nvirtual_ipaddress {{\n10.0.0.7 dev eth0\n}}\n}}\n"
    config, faults = build(read("x", Text(text), SCRIPT_WORDS, Environment("x")))
    assert sorted(f.message for f in faults) == sorted(told)
    (instance,) = config.instances
    assert (instance.interface, instance.vrf) == ("blue" if vrf else "eth0", vrf)
