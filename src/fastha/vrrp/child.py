"""The VRRP process: configuration in two phases, events from the lane, the host, checker and bfd to the routers.

Decisions of this process:

- It waits with an instance that tracks a virtual server or a BFD session without weight until the first word about it
  (role init). Run by hand nobody speaks, so such tracking is said to be ignored.
- When the parent dies it stops in an orderly way (priority 0, addresses removed): nobody would restart it, and a new
  daemon on this host must not find a second speaker for the same virtual routers.
- Python's garbage collector is off from the first proposal on, and what exists after each is frozen: a collection of
  some tens of milliseconds would delay adverts. Objects made per event or reload hold no cycles.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from fastha.channel.endpoint import Endpoint
from fastha.channel.messages import Message
from fastha.child import Child
from fastha.child.child import EXIT_ORPHANED, EXIT_STOPPED
from fastha.child.parts import Draft, Parts
from fastha.child.turns import Turns
from fastha.child.work import Steps, Work, run
from fastha.errors import SystemFault
from fastha.link import routes, rtnl
from fastha.link.addresses import BELONGING, Key, Operation
from fastha.link.monitor import Changes
from fastha.link.rtnl import Link
from fastha.loop.reactor import Reactor
from fastha.model import Config, Statics, VrrpInstance
from fastha.model.override import VrrpOverride
from fastha.model.parts import disowned, split
from fastha.model.routes import Belonging
from fastha.model.units import NS_PER_MS, NS_PER_S
from fastha.vrrp import filter_rules, frames, igmp, lane, machine, notify
from fastha.vrrp.beginning import begins_ns
from fastha.vrrp.belongings import GONE, TELL_PER_S
from fastha.vrrp.followed import Followed
from fastha.vrrp.house import House
from fastha.vrrp.router import Router, resumable
from fastha.vrrp.sync import Syncs
from fastha.vrrp.trackers import NAMES

SLICE_NS = 2 * NS_PER_MS  # of events per turn: the lane is served between slices
COUNT_NS = 100 * NS_PER_MS  # a tenth of the routers publish their counters
LONG_NS = 1 << 62
REPAIR_NS = 100 * NS_PER_MS  # from a change of addresses to the look whether a master's are there
REPORTED = ("virtual_server", "bfd")  # by other processes

SOMEONE = {4: "127.0.0.1", 6: "fe80::1"}
SOMEWHERE = Link(1, "lo", bytes(6), 1500, True, True, True)


class VrrpChild:
    """Puts the VRRP handlers into the common Child."""

    def __init__(self, endpoint: Endpoint | None) -> None:
        self.child = Child("vrrp", endpoint, reactor=Reactor())
        self.routers: dict[tuple[int, str, str], Router] = {}
        self._by_index: dict[int, Router] = {}
        self._syncs = Syncs(self.child)
        self._followed = Followed(self.child, lambda kind, states: self._known(kind, states))
        self._house: House | None = None
        self.parts = Parts()
        self.work = Work(self.child.reactor, self.child.stalled, self._breathe, collects=False)
        self._prepared: tuple[Draft, dict[str, Any], int] | None = None
        self._abandoned = -1
        self._events: deque[tuple[int, int, int, int, int, int]] = deque()
        self._to_survey: dict[Router, None] = {}
        self._interfaces: dict[str, dict[str, Any]] = {}
        self._strangers_told: set[tuple[str, int]] = set()
        self._log_strangers = False
        self._overrides: dict[str, VrrpOverride] = {}
        self._turns: Turns[Router] = Turns()  # for counting
        self._more_due = False
        self._repair_due = False
        self._beat = 0
        self._stopping = False
        for kind, handler in {
            "parts": self._parts,
            "previous": self.parts.take_previous,
            "propose": lambda message: self.work.add(self._propose(message)),
            "commit": lambda message: self.work.add(self._commit(message)),
            "abandon": self._abandon,
            "vrrp_overrides": self._decide,
            "quorums": lambda message: self._tracked("virtual_server", message),
            "bfds": lambda message: self._tracked("bfd", message),
            "keep": lambda _: self._keep(),
            "stop": lambda _: self._stop(EXIT_STOPPED),
        }.items():
            self.child.on(kind, handler)
        self.child.orphaned = self._orphaned
        self.child.reactor.before_sleep(self._look)

    @property
    def house(self) -> House:
        assert self._house is not None
        return self._house

    # -- configuration --

    def begin(self, config: Config) -> None:
        """By hand: prepare and commit at once. SystemFault or ValueError, one line."""
        run(self._prepare(self.parts.at_once(config), {}))
        run(self._apply())

    def _parts(self, message: Message) -> None:
        self.work.quiet()
        self.parts.take_parts(message)
        for _ in self.parts.digest():
            self._breathe()

    def _propose(self, message: Message) -> Steps:
        """Phase one, between which adverts come and go; nothing that runs is changed."""
        generation, self._prepared = message["generation"], None
        steps, previous = self.parts.steps(message)
        try:
            for draft in steps:
                yield
                if draft is not None:
                    yield from self._prepare(draft, previous)
        except (SystemFault, ValueError) as error:
            self.child.send("refused", generation=generation, reason=str(error))
            return
        if generation == self._abandoned:
            self._prepared = None  # it was too late to stop
        self.child.send("ready", generation=generation)

    def _breathe(self) -> None:
        """In the middle of long work: adverts that are due leave now."""
        if self._house is not None:
            self._house.lane.breathe()

    def _prepare(self, draft: Draft, previous: dict[str, Any]) -> Steps:
        """Everything that can fail, before anything changes. SystemFault or ValueError, one line."""
        prepared_ns = self.child.reactor.now_ns()
        if draft.changed:
            seen: dict[object, str] = {}
            for instance in draft.config.instances:
                other = seen.setdefault(instance.identity, instance.name)
                if other != instance.name:
                    raise ValueError(f"{instance.name}: same interface and VRID as {other}")
        for instance in draft.instances:
            try:
                frames.advert_frames(instance, instance.unicast_src or SOMEONE[instance.family], SOMEWHERE)
            except ValueError as error:
                raise ValueError(f"{instance.name}: {error}") from None
            yield
        if self._house is None:
            self._house = House(
                self.child,
                self._host_changed,
                self._disturbed,
                self._resurvey,
                self._longest_down_ns,
                draft.config.globals.buffers,
            )
        if draft.changed:
            defs = draft.config.globals.firewall
            closed = [instance for instance in draft.config.instances if not instance.accept]
            if reason := self.house.firewall.prepare(defs.table, filter_rules.tables(closed, defs)):
                raise ValueError(f"no_accept: {reason}")
        self._prepared = draft, previous, prepared_ns

    def _abandon(self, message: Message) -> None:
        self._abandoned = message["generation"]
        self.parts.abandon(self._abandoned)
        if self._prepared is not None and self._prepared[0].generation == self._abandoned:
            self._prepared = None

    def _commit(self, message: Message) -> Steps:
        if self._prepared is None or self._prepared[0].generation != message["generation"]:
            raise ValueError(f"commit of generation {message['generation']}, which is not prepared")
        yield from self._apply()
        self.child.beat()
        self.child.send("committed", generation=message["generation"])

    def _apply(self) -> Steps:
        """Phase two: go through what differs, one instance after another, each as a whole."""
        assert self._prepared is not None
        draft, previous, prepared_ns = self._prepared
        self._prepared = None
        house, config, first = self.house, draft.config, not self._beat
        self.child.environment.follow(config.globals.processes)
        self._log_strangers = config.globals.log_unknown_vrids
        self.child.mail = config.globals.mail
        if draft.changed or draft.gone:
            house.resize(config.globals.buffers, config.instances)
        house.announcer.pace(config.globals.garp_groups)
        if first:
            self._begin_at(begins_ns(config.globals, previous, self.child.reactor.now_ns(), _uptime_ns()))
        leased, house.lease.seconds = house.lease.seconds, config.globals.address_lease_s
        of_name = {router.instance.name: key for key, router in self.routers.items()}
        now = {instance.identity for instance in draft.instances}
        gone = [
            of_name[name]
            for name in (*draft.gone_of("instance"), *(i.name for i in draft.instances))
            if name in of_name
        ]
        tracked = {(t.kind, t.name) for i in config.instances for t in i.trackers}
        house.states = {one: up for one, up in house.states.items() if one in tracked}
        self._followed.follow(config, tracked)
        if draft.instances or gone:
            house.service_ips = {a.ip for i in config.instances for a in i.carried}
        if self.child.by_hand:
            self._assume(config)
        wanted = {i.identity for i in config.instances} if gone else set()
        regrouped = bool(draft.values("sync_group") or draft.gone_of("sync_group"))
        self._syncs.configure(config.sync_groups)
        for key in gone:
            if key not in now and key not in wanted and key in self.routers:  # also one that changed its identity
                self._remove(self.routers[key].instance)
                yield
        owned = previous.get("owned_addresses", ())
        if first:
            for instance in config.instances:  # before any is looked for: a note on one tells how its base was
                house.interfaces.wanted.update({device.name: device for device in instance.devices})
            self._remove_leftovers(config, owned)
            house.interfaces.remove_leftovers()
        if draft.values("static") or draft.gone_of("static"):
            house.statics.change(config.statics[0] if config.statics else Statics())
            if first:
                house.statics.adopt(frozenset(owned))
            house.addresses.pump()
            yield
        before = previous.get(igmp.FACT) if first else None
        firewall = house.igmp.follow(config.globals.firewall, before)
        house.firewall.commit(firewall.table, filter_rules.tables(config.instances, firewall))
        told: dict[str, dict[str, Any]] = previous.get("instances", {})
        for instance in draft.instances:
            self._put(instance, told.get(instance.name, {}), previous, prepared_ns)
            yield
        if draft.instances or gone or regrouped:
            self._syncs.settle(self.routers.values(), self.child.reactor.now_ns())
        if draft.instances or gone:
            house.close_stale_receivers({name for i in config.instances for name in i.heard_on})
        if leased != house.lease.seconds:
            for router in tuple(self.routers.values()):
                router.survey(self.child.reactor.now_ns())
                yield
            house.lease.renew(self.routers.values)
        house.settling.follow(config.globals.link_delays)
        house.addresses.pump()
        yield from self.parts.commit(draft)
        if first:
            self._count()
        elif config.globals.states_on_reload:
            for router in self.routers.values():
                router.repeat()
            self._syncs.repeat()

    def _begin_at(self, begins_ns: int) -> None:
        """No instance takes part before."""
        reactor = self.child.reactor
        self.house.begins_ns = begins_ns
        if (wait_ns := begins_ns - reactor.now_ns()) > 0:
            self.child.log.info("startup delay: no instance takes part for %.3f s", wait_ns / NS_PER_S)
            reactor.call_at(begins_ns, lambda: self._survey(self.routers.values()))

    def _put(self, instance: VrrpInstance, known: dict[str, Any], previous: dict[str, Any], prepared_ns: int) -> None:
        """Make one instance what it shall be. `known`: what a predecessor of this process reported of it."""
        reactor = self.child.reactor
        router = self.routers.get(instance.identity)
        if router is not None and router.instance.vmac != instance.vmac:
            self._remove(router.instance, notify.STOP)  # on other interfaces it is another virtual router to its hosts
            router = None
        for device in instance.devices:
            self.house.interfaces.want(device)
        if router is not None:
            self._syncs.place(router, reactor.now_ns(), instance.name)
            before = router.instance.address_vmacs
            router.change(instance, reactor.now_ns())
            for device in before:
                if device not in instance.address_vmacs:
                    self.house.let_go(device)
            router.decide(self._overrides.get(instance.name), reactor.now_ns())
            return
        router = self.routers[instance.identity] = Router(
            self.house, instance, known, self._overrides.get(instance.name)
        )
        self._by_index[router.index] = router
        self._syncs.place(router, reactor.now_ns(), instance.name)
        age_ns = previous.get("died_ago_ns", 1 << 62) + reactor.now_ns() - prepared_ns
        router.survey(reactor.now_ns(), resume=resumable(instance, router.rules, known, age_ns))
        router.publish()

    def _remove_leftovers(self, config: Config, owned: Sequence[str]) -> None:
        """Addresses that an earlier daemon may have added and that left the configuration while none ran."""
        table = self.house.monitor.table
        wanted = {name for part in split(config) for name in part.owns}
        links = {link.name: link.index for link in table.links.values()}
        for text in owned:
            if (one := disowned(text)) is not None:
                if text not in wanted:
                    self._remove_belonging(one, links)
                continue
            interface, _, address = text.partition(" ")
            ip, _, prefixlen = address.partition("/")
            link = table.link(interface)
            if link is not None and text not in wanted and table.has(link.index, ip, int(prefixlen)):
                self.child.event("leftover", text, "an earlier daemon's address, configured no more: removed")
                key = link.index, ip, int(prefixlen)
                self.house.addresses.submit([Operation(key, rtnl.delete_address(*key), partial(self._left, text, key))])

    def _remove_belonging(self, one: Belonging, links: dict[str, int]) -> None:
        house = self.house
        try:
            found = routes.messages(one, links, house.upkeep.vrf_tables() if getattr(one, "vrf", "") else {})
        except routes.Missing:
            return  # it went with its interface
        if house.upkeep.has(found.seen):
            self.child.event("leftover", str(one), "an earlier daemon's, configured no more: removed")
            house.addresses.submit([Operation(BELONGING, found.delete, partial(self._left, str(one), None), GONE)])

    def _left(self, text: str, key: Key | None, errno: int) -> None:
        if not errno and key is not None:
            self.house.monitor.table.apply(rtnl.Gone(rtnl.Address(*key)))
        elif errno:
            self.child.log.error("%s: cannot be removed: %s", text, os.strerror(errno))

    def _remove(self, instance: VrrpInstance, last: str = notify.DELETED) -> None:
        router = self.routers.pop(instance.identity)
        router.give_up(self.child.reactor.now_ns(), last)
        del self._by_index[router.index]
        self._to_survey.pop(router, None)
        self._events = deque(e for e in self._events if e[0] != router.index)  # the index will be used again
        if router.sync is not None:
            router.sync.remove(router, self.child.reactor.now_ns())
        router.close()
        for device in instance.devices:
            self.house.let_go(device)
        self.child.facts({"instances": {instance.name: None}})

    def _assume(self, config: Config) -> None:
        for one in dict.fromkeys((t.kind, t.name) for i in config.instances for t in i.trackers if t.kind in REPORTED):
            if one not in self.house.states:
                self.child.log.warning("run by hand, nobody reports on %s %s: taken to be up", NAMES[one[0]], one[1])
                self.house.states[one] = True

    # -- events --

    def _look(self) -> None:
        """Once per turn that concerns Python: what the lane left for the machine. Not while some of it is still to be
        played: the lane keeps the best advert of each router, and a queue here would grow with a flood."""
        if self._house is not None and not self._more_due:
            self._events.extend(self._house.lane.take())
            self._play()

    def _play(self) -> None:
        """Adverts of all first, then addresses, then ARP: the queues of those are served after the slice."""
        self._more_due = False
        reactor, events = self.child.reactor, self._events
        end_ns = reactor.now_ns() + SLICE_NS
        while events:
            index, what, priority, src, adver_ns, heard_ns = events.popleft()
            router = self._by_index.get(index)
            if router is None:
                continue
            if what == lane.ADVERT:
                router.meet(priority, src, heard_ns)
                router.happen(machine.Advert(priority, src, adver_ns), heard_ns)
            elif what == lane.ZERO:
                router.happen(machine.AdvertZero(src), heard_ns)
            elif what == lane.TIMER:
                router.happen(machine.TimerFired(), reactor.now_ns())
            else:
                router.differs(src)
            if reactor.now_ns() >= end_ns:
                break
        if events:
            self._more_due = True
            reactor.call_at(reactor.now_ns(), self._play)
        if not self.house.addresses.idle:
            self.house.addresses.pump()

    def _host_changed(self, changes: Changes | None) -> None:
        house = self.house
        if changes is None or any(not ip for _, ip in changes):
            house.settling.look()
            house.interfaces.mend()
            used = (name for r in self.routers.values() for name in r.instance.heard_on)
            house.close_stale_receivers(set(used))
        if changes is None:
            self._survey(self.routers.values())
        # Our own service addresses come and go by the thousand; they concern `repair` alone.
        elif links := {index for index, ip in changes if ip not in house.service_ips}:
            names = {link.name for index in links if (link := house.monitor.table.links.get(index)) is not None}
            gone = bool(links - house.monitor.table.links.keys())
            self._survey(r for r in self.routers.values() if gone or not names.isdisjoint(r.follows))
        if house.statics and (changes is None or any(not ip for _, ip in changes)):
            house.statics.survey()
        self._disturbed()

    def _disturbed(self) -> None:
        """Something may have been taken away: of addresses the monitor knows; routes and rules want a look. The kernel
        drops IPv4 routes without a word when a link or an address goes."""
        if not self._repair_due:
            self._repair_due = True
            self.child.reactor.call_later(REPAIR_NS, self._repair)

    def _longest_down_ns(self, interface: str) -> int:
        """No instance on it may be without carrier for longer and not be in FAULT."""
        here = [r.longest_down_ns for r in self.routers.values() if r.instance.interface == interface]
        return min(here, default=LONG_NS)

    def _resurvey(self, names: set[str]) -> None:
        self._survey(router for router in self.routers.values() if router.instance.name in names)

    def _survey(self, routers: Iterable[Router]) -> None:
        """Have them look at the host again, in slices like events."""
        idle = not self._to_survey
        self._to_survey.update(dict.fromkeys(routers))
        if idle and self._to_survey:
            self._survey_slice()

    def _survey_slice(self) -> None:
        reactor = self.child.reactor
        end_ns = reactor.now_ns() + SLICE_NS
        while self._to_survey and reactor.now_ns() < end_ns:
            router = next(iter(self._to_survey))
            del self._to_survey[router]
            router.survey(reactor.now_ns())
            router.publish()
        if self._to_survey:
            reactor.call_at(reactor.now_ns(), self._survey_slice)

    def _repair(self) -> None:
        self._repair_due = False
        if self.house.statics or any(router.belongings for router in self.routers.values()):
            try:
                self.house.upkeep.look()
            except SystemFault as error:
                self.child.limited("routes", TELL_PER_S, str(error))
        self.house.statics.repair()
        for router in self.routers.values():
            router.repair()
            self._breathe()

    def _decide(self, message: Message) -> None:
        """All of what operators have decided about instances."""
        self._overrides = {name: VrrpOverride(**plain) for name, plain in message["overrides"].items()}
        for router in self.routers.values():
            router.decide(self._overrides.get(router.instance.name), self.child.reactor.now_ns())
        if self._house is not None and not self.house.addresses.idle:
            self.house.addresses.pump()

    def _tracked(self, kind: str, message: Message) -> None:
        """Other processes report on what instances follow."""
        self._known(kind, message["states"])

    def _known(self, kind: str, states: dict[str, int]) -> None:
        """Something that instances follow is other than it was."""
        if self._house is None:
            return
        self._house.states.update({(kind, name): state for name, state in states.items()})
        self._survey(
            r for r in self.routers.values() if any(t.kind == kind and t.name in states for t in r.instance.trackers)
        )

    def _count(self) -> None:
        """Every router once a second, a tenth at a time; of more than 200 each less often: counting costs 50 us."""
        for router in self._turns.next(self.routers.values()):
            if self._by_index.get(router.index) is router:
                router.count()
                self._breathe()
        if self._beat % 10 == 0:
            self._count_interfaces()
            self.house.statics.publish()
            if self.house.statics.uneasy:
                self._disturbed()
            self.house.interfaces.mend()
        self._beat += 1
        self.child.reactor.call_later(COUNT_NS, self._count)

    def _count_interfaces(self) -> None:
        """What was heard and belongs to no router of ours."""
        lane = self.house.lane
        now: dict[str, dict[str, Any]] = {}
        for receiver in self.house.receivers.values():
            one = now.setdefault(receiver.link.name, {"strangers": []})
            for name, value in lane.socket_counters(receiver.slot).items():
                one[name] = one.get(name, 0) + value
            one["strangers"] += [[vrid, machine.dotted(ip)] for vrid, ip in lane.strangers(receiver.slot).items()]
        self._followed.publish()
        if self._log_strangers:
            self._tell_strangers(now)
        gone = dict.fromkeys(self._interfaces.keys() - now.keys())
        patch = gone | {name: counters for name, counters in now.items() if self._interfaces.get(name) != counters}
        if patch:
            self._interfaces = now
            self.child.facts({"interfaces": patch})

    def _tell_strangers(self, now: dict[str, dict[str, Any]]) -> None:
        """`log_unknown_vrids`: each once."""
        for name, counters in now.items():
            for vrid, ip in counters["strangers"]:
                if (name, vrid) not in self._strangers_told:
                    self._strangers_told.add((name, vrid))
                    self.child.event("unknown_vrid", name, f"adverts of VRID {vrid}, which is nobody's here, from {ip}")

    # -- the end --

    def _orphaned(self) -> None:
        self.child.log.error("the parent is gone: giving up addresses in an orderly way")
        self._stop(EXIT_ORPHANED)

    def _keep(self) -> None:
        for router in self.routers.values():
            router.keeps = True
        if self._house is not None:
            self._house.statics.keeps = True

    def _stop(self, code: int) -> None:
        if self._stopping:
            return
        self._stopping = True
        self.work.clear()  # whatever is half done: all of it goes now
        for router in self.routers.values():
            router.give_up(self.child.reactor.now_ns())
        if self._house is not None:
            self._house.statics.give_up()
            while not self._house.addresses.idle:
                self._house.addresses.pump()
            self._house.promotion.close()
            self._house.igmp.close()
            if not any(router.keeps for router in self.routers.values()):
                self._house.interfaces.remove_all()
                self._house.firewall.stop()
        self.child.finish(code)

    def run(self) -> int:
        """Until stopped; the exit code."""
        try:
            return self.child.run()
        finally:
            self.work.clear()
            self._followed.close()
            if self._house is not None:
                self._house.close()
            self.child.reactor.close()


def _uptime_ns() -> int:
    """As /proc/uptime: with the time that the machine was suspended."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
