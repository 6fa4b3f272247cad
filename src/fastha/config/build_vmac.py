"""`use_vmac` and what goes with it -> Device."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fastha.config.placed import Built
from fastha.config.shape import Item
from fastha.config.tree import Faults, shown
from fastha.config.words import check_words
from fastha.lean import dataclass, replace
from fastha.model import Device, VrrpInstance

WORDS = ("use_vmac", "vmac_xmit_base", "staged_addresses")
GROUPS = ("/usr/share/iproute2/group", "/etc/iproute2/group")  # the later one wins
IFNAMSIZ = 15
RESERVED = ["00", "00", "5e", "00"]  # RFC 9568 section 7.3


@dataclass(slots=True)
class Vmac:
    """What an instance says of its interface so far."""

    used: bool = False
    name: str = ""
    mac: str = ""
    group: int = -1
    xmit_base: bool = False
    staged: bool = False


def read_vmac(item: Item, into: Vmac, faults: Faults) -> None:
    """One of WORDS."""
    match item.name:
        case "vmac_xmit_base":
            into.xmit_base = True
        case "staged_addresses":
            into.staged = True
        case _:
            check_words(item, faults)
            into.used = True
            _read_words(item, into, faults)


def _read_words(item: Item, into: Vmac, faults: Faults) -> None:
    """[[name] IF] [MAC] [netlink_notify_msg] [group G]; what is wrong with them is said already."""
    words = item.statement.words
    index = 1
    while index < len(words):
        word = words[index]
        if word == "netlink_notify_msg":
            faults.warning(item.statement.place(index), "netlink_notify_msg has no effect: a VMAC is always announced")
        elif word == "group" and index + 1 < len(words):
            index += 1
            if (group := _group(words[index])) is None:
                faults.error(item.statement.place(index), f"there is no link group '{shown(words[index])}'")
            else:
                into.group = group
        elif word == "name" and index + 1 < len(words):
            index += 1
            into.name = words[index]
        elif ":" in word:
            octets = [octet.lower().zfill(2) for octet in word.split(":")]
            if octets[:4] != RESERVED or len(octets) != 6:
                into.mac = ":".join(octets)
        else:
            into.name = word
        index += 1


def _group(word: str) -> int | None:
    """The number of a link group, given as such or by the name that iproute2 has for it."""
    if word.isascii() and word.isdigit() and int(word[:11]) < 1 << 32:
        return int(word)
    found = 0 if word == "default" else None
    for path in map(Path, GROUPS):
        try:
            lines = path.read_text(errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            columns = line.partition("#")[0].split()
            if len(columns) == 2 and columns[1] == word and columns[0].isdigit():
                found = int(columns[0])
    return found


def device_of(vmac: Vmac, interface: str, vrid: int, ipv6: bool) -> Device | None:
    """Its name may be empty: see `with_names`. Five octets of an address are completed by the VRID."""
    if not vmac.used:
        return None
    mac = vmac.mac or virtual_mac(vrid, ipv6)
    if mac.count(":") == 4:
        mac += f":{vrid:02x}"
    return Device(vmac.name, interface, mac, vmac.group, vmac.xmit_base, vmac.staged, ipv6)


def virtual_mac(vrid: int, ipv6: bool) -> str:
    """RFC 9568 section 7.3."""
    return f"00:00:5e:00:0{2 if ipv6 else 1}:{vrid:02x}"


def _check_staged(built: Built[VrrpInstance], faults: Faults) -> None:
    """They are in place before they are wanted, so they must be where nobody can reach them: on a VMAC that is down."""
    place = built.statement.place(1)
    for address in built.value.carried:
        if address.dev:
            faults.error(place, f"staged_addresses: {address.ip} is on {shown(address.dev)}, not on the VMAC")
        elif ":" in address.ip:
            faults.error(place, f"staged_addresses: {address.ip}: the kernel forgets IPv6 addresses of what goes down")


def with_names(instances: Iterable[Built[VrrpInstance]], prefix: str, faults: Faults) -> list[Built[VrrpInstance]]:
    """Every VMAC with its name: PREFIX.VRID, or PREFIX1.VRID ... if that is taken (IPv6 tries PREFIX6 first)."""
    out = []
    taken: dict[str, Built[VrrpInstance]] = {}
    instances = list(instances)
    for built in instances:
        vmac = built.value.vmac
        if vmac is not None and vmac.staged:
            _check_staged(built, faults)
        if vmac is None or not vmac.name:
            continue
        if vmac.name in taken:
            faults.error(built.statement.place(1), f"use_vmac: {shown(vmac.name)} is the interface of another instance")
        if vmac.name == vmac.base:
            faults.error(built.statement.place(1), f"use_vmac: {shown(vmac.name)} is the interface it would be on")
        taken[vmac.name] = built
    for built in instances:
        instance, vmac = built.value, built.value.vmac
        if vmac is not None and not vmac.name:
            numbers = ["", *(["6"] if vmac.ipv6 else []), *map(str, range(1, 256))]
            names = (f"{prefix}{number}.{instance.vrid}" for number in numbers)
            name = next((name for name in names if name not in taken), "")
            if not name or len(name) > IFNAMSIZ:
                faults.error(
                    built.statement.place(1), f"use_vmac: no name can be made with vmac_prefix {shown(prefix)}"
                )
            taken[name] = built
            built = Built(replace(instance, vmac=replace(vmac, name=name)), built.statement)
        out.append(built)
    return out
