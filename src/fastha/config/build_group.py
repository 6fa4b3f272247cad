"""`virtual_server_group` -> its members.

virtual_server_group NAME {
    10.0.0.1 80                 one address
    10.0.0.1-9 80               up to the last field: decimal for IPv4, hexadecimal for IPv6
    10.0.0.1-10.0.1.9 80        both ends in full
    10.0.0.0/29 80              every address of the network
    fwmark 7 [inet|inet6]
}
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from fastha.config import values
from fastha.config.item import Item
from fastha.config.placed import named_once
from fastha.config.tree import Faults, Spot, Statement, shown
from fastha.lean import dataclass, replace
from fastha.model import GroupMember

MOST_SERVICES = 65_536  # a service of the kernel for each address; more is a job for marks
LAST_FIELD = re.compile(r"(.*[.:])([^.:]+)-([^.:-]+)")
Ip = IPv4Address | IPv6Address


@dataclass(slots=True)
class Group:
    """A group as written. A mark that names no family has family "": each virtual server finds it out."""

    spot: Spot
    members: tuple[GroupMember, ...]
    used: bool = False

    @property
    def families(self) -> set[str]:
        return {m.family for m in self.members} - {""}

    @property
    def port(self) -> int:
        """The one port of all members; 0 where they differ or a mark is among them."""
        ports = {m.port for m in self.members}
        return ports.pop() if len(ports) == 1 else 0

    @property
    def ports(self) -> set[int]:
        """The ports of its addresses."""
        return {m.port for m in self.members if not m.fwmark}

    @property
    def any_port(self) -> bool:
        """Whether some address is served with all its ports."""
        return any(not m.fwmark and not m.port for m in self.members)

    @property
    def only_marks(self) -> bool:
        return all(m.fwmark for m in self.members)

    def settled(self, family: str) -> tuple[GroupMember, ...]:
        """The members for a virtual server whose marks are of `family`."""
        return tuple(m if m.family else replace(m, family=family) for m in self.members)


def build_groups(items: Iterable[Item], faults: Faults) -> dict[str, Group]:
    """All groups by name. A group without a member is there too, so that its users are not called misspelt."""
    out: dict[str, Group] = {}
    for name, statement in named_once("virtual_server_group", items, faults):
        wrong = len(faults)
        members = tuple(m for s in statement.block or [] if (m := _member(s, faults)) is not None)
        if not members and len(faults) == wrong:
            faults.warning(statement.place(), f"virtual_server_group {shown(name)} is empty")
        out[name] = Group(statement.spot(), members)
    return out


def warn_unused(groups: dict[str, Group], faults: Faults) -> None:
    for name, group in groups.items():
        if not group.used:
            faults.warning(group.spot.place(1), f"no virtual_server uses group {shown(name)}")


def _member(statement: Statement, faults: Faults) -> GroupMember | None:
    words = statement.words
    if statement.block is not None:
        faults.error(statement.place(), f"'{shown(words[0])}': no block can stand here")
        return None
    if words[0] == "fwmark":
        return _mark(statement, faults)
    ends = _range(statement, faults)
    port = values.port(statement, 1, faults, low=0) if len(words) > 1 else 0
    _ignored(statement, 2, faults)
    if ends is None or port is None:
        return None
    first, last = ends
    return GroupMember(str(first), str(last), port, family="inet6" if first.version == 6 else "inet")


def _mark(statement: Statement, faults: Faults) -> GroupMember | None:
    words = statement.words
    mark = values.parse_unsigned(words[1]) if len(words) > 1 else None
    if mark is None:
        faults.error(statement.place(1), "fwmark needs a number from 1", "fwmark N [inet|inet6]")
        return None
    family = words[2] if len(words) > 2 else ""
    if family not in ("", "inet", "inet6"):
        faults.error(statement.place(2), f"'{shown(family)}' is neither inet nor inet6")
        return None
    _ignored(statement, 3, faults)
    return GroupMember(fwmark=mark, family=family)


def _ignored(statement: Statement, index: int, faults: Faults) -> None:
    if len(statement.words) > index:
        extra = shown(" ".join(statement.words[index:]))
        faults.warning(statement.place(index), f"'{extra}' is ignored", "one address, range or mark per line")


def _range(statement: Statement, faults: Faults) -> tuple[Ip, Ip] | None:
    word = statement.words[0]
    if "/" in word:
        return _network(statement, faults)
    if "-" not in word:
        ip = values.address(statement, 0, faults)
        return None if ip is None else (ip, ip)
    start, _, end = word.partition("-")
    first, last = values.parse_address(start), values.parse_address(end)
    if first is not None and last is None and (short := LAST_FIELD.fullmatch(word)):
        last = _last_field(first, short[3])
    if first is None or last is None or first.version != last.version:
        faults.error(
            statement.place(), f"'{shown(word)}' is not a range of addresses",
            "10.0.0.1-9, 10.0.0.1-10.0.1.9 or 10.0.0.0/29; IPv6 counts its last field in hexadecimal",
        )  # fmt: skip
        return None
    if int(last) <= int(first):
        faults.error(statement.place(), f"the range '{shown(word)}' ends before it begins")
        return None
    return first, last


def _last_field(first: Ip, text: str) -> Ip | None:
    """The address with its last field replaced; None if the text is no such field."""
    digits, base, bits = (r"\d{1,3}", 10, 8) if first.version == 4 else (r"[0-9a-fA-F]{1,4}", 16, 16)
    if not re.fullmatch(digits, text, re.A) or int(text, base) >= 1 << bits:
        return None
    return ip_address(first.packed[: -bits // 8] + int(text, base).to_bytes(bits // 8, "big"))


def _network(statement: Statement, faults: Faults) -> tuple[Ip, Ip] | None:
    word = statement.words[0]
    address, _, length = word.partition("/")
    ip = values.parse_address(address)
    if ip is None or not re.fullmatch(r"\d{1,3}", length, re.A) or not int(length) <= ip.max_prefixlen:
        faults.error(statement.place(), f"'{shown(word)}' is not a network")
        return None
    network = ip_network(f"{ip}/{length}", strict=False)
    if network.network_address != ip:
        faults.error(statement.place(), f"'{word}' has bits behind its prefix", f"did you mean {network}?")
        return None
    return network[0], network[-1]
