"""use_vmac in all its forms, and the names that VMACs get."""

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
        (("use_vmac eth0",), "1: use_vmac: eth0 is the interface it would be on"),
        (("use_vmac group nosuch",), "4: there is no link group 'nosuch'"),
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
