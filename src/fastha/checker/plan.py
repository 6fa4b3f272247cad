"""One virtual server: the health of its real servers -> quorum, scripts, and the rows wanted in the kernel. Pure.

`Plan` is frozen; `step(plan, changes)` gives the new plan and what is to be done besides the rows (which `row(plan)`
computes whole: the dataplane finds the difference by itself).

Quorum, with hysteresis (keepalived.conf(5)): gained at a live weight of quorum + hysteresis, lost below
quorum - hysteresis or at 0. A threshold to gain that all real servers together cannot reach is lowered to what they
can, or a quorum once lost would never come back.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from ipaddress import ip_address
from itertools import compress
from operator import attrgetter, ne

from fastha.checker import drain
from fastha.checker.drain import Ruling, Rulings
from fastha.dataplane.rows import Dest, DestKey, Forward, Service, ServiceFlag, ServiceKey, ServiceRow, TunnelType
from fastha.model import GroupMember, RealServer, Script, SorryServer, Tunnel, VirtualServer

SCHEDULER_FLAGS = {
    "ops": ServiceFlag.ONEPACKET,
    "flag-1": ServiceFlag.SCHED1,
    "flag-2": ServiceFlag.SCHED2,
    "flag-3": ServiceFlag.SCHED3,
    "sh-fallback": ServiceFlag.SCHED1,  # IP_VS_SVC_F_SCHED_SH_FALLBACK
    "sh-port": ServiceFlag.SCHED2,  # IP_VS_SVC_F_SCHED_SH_PORT
    "mh-fallback": ServiceFlag.SCHED1,  # IP_VS_SVC_F_SCHED_MH_FALLBACK
    "mh-port": ServiceFlag.SCHED2,  # IP_VS_SVC_F_SCHED_MH_PORT
}
TUNNELS = {"ipip": TunnelType.IPIP, "gue": TunnelType.GUE, "gre": TunnelType.GRE}
TUNNEL_FLAGS = {"nocsum": 0, "csum": 1, "remcsum": 2}  # IP_VS_TUNNEL_ENCAP_FLAG_*
FAMILIES: dict[str, int] = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
PROTOCOLS = {"TCP": socket.IPPROTO_TCP, "UDP": socket.IPPROTO_UDP, "SCTP": socket.IPPROTO_SCTP}
SORRY_WEIGHT = 1
BLOCK = 256  # real servers that are compared at once
_WEIGHT = attrgetter("weight")


@dataclass(frozen=True, slots=True)
class Plan:
    """A virtual server and what is known of it; `up[i]` is real_servers[i], `keys[i]` and `dests[i]` its row while it
    serves (with its configured weight)."""

    server: VirtualServer
    up: tuple[bool, ...]
    quorum: bool
    keys: tuple[DestKey, ...]
    dests: tuple[Dest, ...]
    rulings: Rulings = ()  # operators' decisions
    weights: tuple[
        int | None, ...
    ] = ()  # what checks made of the configured weights (None: nothing); () where none did
    live_weight: int = 0

    def ruling(self, index: int) -> Ruling | None:
        return self.rulings[index] if self.rulings else None

    def weight(self, index: int) -> int:
        """Its weight by configuration and checks, without operators' decisions."""
        dynamic = self.weights[index] if self.weights else None
        return self.server.real_servers[index].weight if dynamic is None else dynamic

    def counts(self, index: int) -> bool:
        """Whether it would have a share of the traffic if it were up."""
        return drain.live(self.ruling(index), self.weight(index)) > 0

    @property
    def sorry(self) -> bool:
        """Whether the sorry server takes the traffic."""
        return not self.quorum and self.server.sorry_server is not None


@dataclass(frozen=True, slots=True)
class ServerChanged:
    """A real server went up or down."""

    server: RealServer
    up: bool
    index: int = field(default=-1, compare=False)


@dataclass(frozen=True, slots=True)
class QuorumChanged:
    up: bool
    live_weight: int


@dataclass(frozen=True, slots=True)
class WeightChanged:
    """A check makes another weight of a real server's."""

    server: RealServer
    weight: int
    index: int = field(default=-1, compare=False)


@dataclass(frozen=True, slots=True)
class RunScript:
    """A notify script for the parent to run; `subject` is what it is about."""

    script: Script
    subject: str


Effect = ServerChanged | WeightChanged | QuorumChanged | RunScript


@dataclass(slots=True)
class Places:
    """`keys` and `dests` of a Plan, one real server after another. A key that was there before is the same object: rows
    that are compared are nearly all equal by identity."""

    keys: list[DestKey] = field(default_factory=list)
    dests: list[Dest] = field(default_factory=list)

    def add(self, rs: RealServer, known: DestKey | None = None) -> None:
        self.keys.append(known or DestKey(rs.ip, rs.port))
        self.dests.append(_dest(rs, rs.weight, rs.uthreshold, rs.lthreshold))


def start(
    server: VirtualServer,
    up: Sequence[bool],
    quorum: bool | None = None,
    rulings: Rulings = (),
    weights: Sequence[int | None] = (),
    places: Places | None = None,
    live: int | None = None,
) -> Plan:
    """The plan at the beginning; no script runs for it. `quorum` is what a predecessor had, None if there was none:
    then it is there unless `alpha` says that it has to be proved, or too few servers count as up. `places`: of its
    real servers, `live`: its live weight, if somebody has them."""
    if places is None:
        places = Places()
        for rs in server.real_servers:
            places.add(rs)
    has = (not server.alpha) if quorum is None else quorum
    plan = Plan(server, tuple(up), has, tuple(places.keys), tuple(places.dests), rulings, some(weights))
    return _judged(plan, live)


def carry(
    old: Plan,
    server: VirtualServer,
    up: Sequence[bool],
    rulings: Rulings = (),
    weights: Sequence[int | None] = (),
    places: Places | None = None,
    live: int | None = None,
) -> tuple[Plan, tuple[Effect, ...]]:
    """The plan of a virtual server whose configuration changed: it has the quorum it had, judged by the new numbers."""
    new = start(server, up, old.quorum, rulings, weights, places, live)
    return new, tuple(_quorum_effects(old, new))


def rule(plan: Plan, rulings: Rulings) -> tuple[Plan, tuple[Effect, ...]]:
    """Operators have decided something else, or a drain has ended."""
    new = _judged(replace(plan, rulings=rulings))
    return new, tuple(_quorum_effects(plan, new))


def some(weights: Sequence[int | None]) -> tuple[int | None, ...]:
    return tuple(weights) if weights and weights.count(None) < len(weights) else ()


def step(
    plan: Plan, changes: Mapping[int, bool], weights: Sequence[int | None] | None = None
) -> tuple[Plan, tuple[Effect, ...]]:
    """Real servers {index: is now up}; those of one turn together, so that a storm costs O(servers) and not its square,
    and a quorum is judged once by all of them. `weights`: what checks now make of all the configured weights."""
    changes = {index: up for index, up in changes.items() if plan.up[index] != up}
    if not changes and weights is None:
        return plan, ()
    effects: list[Effect] = []
    ups = list(plan.up)
    for index, up in changes.items():
        server = plan.server.real_servers[index]
        ups[index] = up
        effects.append(ServerChanged(server, up, index))
        if script := server.notify_up if up else server.notify_down:
            effects.append(RunScript(script, f"{plan.server.key} {server.key}"))
    new = replace(plan, up=tuple(ups), weights=plan.weights if weights is None else some(weights))
    if new.weights != plan.weights:
        changed = [i for i in range(len(ups)) if plan.weight(i) != new.weight(i)]
        effects += (WeightChanged(new.server.real_servers[i], new.weight(i), i) for i in changed)
    plain = weights is None and not new.weights and not new.rulings
    new = _judged(new, moved(plan, changes.items()) if plain else None)
    return new, (*effects, *_quorum_effects(plan, new))


def _quorum_effects(old: Plan, new: Plan) -> list[Effect]:
    if new.quorum == old.quorum:
        return []
    script = new.server.quorum_up if new.quorum else new.server.quorum_down
    effects: list[Effect] = [QuorumChanged(new.quorum, new.live_weight)]
    return [*effects, RunScript(script, new.server.key)] if script else effects


def farewell(plan: Plan) -> tuple[RunScript, ...]:
    """What `omega` asks for when an orderly stop takes the virtual server away: the scripts of all that was up."""
    if not plan.server.omega:
        return ()
    scripts = [
        RunScript(rs.notify_down, f"{plan.server.key} {rs.key}")
        for rs, up in zip(plan.server.real_servers, plan.up, strict=True)
        if up and rs.notify_down
    ]
    if plan.quorum and plan.server.quorum_down:
        scripts.append(RunScript(plan.server.quorum_down, plan.server.key))
    return tuple(scripts)


def _live(plan: Plan) -> int:
    """The weight of all that are up and count."""
    if plan.rulings or plan.weights:
        return sum(drain.live(plan.ruling(i), plan.weight(i)) for i, up in enumerate(plan.up) if up)
    return sum(map(_WEIGHT, compress(plan.dests, plan.up)))


def moved(plan: Plan, changes: Iterable[tuple[int, bool]]) -> int:
    """The live weight after these (index, is now up), where configured weights count alone."""
    return plan.live_weight + sum(plan.dests[i].weight if up else -plan.dests[i].weight for i, up in changes)


def _judged(plan: Plan, live: int | None = None) -> Plan:
    """With its live weight, and the quorum that this makes."""
    live = _live(plan) if live is None else live
    return replace(plan, live_weight=live, quorum=_has_quorum(plan, live))


def _has_quorum(plan: Plan, live: int) -> bool:
    server = plan.server
    if plan.quorum:
        return live > 0 and live >= server.quorum - server.hysteresis
    # As configured: what an operator took away must not make the rest enough.
    return live > 0 and live >= min(server.quorum + server.hysteresis, sum(map(_WEIGHT, plan.dests)))


# -- rows --


def key(server: VirtualServer) -> ServiceKey:
    """What identifies a virtual server in the kernel; of a group, the first of its services."""
    return next(_keys(server, 0))


def keys(server: VirtualServer, mark: int = 0) -> tuple[ServiceKey, ...]:
    """Every service of a virtual server: one, or those of a group's members in their order, each once. With `mark`
    (of nftables_ipvs) all addresses of one family together are the service of that mark."""
    return tuple(dict.fromkeys(_keys(server, mark)))


def _keys(server: VirtualServer, mark: int) -> Iterator[ServiceKey]:
    if server.group:
        for member in server.members:
            yield from _member_keys(server, member, mark)
        return
    family = socket.AF_INET6 if server.family == "inet6" or ":" in server.ip else socket.AF_INET
    if server.fwmark:
        yield ServiceKey(family, 0, fwmark=server.fwmark)
    else:
        yield ServiceKey(family, PROTOCOLS[server.protocol], server.ip, server.port)


def _member_keys(server: VirtualServer, member: GroupMember, mark: int) -> Iterator[ServiceKey]:
    family = FAMILIES[member.family]
    if member.fwmark or mark:
        yield ServiceKey(family, 0, fwmark=member.fwmark or mark)
        return
    first, last = ip_address(member.first_ip), ip_address(member.last_ip)
    for offset in range(int(last) - int(first) + 1):
        yield ServiceKey(family, PROTOCOLS[server.protocol], str(first + offset), member.port)


def service(server: VirtualServer, family: int = 0) -> Service:
    """The settable half of its services of `family` (0: of its own). persistence_granularity means its own family."""
    own = key(server).family if not server.group else FAMILIES[server.family]
    family = family or own
    whole = 128 if family == socket.AF_INET6 else 32
    flags = ServiceFlag.PERSISTENT if server.persistence_timeout_s else ServiceFlag(0)
    for word in server.scheduler_flags:
        flags |= SCHEDULER_FLAGS[word]
    return Service(
        scheduler=server.scheduler,
        flags=int(flags),
        timeout_s=server.persistence_timeout_s,
        netmask=(server.persistence_prefix if family == own else 0) or whole,
        pe_name=server.persistence_engine,
        masquerade=server.masquerade,
    )


def _dest(server: RealServer | SorryServer, weight: int, uthreshold: int = 0, lthreshold: int = 0) -> Dest:
    return _one_dest(server.forward, server.tunnel, weight, uthreshold, lthreshold)


@lru_cache(4096)
def _one_dest(method: str, tunnel: Tunnel, weight: int, uthreshold: int, lthreshold: int) -> Dest:
    """One object for all destinations that are served alike."""
    forward = Forward[method]
    if forward is not Forward.TUN:
        return Dest(forward, weight, uthreshold, lthreshold)
    kind, flags = TUNNELS[tunnel.kind], TUNNEL_FLAGS[tunnel.checksum]
    return Dest(forward, weight, uthreshold, lthreshold, kind, tunnel.port, flags)


def rows(
    plan: Plan, services: Sequence[ServiceKey], one: ServiceRow | None = None
) -> Iterator[tuple[ServiceKey, ServiceRow]]:
    """The wanted row of each of its services. All have the same destinations: one dict, not to be changed. `one`: the
    row of the plan, if somebody has it."""
    dests = (one or row(plan)).dests
    by_family: dict[int, ServiceRow] = {
        family: ServiceRow(service(plan.server, family), dests) for family in FAMILIES.values()
    }
    return ((service_key, by_family[service_key.family]) for service_key in services)


def row(plan: Plan) -> ServiceRow:
    """The wanted row: every live real server with its weight, failed ones with `inhibit_on_failure` at weight 0; the
    sorry server instead of the live ones while there is no quorum (without one, those that live go on)."""
    dests: dict[DestKey, Dest] = {}
    fill(plan, dests, range(len(plan.keys)))
    return whole(plan, dests)


def next_row(last: ServiceRow, was: Plan, plan: Plan) -> ServiceRow:
    """The row of `plan`, where `last` is that of `was`: a few of tens of thousands may be up or down since."""
    if was.server is not plan.server or (was.sorry, was.rulings, was.weights) != (
        plan.sorry, plan.rulings, plan.weights,
    ):  # fmt: skip
        return row(plan)
    dests = dict(last.dests)
    fill(plan, dests, differing(was, plan))
    return whole(plan, dests)


def differing(was: Plan, plan: Plan) -> Iterator[int]:
    """Which real servers are up in one of them and down in the other."""
    for first in range(0, len(plan.up), BLOCK):
        block = slice(first, first + BLOCK)
        if was.up[block] != plan.up[block]:
            yield from compress(range(first, first + BLOCK), map(ne, was.up[block], plan.up[block]))


def fill(plan: Plan, dests: dict[DestKey, Dest], indices: Iterable[int]) -> None:
    """These real servers of a row, as they are to be in it."""
    for index in indices:
        dest = _placed(plan, index)
        if dest is not None:
            dests[plan.keys[index]] = dest
        else:
            dests.pop(plan.keys[index], None)


def whole(plan: Plan, dests: dict[DestKey, Dest]) -> ServiceRow:
    """The row, once all real servers are there."""
    server, sorry = plan.server, plan.server.sorry_server
    if sorry is not None:
        sorry_key = DestKey(sorry.ip, sorry.port)
        if plan.sorry:
            dests[sorry_key] = _dest(sorry, SORRY_WEIGHT)
        elif sorry.inhibit:
            dests.setdefault(sorry_key, _dest(sorry, 0))
    return ServiceRow(service(server), dests)


def _placed(plan: Plan, index: int) -> Dest | None:
    """What the table is to hold of a real server."""
    rs, serves, dest = plan.server.real_servers[index], plan.up[index] and not plan.sorry, plan.dests[index]
    if (ruling := plan.ruling(index)) is not None:
        weight = drain.in_table(ruling, serves, rs.inhibit_on_failure)
        return None if weight is None else replace(dest, weight=weight)
    if serves:
        return replace(dest, weight=plan.weight(index)) if plan.weights else dest
    return replace(dest, weight=0) if rs.inhibit_on_failure else None
