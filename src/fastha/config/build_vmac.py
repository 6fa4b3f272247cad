"""`use_vmac`, `use_ipvlan` and what goes with them -> Device."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable

from fastha.config import values
from fastha.config.item import Item
from fastha.config.placed import Built
from fastha.config.tree import Faults, Place, shown
from fastha.config.words import check_words
from fastha.lean import dataclass, replace
from fastha.model import Device, VirtualAddress, VrrpInstance

WORDS = ("use_vmac", "use_ipvlan", "use_vmac_addr", "vmac_xmit_base", "staged_addresses")
IPVLAN = ("bridge", "private", "vepa")
GROUPS = ("/usr/share/iproute2/group", "/etc/iproute2/group")  # the later one wins
IFNAMSIZ = 15
VMAC = "macvlan"
TWO_KINDS = "cannot have both VMACs and ipvlans"
RESERVED = ["00", "00", "5e", "00"]  # RFC 9568 section 7.3


@dataclass(slots=True)
class Vmac:
    """What an instance says of its interface so far."""

    used: bool = False
    ipvlan: str = ""
    own: str = ""
    addresses: bool = False  # use_vmac_addr
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
        case "use_vmac_addr":
            into.addresses = True
        case _:
            check_words(item, faults)
            if (into.ipvlan and item.name == "use_vmac") or (into.used and item.name == "use_ipvlan"):
                return  # the first one counts: config.references says so
            if item.name == "use_ipvlan":
                into.ipvlan = IPVLAN[0]
            else:
                into.used = True
            _read_words(item, into, faults)


def _read_words(item: Item, into: Vmac, faults: Faults) -> None:
    """[[name] IF] [MAC] [netlink_notify_msg] [group G], or [[name] IF] [ADDR[/LEN]] [bridge|private|vepa] [group G].

    What is wrong with them is said already."""
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
            into.name = into.name or words[index]
        elif into.ipvlan and word in IPVLAN:
            into.ipvlan = word
        elif into.ipvlan and values.parse_address(word.partition("/")[0]) is not None:
            into.own = _own_address(item, index, faults)
        elif ":" in word:
            octets = [octet.lower().zfill(2) for octet in word.split(":")]
            if octets[:4] != RESERVED or len(octets) != 6:
                into.mac = ":".join(octets)
        else:
            into.name = into.name or word  # of two the first, as in keepalived
        index += 1


def _own_address(item: Item, index: int, faults: Faults) -> str:
    """ADDR[/LEN] of an ipvlan; without a length it is whole."""
    text, _, length = item.statement.words[index].partition("/")
    ip = values.parse_address(text)
    assert ip is not None
    if length and not (length.isascii() and length.isdigit() and int(length[:4]) <= ip.max_prefixlen):
        faults.error(item.statement.place(index), f"'{shown(length)}' is not a prefix length (0 to {ip.max_prefixlen})")
        length = ""
    return f"{ip}/{int(length) if length else ip.max_prefixlen}"


def check_device(vmac: Vmac, family: int, at: Callable[[str], Place], faults: Faults) -> None:
    """What its words mean together."""
    if not vmac.ipvlan:
        return
    if not vmac.own and family == 4:
        faults.warning(at("use_ipvlan"), "use_ipvlan without an address stays in FAULT", "use_ipvlan 10.0.0.9/24")
    if vmac.own and (":" in vmac.own) != (family == 6):
        faults.error(at("use_ipvlan"), f"use_ipvlan: {vmac.own} is not IPv{family}, which this instance speaks")
    if vmac.staged:
        faults.error(at("staged_addresses"), "staged_addresses needs use_vmac")
    if vmac.xmit_base:
        faults.warning(at("vmac_xmit_base"), "vmac_xmit_base has no effect: an ipvlan has the address of its base")


def with_vmacs(
    addresses: Iterable[VirtualAddress], vmac: Vmac, interface: str, family: int
) -> tuple[VirtualAddress, ...]:
    """`use_vmac_addr`: those on other interfaces and of the other family have a VMAC, said or not."""

    def elsewhere(a: VirtualAddress) -> bool:
        return (a.dev or interface) != interface or (":" in a.ip) != (family == 6)

    return tuple(replace(a, vmac=True) if vmac.addresses and elsewhere(a) else a for a in addresses)


def _group(word: str) -> int | None:
    """The number of a link group, given as such or by the name that iproute2 has for it."""
    if word.isascii() and word.isdigit() and int(word[:11]) < 1 << 32:
        return int(word)
    found = 0 if word == "default" else None
    for path in GROUPS:
        try:
            with open(path, errors="replace") as file:
                lines = file.read().splitlines()
        except OSError:
            continue
        for line in lines:
            columns = line.partition("#")[0].split()
            if len(columns) == 2 and columns[1] == word and columns[0].isdigit():
                found = int(columns[0])
    return found


def device_of(vmac: Vmac, interface: str, vrid: int, ipv6: bool) -> Device | None:
    """Its name may be empty: see `with_names`. Five octets of an address are completed by the VRID."""
    if vmac.ipvlan:
        return Device(vmac.name, interface, "", vmac.group, ipv6=ipv6, ipvlan=vmac.ipvlan, own=vmac.own)
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
    place = built.spot.place(1)
    for address in built.value.carried:
        if built.value.apart(address) or address.dev not in ("", built.value.interface):
            where = shown(address.dev) if address.dev else "a VMAC of its own"
            faults.error(place, f"staged_addresses: {address.ip} is on {where}, not on the VMAC")
        elif ":" in address.ip:
            faults.error(place, f"staged_addresses: {address.ip}: the kernel forgets IPv6 addresses of what goes down")


def with_names(
    instances: Iterable[Built[VrrpInstance]], prefix: str, address_prefix: str, faults: Faults
) -> list[Built[VrrpInstance]]:
    """Every VMAC with its name: PREFIX.VRID, or PREFIX1.VRID ... if that is taken (IPv6 tries PREFIX6 first). Those of
    addresses come last, with `address_prefix`, one for each interface and family."""
    out = []
    taken: dict[str, Built[VrrpInstance]] = {}
    kinds: dict[str, str] = {}
    instances = list(instances)
    for built in instances:
        vmac = built.value.vmac
        if vmac is not None and vmac.staged:
            _check_staged(built, faults)
        if vmac is not None:
            _check_base(built, kinds, faults)
        if vmac is None or not vmac.name:
            continue
        if vmac.name in taken:
            faults.error(built.spot.place(1), f"use_vmac: {shown(vmac.name)} is the interface of another instance")
        if vmac.name == vmac.base:
            faults.error(built.spot.place(1), f"use_vmac: {shown(vmac.name)} is the interface it would be on")
        taken[vmac.name] = built
    for built in instances:
        instance, vmac = built.value, built.value.vmac
        if vmac is not None and not vmac.name:
            name = _free_name(prefix, instance.vrid, vmac.ipv6, taken)
            if not name:
                faults.error(built.spot.place(1), f"use_vmac: no name can be made with vmac_prefix {shown(prefix)}")
            taken[name] = built
            built = Built(replace(instance, vmac=replace(vmac, name=name)), built.spot)
        out.append(built)
    return [_with_address_vmacs(built, address_prefix, taken, kinds, faults) for built in out]


def _free_name(prefix: str, vrid: int, ipv6: bool, taken: Container[str]) -> str:
    """ "" if there is none."""
    numbers = ["", *(["6"] if ipv6 else []), *map(str, range(1, 256))]
    names = (f"{prefix}{number}.{vrid}" for number in numbers)
    name = next((name for name in names if name not in taken), "")
    return name if len(name) <= IFNAMSIZ else ""


def _with_address_vmacs(
    built: Built[VrrpInstance],
    prefix: str,
    taken: dict[str, Built[VrrpInstance]],
    kinds: dict[str, str],
    faults: Faults,
) -> Built[VrrpInstance]:
    instance = built.value
    vmacs: dict[tuple[str, bool], Device] = {}
    for address in instance.carried:
        base, six = address.dev or instance.interface, ":" in address.ip
        if not address.vmac or (base, six) in vmacs or not instance.apart(address):
            continue
        if kinds.setdefault(base, VMAC) != VMAC:
            faults.error(built.spot.place(1), f"{address.ip}: use_vmac: {shown(base)} {TWO_KINDS}")
        name = _free_name(prefix, instance.vrid, six, taken)
        if not name:
            text = f"{address.ip}: use_vmac: no name can be made with vmac_addr_prefix {shown(prefix)}"
            faults.error(built.spot.place(1), text)
        taken[name] = built
        vmacs[base, six] = Device(name, base, virtual_mac(instance.vrid, six), ipv6=six)
    return Built(replace(instance, address_vmacs=tuple(vmacs.values())), built.spot) if vmacs else built


def _check_base(built: Built[VrrpInstance], kinds: dict[str, str], faults: Faults) -> None:
    """The kernel lets an interface have macvlans or ipvlans, and those of one mode (drivers/net/ipvlan)."""
    vmac = built.value.vmac
    assert vmac is not None
    kind = vmac.ipvlan or VMAC
    other = kinds.setdefault(vmac.base, kind)
    if other != kind:
        modes = f"has ipvlans of mode {other}, and those of one interface have one mode"
        why = TWO_KINDS if VMAC in (kind, other) else modes
        faults.error(built.spot.place(1), f"{'use_ipvlan' if vmac.ipvlan else 'use_vmac'}: {vmac.base} {why}")
