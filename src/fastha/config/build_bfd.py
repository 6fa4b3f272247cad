"""`bfd_instance` -> BfdInstance, and `BFD_CHECK` -> BfdCheck."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from fastha.config import values
from fastha.config.inherit import Timing
from fastha.config.item import Item
from fastha.config.near import meant
from fastha.config.placed import Built, first_at
from fastha.config.shape import items
from fastha.config.tree import Faults, Marks, Statement, shown
from fastha.errors import Severity
from fastha.model import BfdCheck, BfdInstance, VirtualServer
from fastha.model.units import NS_PER_MS, NS_PER_S, NS_PER_US

NAME_BYTES = 31
MOST_NS = 4_294_967 * NS_PER_MS  # 32 bits of microseconds, RFC 5880 section 4.1
UNUSUAL_NS = 10 * NS_PER_S
UNUSUAL_MULTIPLIER = 10
TTL = 255  # RFC 5881 section 5
KEEPALIVED_HOPLIMIT = 64  # what keepalived sends over IPv6 unless told otherwise


def build_bfds(blocks: Iterable[Item], faults: Faults) -> dict[str, BfdInstance]:
    """The sessions by name; of two with the same name or the same neighbour the second one is an error."""
    out: list[BfdInstance] = []
    marks = Marks()  # of those
    numbers: dict[str, int] = {}  # name -> which it is
    taken = _Neighbours(out)
    for item in blocks:
        bfd = _instance(item, faults)
        if bfd is None:
            continue
        statement = item.statement
        if bfd.name in numbers:
            where = first_at(marks.statement(numbers[bfd.name]).place(), statement.place())
            faults.error(statement.place(1), f"bfd_instance {shown(bfd.name)} is there already", f"first at {where}")
            continue
        if (other := taken.meets(bfd)) is not None:
            where = first_at(marks.statement(other).place(), statement.place())
            faults.error(
                statement.place(1),
                f"bfd_instance {shown(bfd.name)} has the same neighbour as {shown(out[other].name)}",
                f"at {where}; with a source_ip each they can be told apart",
            )
            continue
        number = numbers[bfd.name] = len(out)
        taken.add(bfd, number)
        out.append(bfd)
        marks.add(statement)
    return {bfd.name: bfd for bfd in out}


class _Neighbours:
    """Which session has a neighbour."""

    def __init__(self, sessions: Sequence[BfdInstance]) -> None:
        self._sessions = sessions
        self._first: tuple[dict[str, int], dict[str, int]] = {}, {}  # without and with multihop: neighbour -> session
        self._more: dict[tuple[str, bool, str], int] = {}  # others of a neighbour: they have a source_ip each

    def add(self, bfd: BfdInstance, number: int) -> None:
        if self._first[bfd.multihop].setdefault(bfd.neighbor_ip, number) != number:
            self._more[bfd.neighbor_ip, bfd.multihop, bfd.source_ip] = number

    def meets(self, bfd: BfdInstance) -> int | None:
        """The first of those with its neighbour that a packet for it could be for, too: one of the same source, or
        either of them without."""
        first = self._first[bfd.multihop].get(bfd.neighbor_ip)
        if first is None or not bfd.source_ip or self._sessions[first].source_ip in ("", bfd.source_ip):
            return first
        return self._more.get((bfd.neighbor_ip, bfd.multihop, bfd.source_ip))


def _instance(item: Item, faults: Faults) -> BfdInstance | None:
    statement = item.statement
    name = statement.words[1]
    draft: dict[str, Any] = {}
    said: dict[str, Statement] = {}
    before = len(faults)
    if len(name.encode()) > NAME_BYTES:
        faults.error(statement.place(1), f"bfd_instance {shown(name)}: a name has at most {NAME_BYTES} bytes")
    for inner in items(statement.block or [], "bfd_instance", faults):
        _keyword(inner, draft, faults)
        said[inner.name] = inner.statement
    if "neighbor_ip" not in said:
        faults.error(statement.place(1), f"{shown(name)}: no neighbor_ip")
    neighbor, source = draft.get("neighbor_ip"), draft.get("source_ip")
    if neighbor is None:
        return None
    if source is not None and source.version != neighbor.version:
        faults.error(said["source_ip"].place(1), f"source_ip {source} and neighbor_ip {neighbor} are of two families")
    elif source == neighbor:
        faults.error(said["source_ip"].place(1), "source_ip and neighbor_ip are the same")
    if neighbor.version == 6 and "ttl" not in draft:
        # As RFC 5881 section 5 wants it; but a keepalived on the other side says 64 unless it is told.
        draft["max_hops"] = min(draft.get("max_hops", 0) + TTL - KEEPALIVED_HOPLIMIT, TTL)
    if len(faults) > before and any(f.severity is Severity.ERROR for f in faults[before:]):
        return None
    if not (draft.get("vrrp") or draft.get("checker")):
        draft |= {"vrrp": True, "checker": True}
    else:
        draft = {"vrrp": False, "checker": False} | draft
    return BfdInstance(
        name=name, **draft | {"neighbor_ip": str(neighbor), "source_ip": str(source) if source is not None else ""}
    )


def _keyword(item: Item, draft: dict[str, Any], faults: Faults) -> None:
    statement = item.statement
    match item.name:
        case "neighbor_ip" | "source_ip":
            if (found := _address(statement, faults)) is not None:
                draft[item.name] = found
        case "min_rx" | "min_tx" | "idle_tx":
            interval_ns = _milliseconds_ns(item, faults)
            if interval_ns is not None:
                draft[f"{item.name}_ns"] = interval_ns
        case "multiplier" | "ttl":
            value = values.number(item, faults)
            if value is not None:
                draft[item.name] = value
            if item.name == "multiplier" and value is not None and value > UNUSUAL_MULTIPLIER:
                faults.warning(statement.place(1), f"multiplier {value} is very high (over {UNUSUAL_MULTIPLIER})")
        case "max_hops":
            value = values.number(item, faults)
            if value is not None:
                draft["max_hops"] = TTL if value < 0 else value
        case "weight":
            if (value := values.number(item, faults)) is not None:
                draft["weight"], draft["reverse"] = value, _reverse(statement, 2, faults)
        case name:
            assert name in ("multihop", "passive", "vrrp", "checker"), name
            draft[name] = True


def _reverse(statement: Statement, index: int, faults: Faults) -> bool:
    if len(statement.words) <= index:
        return False
    if statement.words[index] != "reverse":
        faults.error(statement.place(index), f"'{shown(statement.words[index])}': expected reverse")
    return True


def _address(statement: Statement, faults: Faults) -> IPv4Address | IPv6Address | None:
    found = values.address(statement, 1, faults)
    if found is None:
        return None
    if found.is_multicast or found.is_unspecified:
        faults.error(statement.place(1), f"{found} is not the address of one host")
        return None
    if found.version == 6 and found.is_link_local:
        faults.error(statement.place(1), f"{found} is link-local: it would need an interface")
        return None
    return found


def _milliseconds_ns(item: Item, faults: Faults) -> int | None:
    """Milliseconds with a fraction, to the microsecond that packets count in."""
    word, place = item.statement.words[1], item.statement.place(1)
    found_ns = values.parse_seconds_us(word)  # a millionth of a millisecond is a nanosecond
    low_ns = (item.keyword.low or 0) * NS_PER_MS
    if found_ns is None:
        faults.error(place, f"{item.name}: '{shown(word)}' is not a number of milliseconds")
        return None
    found_ns = (found_ns + NS_PER_US // 2) // NS_PER_US * NS_PER_US
    if not low_ns <= found_ns <= MOST_NS:
        span = f"{item.keyword.low} to {MOST_NS // NS_PER_MS} ms"
        faults.error(place, f"{item.name} must be {span}, not {shown(word)}")
        return None
    if found_ns > UNUSUAL_NS:
        faults.warning(place, f"{item.name} of {found_ns / NS_PER_S:g} s is very long (the unit is milliseconds)")
    return found_ns


# -- BFD_CHECK -----------------------------------------------------------------------------------------------------


def build_bfd_check(item: Item, ip: str, port: int, above: Timing, faults: Faults) -> BfdCheck | None:
    """What it names is looked at by `check_bfd_checks`, when everything is known."""
    name, alpha = "", bool(above.alpha)
    for inner in items(item.statement.block or [], item.name, faults):
        if inner.name == "name":
            name = inner.statement.words[1]
        else:
            alpha = bool(values.boolean(inner, faults))
    if not name:
        faults.error(item.statement.place(), "BFD_CHECK: no name")
        return None
    # It is told: there is nothing to ask again, and a session that is down is down.
    return BfdCheck(name=name, alpha=alpha, retry=0, delay_ns=NS_PER_S, warmup_ns=0)


def check_bfd_checks(servers: Iterable[Built[VirtualServer]], bfds: Mapping[str, BfdInstance], faults: Faults) -> None:
    """Every BFD_CHECK names a session whose state the checker is told."""
    for built in servers:
        names = {c.name for rs in built.value.real_servers for c in rs.checks if isinstance(c, BfdCheck)}
        for name in sorted(names):
            if name not in bfds or not bfds[name].checker:
                unknown_bfd(_place_of(built.statement, name), name, bfds, "checker", faults)


def unknown_bfd(
    statement: Statement, name: str, bfds: Mapping[str, BfdInstance], who: str, faults: Faults, index: int = 1
) -> None:
    """An error at word `index`: there is no such session for `who` ("vrrp" or "checker")."""
    place = statement.place(index)
    if name in bfds:
        other = "checker" if who == "vrrp" else "vrrp"
        faults.error(place, f"bfd_instance {shown(name)} says {other} alone", f"add {who} to it")
        return
    faults.error(place, f"there is no bfd_instance {shown(name)}", meant(name, bfds, after=len(faults)))


def _place_of(statement: Statement, name: str) -> Statement:
    """The `name` line of the BFD_CHECK that says this name, or the block it is in."""
    for inner in statement.block or []:
        if statement.words[0] == "BFD_CHECK" and inner.words == ["name", name]:
            return inner
        found = _place_of(inner, name)
        if found is not inner or found.words == ["name", name]:
            return found
    return statement
