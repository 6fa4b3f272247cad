"""Duplicates, and what several objects mean together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from fastha.config.build_group import MOST_SERVICES
from fastha.config.placed import Built, first_at
from fastha.config.tree import Faults, Place, shown
from fastha.config.twice import twice
from fastha.model import RealServer, SorryServer, VirtualServer, VrrpInstance


def check_virtual_servers(servers: list[Built[VirtualServer]], faults: Faults) -> dict[str, VirtualServer]:
    """The virtual servers by key; of two with the same key the first one stays, and it is an error."""
    first: dict[str, Built[VirtualServer]] = {}
    for built in servers:
        key = built.value.key
        if key in first:
            where = first_at(first[key].place, built.place)
            faults.error(built.place, f"virtual_server {key} is there already", f"first at {where}")
            continue
        first[key] = built
    return {key: built.value for key, built in first.items()}


def check_sync(place: Place, servers: Iterable[VirtualServer], faults: Faults) -> None:
    """The kernel runs no synchronisation daemon while a destination's family is not its service's (ip_vs_ctl.c)."""
    for server in servers:
        families = {m.family for m in server.members} or {server.family}
        reals: list[RealServer | SorryServer] = [*server.real_servers]
        if server.sorry_server:
            reals.append(server.sorry_server)
        other = next((r for r in reals if families != {"inet6" if ":" in r.ip else "inet"}), None)
        if other is not None:
            faults.error(
                place, f"lvs_sync_daemon cannot run: virtual_server {server.key} reaches {other.key} in another family"
            )
            return


Kind = tuple[str, str, int]  # family, protocol ("fwmark" for a mark), port


class _Span(NamedTuple):
    """Services that a virtual server asks for: `first`..`last` are addresses as numbers, or one mark."""

    kind: Kind
    first: int
    last: int
    owner: Built[VirtualServer]

    @property
    def text(self) -> str:
        family, protocol, port = self.kind
        if protocol == "fwmark":
            return f"fwmark {self.first}"
        if not self.owner.value.members:
            return self.owner.value.key
        first, last = (IPv6Address(n) if family == "inet6" else IPv4Address(n) for n in (self.first, self.last))
        return f"{first} port {port}" if first == last else f"{first}-{last} port {port}"


def check_services(servers: list[Built[VirtualServer]], marked: bool, faults: Faults) -> None:
    """No two virtual servers may want one service of the kernel, and there is a limit to how many there are.

    `marked`: nftables_ipvs gives the addresses of a group one mark, so that their number costs nothing.
    """
    count = 0
    kinds: dict[Kind, Kind] = {}
    spans = [s for built in servers for s in _spans(built, kinds)]
    spans.sort(key=lambda s: s.last)
    spans.sort(key=lambda s: s.first)
    spans.sort(key=lambda s: s.kind)
    for span in spans:
        if span.kind[1] != "fwmark" and not (marked and span.owner.value.group):
            count += span.last - span.first + 1
            if count > MOST_SERVICES:
                break
    if count > MOST_SERVICES:
        widest = max(spans, key=lambda s: s.last - s.first)
        faults.error(
            widest.owner.place, f"{widest.text}: more than {MOST_SERVICES} services in all, one for each address",
            "nftables_ipvs in global_defs makes one service of a group",
        )  # fmt: skip
    widest_yet: _Span | None = None  # of those before: the one that reaches furthest
    for span in spans:
        if widest_yet is not None and widest_yet.kind == span.kind and span.first <= widest_yet.last:
            _overlap(widest_yet, span, faults)
        if widest_yet is None or widest_yet.kind != span.kind or span.last > widest_yet.last:
            widest_yet = span


def _spans(built: Built[VirtualServer], kinds: dict[Kind, Kind]) -> Iterator[_Span]:
    """`kinds`: those that there are, for equal ones to be one object."""
    server = built.value

    def span(family: str, protocol: str, port: int, first: int, last: int) -> _Span:
        kind = family, protocol, port
        return _Span(kinds.setdefault(kind, kind), first, last, built)

    if server.fwmark:
        yield span(server.family, "fwmark", 0, server.fwmark, server.fwmark)
    elif server.ip:
        ip = int(ip_address(server.ip))
        yield span(server.family, server.protocol, server.port, ip, ip)
    for m in server.members:
        if m.fwmark:
            yield span(m.family, "fwmark", 0, m.fwmark, m.fwmark)
        else:
            yield span(m.family, server.protocol, m.port, int(ip_address(m.first_ip)), int(ip_address(m.last_ip)))


def _overlap(one: _Span, other: _Span, faults: Faults) -> None:
    a, b = one.owner, other.owner
    if a is b:
        faults.warning(a.place, f"group {shown(a.value.group)}: {other.text} is there twice; once is enough")
        return
    if a.value.key == b.value.key:
        return  # said already: the second does not count
    if a.place > b.place:
        a, b = b, a
    where = first_at(a.place, b.place)
    faults.error(b.place, f"{other.text} is a service of virtual_server {a.value.key} too", f"defined at {where}")


def check_instances(instances: list[Built[VrrpInstance]], faults: Faults) -> None:
    """Names and identities must be unique; an address on two instances is surely a mistake. One table at a time."""
    _check_names(instances, faults)
    _check_identities(instances, faults)
    if len(instances) > 1:
        _check_addresses(instances, faults)


def _check_names(instances: list[Built[VrrpInstance]], faults: Faults) -> None:
    common = twice(built.value.name for built in instances)
    first: dict[str, Built[VrrpInstance]] = {}
    for built in instances if common else ():
        name = built.value.name
        if name in common and (other := first.setdefault(name, built)) is not built:
            faults.error(
                built.spot.place(1), f"vrrp_instance {shown(name)} is there already",
                f"first at {_name_at(other, built)}",
            )  # fmt: skip


def _check_identities(instances: list[Built[VrrpInstance]], faults: Faults) -> None:
    common = twice(hash(built.value.identity) for built in instances)
    first: dict[tuple[int, str, str], Built[VrrpInstance]] = {}
    for built in instances if common else ():
        instance = built.value
        identity = instance.identity
        if hash(identity) in common and (other := first.setdefault(identity, built)) is not built:
            faults.error(
                built.spot.place(1), f"virtual_router_id {instance.vrid} on {instance.interface} is used already",
                f"first at {_name_at(other, built)}",
            )  # fmt: skip


def _check_addresses(instances: list[Built[VrrpInstance]], faults: Faults) -> None:
    carried = ((b.value.dev_of(address), address.ip) for b in instances for address in b.value.carried)
    common = twice(map(hash, carried))
    first: dict[tuple[str, str], Built[VrrpInstance]] = {}  # interface, address -> whose it is
    for built in instances if common else ():
        instance = built.value
        for address in instance.carried:
            key = instance.dev_of(address), address.ip
            if hash(key) in common and (other := first.setdefault(key, built)) is not built:
                faults.warning(
                    built.spot.place(1), f"{address.ip} is an address of {shown(other.value.name)} too",
                    f"at {_name_at(other, built)}", code="address-twice",
                )  # fmt: skip


def _name_at(other: Built[VrrpInstance], here: Built[VrrpInstance]) -> str:
    return first_at(other.spot.place(1), here.spot.place(1))
