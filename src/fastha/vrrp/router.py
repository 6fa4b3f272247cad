"""One virtual router: feeds the machine with what the lane, the host and the operator say, and does what it answers."""

from __future__ import annotations

import logging
import os
import time
from collections import ChainMap
from dataclasses import asdict, replace
from functools import partial
from itertools import islice
from typing import Any

from fastha.child.told import Told
from fastha.link import links, messages, rtnl
from fastha.link.addresses import BELONGING, Key, Operation
from fastha.link.rtnl import FOREVER_S, Link
from fastha.model import VrrpInstance
from fastha.model.override import VrrpOverride
from fastha.model.units import NS_PER_S
from fastha.model.vrrp import GROUPS
from fastha.scripts import letters, lines
from fastha.vrrp import frames, group, lane, machine, notify, trackers
from fastha.vrrp.belongings import Belongings
from fastha.vrrp.frames import ArpBlock
from fastha.vrrp.garp import Token
from fastha.vrrp.house import House
from fastha.vrrp.interfaces import ours
from fastha.vrrp.machine import Event, Role, State
from fastha.vrrp.peers_seen import Peers
from fastha.vrrp.rivals import Rivals
from fastha.vrrp.rules import Rules, rules_of
from fastha.vrrp.sealed import beyond, seal_of
from fastha.vrrp.sockets import forwarding
from fastha.vrrp.sparing import Sparing
from fastha.vrrp.sync import Sync

HOST6 = 128
QUIET_NS = 5 * NS_PER_S  # counters of very many instances are looked at less often than once a second
ROLES = list(Role)  # lane_role is the position
TELL_PER_S = 1 / 60
NONE: list[Any] = []  # in facts of thousands of instances; nobody adds to it

Messages = dict[Key, tuple[bytes, bytes]]  # address -> its prebuilt RTM_NEWADDR and RTM_DELADDR


class Router:
    """`survey` compares with the host and what it tracks; `happen` plays one event."""

    __slots__ = (
        "_adding", "_announce", "_built", "_counted_in", "_held", "_last", "_lift_to", "_master_ns", "_sequence",
        "_staged_as", "_told", "_untracked", "arp", "became_master", "belongings", "differing", "extra_arp", "house",
        "index", "instance", "keeps", "messages", "override", "peers", "released_master", "repaired", "rivals", "rules",
        "since", "sparing", "state", "sync", "token", "why", "zero_sent",
    )  # fmt: skip

    def __init__(
        self, house: House, instance: VrrpInstance, previous: dict[str, Any], override: VrrpOverride | None = None
    ) -> None:
        self.house = house
        self.instance = instance
        self.override = override
        self.index = house.lane.add()
        self.since = time.time()
        self.why = "started"
        self.became_master = int(previous.get("became_master", 0))
        self.released_master = int(previous.get("released_master", 0))
        self.zero_sent = int(previous.get("zero_sent", 0))
        self.repaired = 0
        self._sequence = int(previous.get("sequence", 0))  # of signed adverts: peers have heard it
        self.peers = Peers(previous.get("peers", ()))
        self.rivals = Rivals()
        self.sparing = Sparing()
        self._master_ns = 0  # since when its role is what it is
        self.differing: frozenset[int] = frozenset()  # peers whose address list is not ours
        self.messages: Messages = {}
        self.arp: list[ArpBlock] = []
        self.extra_arp: list[ArpBlock] = []
        self.token: Token | None = None
        self._held: set[Key] = set()  # addresses of a master that were seen in place
        self._adding = 0  # addresses whose acknowledgement is awaited
        self._last = notify.STOP  # what the end is called
        self._announce = ""  # the occasion to announce when they have come
        self._built: object = None
        self._untracked: frozenset[Key] = frozenset()
        self._lift_to = False  # what its VMAC shall be
        self._staged_as: object = None  # the _built whose addresses are on the VMAC
        self._told = Told(house.child, "instances")
        self._counted_in: State | None = None  # the state when all facts were told
        self.sync: Sync | None = None
        self.keeps = False  # its addresses stay when it gives up
        self.rules = rules_of(instance, 0, override)
        self._build()
        self.belongings = Belongings(house, instance.name)
        self.belongings.build(instance.belongings)
        self.belongings.adopt()
        found = self.belongings.holds or self._finds_addresses()
        holding = previous.get("state") == "master" or found
        self.state = State(priority=self._priority(), holding=holding)
        self._load()
        self._stage()

    # -- events --

    def happen(self, event: Event, now_ns: int) -> None:
        """Play one event: the lane's timers in, the machine's answer out, effects in order."""
        if self.sync is not None:
            self.sync.happen(self, event, now_ns)
            return
        old = self.present()
        new, effects = machine.step(self.rules, old, event, now_ns)
        self.take(old, new)
        for effect in effects:
            self.perform(effect)

    def take(self, old: State, new: State) -> None:
        """Be in state `new` from now on; it was `present` in `old`."""
        self.state = new
        if new != old:
            self._load()

    def meet(self, priority: int, src: int, now_ns: int) -> None:
        """Somebody else's advert: two masters, if this is one and is to stay it. One that has just taken over may still
        hear its predecessor, and the loser cannot tell this from being taken over from."""
        state, rules = self.state, self.rules
        if state.role is not Role.MASTER or (priority, src) >= (state.priority, rules.own_ip):
            return
        if now_ns - self._master_ns < rules.advert_int_ns:
            return
        ip, differs = machine.dotted(src), src in self.differing
        self._two_masters(
            self.rivals.heard(ip, priority, state.priority, differs, now_ns, time.time(), rules.silence_ns)
        )

    def differs(self, src: int) -> None:
        """A peer announces other addresses than ours; it is honoured all the same."""
        self.differing = frozenset([src, *islice(self.differing, lane.REMEMBERED - 1)])
        text = f"{machine.dotted(src)} announces other addresses than ours; honoured"
        if told := self.sparing.tells(text, self.house.reactor.now_ns()):
            self.house.child.event("addresses", self.instance.name, told)

    def _two_masters(self, text: str) -> None:
        if text and (told := self.sparing.tells(text, self.house.reactor.now_ns())):
            self.house.child.event("two_masters", self.instance.name, told, logging.WARNING, text.partition("): ")[2])

    def present(self) -> State:
        """The state with what the lane has moved since it was loaded."""
        deadline_ns, master_adver_ns = self.house.lane.timers(self.index)
        return replace(
            self.state, deadline_ns=deadline_ns if deadline_ns >= 0 else None, master_adver_ns=master_adver_ns
        )

    def _load(self) -> None:
        s = self.state
        self.house.lane.load(
            self.index,
            ROLES.index(s.role),
            s.priority,
            -1 if s.deadline_ns is None else s.deadline_ns,
            s.master_adver_ns,
            s.master_ip,
            s.master_priority,
            s.holding,
            s.preempt_at_ns is not None,
        )

    @property
    def interfaces(self) -> set[str]:
        """Names of all it needs and does not make itself."""
        instance = self.instance
        addresses = (a.dev for a in instance.carried if a.dev and a.tracked)
        return {instance.interface, *addresses, *(dev for one in instance.belongings for dev in one.watched_devs)}

    @property
    def follows(self) -> set[str]:
        """Names of all interfaces whose changes concern it."""
        instance = self.instance
        tracked = {t.name for t in instance.track if t.kind == "interface"}
        return (
            {device.name for device in instance.devices}
            | self.interfaces
            | tracked
            | {instance.dev_of(a) for a in instance.carried}
            | self.belongings.devs
        )

    # -- what the host says --

    def survey(self, now_ns: int, resume: bool = False) -> None:
        """Bring faults, frames, rules and priority up to what is true now; take part once nothing is in the way.

        New faults come first, while the old frames can still say goodbye; faults are cleared last.
        """
        faults = self._faults()
        for reason in sorted(faults - self.state.faults):
            self.happen(machine.FaultRaised(reason), now_ns)
        old = self.rules
        self._build()
        if self.rules != old and self.state.role is not Role.INIT:
            self.happen(machine.RulesChanged(old), now_ns)
        self._weigh(now_ns)
        faults = self._faults()  # opening a socket may have failed
        for reason in sorted(faults - self.state.faults):
            self.happen(machine.FaultRaised(reason), now_ns)
        for reason in sorted(group.own_faults(self.state) - faults):
            self.happen(machine.FaultCleared(reason), now_ns)
        self.belongings.build(self.instance.belongings)
        if self.state.role is Role.INIT:
            if waiting := trackers.unknown(self.instance, self._tracked(self.instance)):
                self.why = f"waits for the first word about {waiting[0]}"
            elif now_ns < self.house.begins_ns:
                self.why = "startup delay"
            else:
                self.happen(machine.Startup(resume), now_ns)
        if self._staged_as is not self._built:
            self._stage()

    @property
    def longest_down_ns(self) -> int:
        """How long its link may be down and count as up."""
        state = self.present()
        heard_ns = state.master_adver_ns if state.role is Role.BACKUP else self.rules.advert_int_ns
        return self.instance.longest_down_ns(self.rules.interval_ns(heard_ns))

    def _tracked(self, instance: VrrpInstance) -> trackers.States:
        """What is known of the things `instance` follows."""
        links = [t.name for t in instance.track if t.kind == "interface"]
        if not links:
            return self.house.states
        here: dict[tuple[str, str], int] = {
            ("interface", name): (link := self.house.link(name)) is not None and self.house.settling.running(link)
            for name in links
        }
        return ChainMap(here, self.house.states)

    def _priority(self) -> int:
        base = self.override.priority if self.override is not None else 0
        return trackers.effective_priority(self.instance, self._tracked(self.instance), base)

    def _weigh(self, now_ns: int) -> None:
        priority = self._priority()
        if priority != self.state.priority:
            text = f"effective priority {self.state.priority} -> {priority}"
            base = self.override.priority if self.override is not None else 0
            cause = trackers.told(self.instance, self._tracked(self.instance), base)
            self.happen(machine.PriorityChanged(priority), now_ns)
            self.house.child.event("priority", self.instance.name, f"{text}: {cause}", cause=cause)
            if self.instance.notify_priority and self.state.role in (Role.MASTER, Role.BACKUP):
                self.say(f"{str(self.state.role).upper()}_PRIORITY")

    def _faults(self) -> frozenset[str]:
        instance, table = self.instance, self.house.monitor.table
        reasons = trackers.faults(instance, self._tracked(instance)) + self.house.statics.faults(instance.name)
        for name in self.interfaces:
            link = table.link(name)
            if link is None:
                reasons.append(f"interface {name} does not exist")
            elif not self.house.settling.running(link) and (name != instance.interface or instance.wire.track_primary):
                reasons.append(f"interface {name} is down")
            elif name == instance.interface:
                if not self._own_ip(link):
                    kind = "IPv4" if instance.family == 4 else "link-local IPv6"
                    reasons.append(f"interface {name} has no {kind} address")
                source = instance.unicast_src or instance.wire.source
                if instance.wire.track_source and source and not table.holds(link.index, source):
                    reasons.append(f"interface {name} has lost {source}")
                if (size := frames.advert_size(instance)) > link.mtu:
                    reasons.append(f"adverts of {size} bytes do not fit into the MTU {link.mtu} of {name}")
                if name in self.house.refused:
                    reasons.append(self.house.refused[name])
        if instance.wire.lacks_peer:
            reasons.append("no unicast peer")
        if instance.vmac is not None and instance.vmac.ipvlan and instance.family == 4 and not instance.vmac.own:
            reasons.append("use_ipvlan has no address")
        for device in instance.devices:
            reasons += self.house.why_not(device)
        return frozenset(reasons)

    def _own_ip(self, link: Link) -> str:
        table = self.house.monitor.table
        device = self.instance.vmac
        if said := self.instance.unicast_src or self.instance.wire.source or (device is not None and device.own):
            return said.partition("/")[0]
        own = table.primary(link.index, self.house.service_ips, self.instance.family)
        # A link-local address that only a master has is none to speak from, except for the owner of the addresses.
        return own if self.instance.family == 4 or self.rules.owner or own not in self.house.service_ips else ""

    # -- what is built beforehand --

    def _build(self) -> None:
        """Frames, address messages and ARP for the interfaces as they are now; nothing if they are as they were."""
        instance, house = self.instance, self.house
        link = house.link(instance.interface)
        devs = {instance.dev_of(a) for a in instance.carried} | {instance.carrier}
        links = {dev: found for dev in devs if (found := house.link(dev)) is not None}
        own = self._own_ip(link) if link is not None else ""
        ah = instance.auth.kind == "ah"
        device = instance.vmac
        # Multicast comes to the base of an ipvlan, too; what is for its own address to itself.
        heard = house.link(device.name) if device is not None and device.ipvlan and instance.unicast else link
        slot = house.slot(heard, instance.group, ah) if heard is not None else -1
        vmac = links.get(device.name) if device is not None and not device.ipvlan else None
        second_slot = -1
        if vmac is not None and slot >= 0 and not instance.unicast:
            second_slot = house.second_slot(vmac, slot, instance.group, ah)
        constants = tuple((dev, _constant(found)) for dev, found in sorted(links.items()))
        valid_s = self._valid_s
        way = house.way_of(instance, link) if link is not None and instance.unicast else None
        built = (instance, valid_s, self.override, _constant(link), _constant(way), own, slot, second_slot, constants)
        if built == self._built:
            return
        self._built = built
        # Without an address it still takes part in its end with the one it had.
        self.rules = rules_of(instance, frames.number(own) if own else self.rules.own_ip, self.override)
        rules = self.rules
        source = house.unicast(instance.family, way) if instance.unicast else house.packet
        seal = seal_of(instance)
        house.lane.seal(self.index, seal, rules.silence_ns, beyond(seal, self._sequence))
        nobody = "0.0.0.0" if instance.family == 4 else "::"
        house.lane.configure(
            self.index,
            slot=slot,
            listen_ip=frames.packed([own or nobody if instance.unicast else instance.group]),
            version=rules.version,
            vrid=instance.vrid,
            own_ip=rules.own_ip,
            advert_int_ns=rules.advert_int_ns,
            silence_ns=rules.patience_ns,
            down_adverts=rules.down_timer_adverts,
            preempt=rules.preempt,
            patient=rules.preempt_delay_ns > 0,
            deaf=rules.deaf,
            auth=frames.password(instance),
            addresses=frames.packed([a.ip for a in instance.addresses]),
            tx_fd=source.fileno() if link is not None and source is not None else -1,
            frames=frames.advert_frames(instance, own, link, house.source_mac(instance, link)) if link and own else [],
            second_slot=second_slot,
            trusting=instance.wire.trusting,
            plain_sum=instance.wire.plain_sum,
            old_sum=frames.number(GROUPS[4]) if instance.wire.old_sum else 0,
            allowed=frames.allowed(instance),
        )
        self.messages = {}
        for a in instance.carried:
            if found := links.get(instance.dev_of(a)):
                self.messages[found.index, a.ip, a.prefixlen] = (
                    messages.add(found.index, a, valid_s),
                    messages.delete(found.index, a),
                )
        routers = forwarding(links)
        self.arp = frames.arp_blocks(instance, links, routers)
        self.extra_arp = frames.extra_blocks(instance, links, routers)
        self._untracked = frozenset(
            (found.index, a.ip, a.prefixlen)
            for a in instance.carried
            if not a.tracked and (found := links.get(instance.dev_of(a)))
        )
        house.promotion.want(self.index, frozenset(links) if instance.promote_secondaries else frozenset())

    def change(self, new: VrrpInstance, now_ns: int) -> None:
        """A reload changed this instance: role, timers and counters stay, only the difference is applied."""
        old, old_messages, old_rules = self.instance, self.messages, self.rules
        if new.name != old.name:
            self.house.child.facts({"instances": {old.name: None}})
            self._told.forget()
        self.instance = new
        for reason in sorted(self._faults() - self.state.faults):  # while the old frames can still say goodbye
            self.happen(machine.FaultRaised(reason), now_ns)
        self._build()
        if self.state.role is Role.MASTER or self.state.holding or self._staged:
            dropped = {key: both for key, both in old_messages.items() if key not in self.messages}
            self._held -= dropped.keys()
            self._remove(dropped)
        fresh = tuple(a for a in new.carried if a not in old.carried)
        if self.state.role is not Role.INIT and self.state.role is not Role.FAULT:
            priority = self._priority()
            if priority != self.state.priority:
                self.happen(machine.PriorityChanged(priority), now_ns)
            self.happen(machine.RulesChanged(old_rules), now_ns)
            if fresh and self.state.role is Role.MASTER:
                self._announce_only(replace(new, addresses=fresh, excluded=()))
        self.survey(now_ns)
        self.publish()

    def _announce_only(self, part: VrrpInstance) -> None:
        """ARP for added addresses, in a burst of its own; the refresh knows all of them from now on."""
        links = {dev: link for dev in {part.dev_of(a) for a in part.carried} if (link := self.house.link(dev))}
        blocks = frames.arp_blocks(part, links, forwarding(links))
        self.house.announcer.announce(blocks, replace(part.garp, master_refresh_ns=0, extra_ns=0), "master")
        if self.token is not None:
            self.token.blocks[:], self.token.extra[:] = self.arp, self.extra_arp

    def decide(self, override: VrrpOverride | None, now_ns: int) -> None:
        """An operator has decided something else about it."""
        before, self.override = self.override, override
        if override == before:
            return
        old = self.rules
        self._build()
        if override is not None and override.failover and self.state.role is Role.MASTER:
            self.happen(machine.Resign(f"failover, asked for by {override.by}"), now_ns)
        if self.rules != old and self.state.role is not Role.INIT:
            self.happen(machine.RulesChanged(old), now_ns)
        self._weigh(now_ns)
        self.publish()

    def give_up(self, now_ns: int, last: str = notify.STOP) -> None:
        """Stop or removal (`last`): priority 0 if master, addresses returned."""
        self._last = last
        self.happen(machine.Shutdown(), now_ns)
        if (link := self._staged) is not None and not ours(link) and not self.keeps:
            self._remove(self.messages)  # else they go with it

    def _tell(self, role: Role) -> None:
        """Scripts and FIFOs, in their order."""
        child, name = self.house.child, self.instance.name
        state = self._last if role is Role.INIT else str(role).upper()
        scripts, line = notify.told(self.instance, state, self.state.priority)
        for script in scripts:
            child.script(script, name)
        child.send("notify", line=line)
        if self.instance.smtp_alert:
            child.post(letters.instance(name, state, self.why))

    def _tell_lower(self) -> None:
        """This master has heard a lower priority, and answered."""
        if (script := self.instance.notify.rx_lower) is not None:
            self.house.child.script(script, self.instance.name)
        self.say("MASTER_RX_LOWER_PRI")

    def say(self, what: str) -> None:
        """A line for the FIFOs alone."""
        self.house.child.send("notify", line=lines.instance(self.instance.name, what, self.state.priority))

    def repeat(self) -> None:
        """The state once more for the FIFOs."""
        if self.state.role is not Role.INIT:
            self.say(str(self.state.role).upper())

    def close(self) -> None:
        """Forget the router (after `give_up`)."""
        self._silence()
        self.house.promotion.want(self.index, frozenset())
        self.house.lane.remove(self.index)

    def _finds_addresses(self) -> bool:
        """Some predecessor left it master."""
        if self._staged is not None and not self._staged.up:
            return False
        return any(self.house.monitor.table.has(*key) for key in self.messages)

    # -- effects --

    def perform(self, effect: machine.Effect) -> None:
        match effect:
            case machine.SendAdvert(priority):
                self.house.lane.send(self.index, priority)
                self.zero_sent += priority == 0
            case machine.AddAddresses():
                self._lift(True)
                self._add_missing()
                self.belongings.add()
            case machine.RemoveAddresses():
                self._announce = ""
                self._silence()
                if not self.keeps:
                    self.belongings.remove()
                    self._give_back()
            case machine.Garp(occasion):
                self._announce = occasion
                if not self._adding:
                    self._start_announcing()
                if occasion == "lower_prio":
                    self._tell_lower()
            case machine.Notify(old, new, why):
                self.since, self.why = time.time(), why
                self.became_master += new is Role.MASTER
                self._master_ns = self.house.reactor.now_ns()
                self.released_master += old is Role.MASTER
                level = logging.WARNING if new is Role.FAULT else logging.INFO
                self.house.child.event("state", self.instance.name, f"{old} -> {new}: {why}", level, why)
                self._tell(new)
                self.publish()
                if new is Role.MASTER and self.override is not None and self.override.failover:
                    self.house.child.send("failover_over", instance=self.instance.name, since=self.override.since)
            case machine.Warn(text):
                self.house.child.limited(f"{self.instance.name} {text}", TELL_PER_S, f"{self.instance.name}: {text}")

    def _give_back(self) -> None:
        """Addresses are nobody's here any more."""
        if self._staged is not None:
            self._lift(False)
            return
        self._held.clear()
        self._remove(self.messages)

    def _add_missing(self) -> list[Key]:
        """Ask for every address the kernel does not hold; those it has are not touched."""
        queue, table = self.house.addresses, self.house.monitor.table
        ours = self._held & self._untracked  # once they were there, nobody looks after them
        missing = [key for key in self.messages if (queue.busy(key) or not table.has(*key)) and key not in ours]
        self._held.update(self.messages.keys() - missing)
        self._adding += len(missing)
        queue.submit(Operation(key, self.messages[key][0], partial(self._added, key)) for key in missing)
        return missing

    def _added(self, key: Key, error: int) -> None:
        if not error:
            self._held.add(key)
            self.house.monitor.table.add(*key)  # there is no notification
        else:
            self._complain("add", error)
        self._settled()

    def _settled(self) -> None:
        """One of the operations that become a master is done."""
        self._adding -= 1
        if self._adding == 0 and self._announce:
            self._start_announcing()

    # -- staged addresses: on the VMAC in every role; it is up in a master alone --

    @property
    def _staged(self) -> Link | None:
        """The VMAC that keeps its addresses while it is down."""
        vmac = self.instance.vmac
        return self.house.link(vmac.name) if vmac is not None and vmac.staged else None

    def _stage(self) -> None:
        """Down unless master, and only then given what is missing: a backup must never answer for an address."""
        self._staged_as = self._built
        if (link := self._staged) is not None:
            wanted = self.state.role is Role.MASTER or self.state.holding
            if link.up != wanted:
                self._lift(wanted)
            self._add_missing()

    def _lift(self, up: bool) -> None:
        """Set the VMAC up or down, ahead of all other work; one such operation at a time, for the last word counts."""
        self._lift_to = up
        if (link := self._staged) is None or link.up == up or self.house.addresses.busy((link.index, "", 0)):
            return
        self._adding += 1
        operation = Operation((link.index, "", 0), links.set_up(link.index, up), partial(self._lifted, link, up))
        self.house.addresses.submit([operation], urgent=True)

    def _lifted(self, link: Link, up: bool, error: int) -> None:
        if not error and self.house.monitor.table.links.get(link.index) is not None:
            self.house.monitor.table.apply(replace(link, up=up, running=up))  # ahead of the notification
        elif error:
            self._complain("set up or down the VMAC of", error)
        if self._lift_to != up:
            self._lift(self._lift_to)
        self._settled()

    def _remove(self, some: Messages) -> None:
        self.house.addresses.submit(
            Operation(key, delete, partial(self._removed, key)) for key, (_, delete) in some.items()
        )

    @property
    def _valid_s(self) -> int:
        """How long an address lives that is not renewed. Staged ones are there in every role, unrenewed."""
        return FOREVER_S if self._staged is not None else self.house.lease.valid_s

    def renew(self) -> None:
        """Every address that is there gets its lifetime anew."""
        if (self.state.role is Role.MASTER or self.state.holding) and self._staged is None:
            has, link, valid_s = self.house.monitor.table.has, self.house.link, self._valid_s
            self.house.addresses.submit(
                Operation(BELONGING, messages.add(found.index, a, valid_s, renew=True), self._renewed)
                for a in self.instance.carried
                if (found := link(self.instance.dev_of(a))) and has(found.index, a.ip, a.prefixlen)
            )

    def _renewed(self, error: int) -> None:
        self._complain("renew", error)

    def _removed(self, key: Key, error: int) -> None:
        if not error:
            self.house.monitor.table.apply(rtnl.Gone(rtnl.Address(*key)))
        self._complain("remove", error)

    def _complain(self, verb: str, error: int) -> None:
        if error:
            name = self.instance.name
            text = f"{name}: cannot {verb} an address: {os.strerror(error)}"
            self.house.child.limited(f"{name} {verb}", TELL_PER_S, text, logging.ERROR)

    def _start_announcing(self) -> None:
        occasion, self._announce = self._announce, ""
        if self.state.role is Role.MASTER and self.arp:
            self.token = self.house.announcer.announce(
                self.arp, self.instance.garp, occasion, self.extra_arp, self.token
            )

    def _silence(self) -> None:
        if self.token is not None:
            self.house.announcer.cancel(self.token)
            self.token = None

    def repair(self) -> None:
        """Addresses of a master that somebody took away come back; those the kernel refused are tried again."""
        if self._staged is not None and not self._adding:
            self._stage()
        if self.state.role is not Role.MASTER:
            return
        self.belongings.look()
        if self._adding:
            return
        if stolen := [key for key in self._add_missing() if key in self._held]:
            self.repaired += len(stolen)
            lost = ", ".join(ip for _, ip, _ in stolen[:3]) + (", ..." if len(stolen) > 3 else "")
            name = self.instance.name
            self.house.child.limited(f"{name} lost", 1.0, f"{name}: somebody removed {lost}; added again")

    # -- facts --

    def publish(self) -> None:
        """Tell the parent what differs from what it was told."""
        self._counted_in = self.state
        self._told.publish(self.instance.name, self._facts() | self._counts(self.house.lane.counters(self.index)))

    def _facts(self) -> dict[str, Any]:
        """What an event changes."""
        state, instance = self.state, self.instance
        return {
            "state": str(state.role),
            "since": self.since,
            "why": self.why,
            "interface": instance.interface,
            "vrid": instance.vrid,
            "version": instance.version,
            "advert_int_ns": instance.advert_int_ns,
            "priority_base": instance.priority,
            "priority": state.priority,
            "priority_from": trackers.parts(instance, self._tracked(instance)) or NONE,
            "master": machine.dotted(state.master_ip) if state.master_ip else "",
            "addresses": [str(a) for a in instance.carried],
            "holding": state.holding,
            "faults": sorted(state.faults) or NONE,
            "master_priority": state.master_priority,
            "master_advert_int_ns": state.master_adver_ns,
            "became_master": self.became_master,
            "routes": [str(route) for route in instance.routes] or NONE,
            "rules": [str(rule) for rule in instance.rules] or NONE,
            "released_master": self.released_master,
            "zero_sent": self.zero_sent,
            "override": None if self.override is None else asdict(self.override),
        }

    def _counts(self, counters: dict[str, object]) -> dict[str, Any]:
        """What changes without one."""
        return {
            "repaired": self.repaired + self.belongings.repaired,
            "refused": sorted(f"{one}: {why}" for one, why in self.belongings.refused.items()) or NONE,
            "two_masters": self.rivals.facts(
                self.state.role is Role.MASTER, self.house.reactor.now_ns(), max(self.rules.silence_ns, QUIET_NS)
            ),
            "peers": self.peers.told(self.house.lane.peers(self.index)) or NONE,
            **counters,
        }

    def count(self) -> None:
        """Once a second: look after the addresses, publish counters, tell (within limits) of dropped adverts."""
        self.repair()
        if self.belongings.uneasy:
            self.house.disturbed()
        master, now_ns = self.state.role is Role.MASTER, self.house.reactor.now_ns()
        counters = self.house.lane.counters(self.index)
        discarded = counters["discarded"]
        assert isinstance(discarded, dict)
        self._two_masters(self.rivals.discarded(discarded, master, self.state.priority, now_ns, time.time(), QUIET_NS))
        self._told.drops(self.instance.name, "adverts", discarded)
        if self.state is self._counted_in:
            self._told.publish(self.instance.name, self._counts(counters))
        else:
            self.publish()


def resumable(instance: VrrpInstance, rules: Rules, previous: dict[str, Any], died_ago_ns: int) -> bool:
    """Can no peer have given up the predecessor yet?

    A master whose loop lived sent its last advert at most one interval before its last sign of life; a peer waits
    down_timer_adverts intervals (and its skew).
    """
    return previous.get("state") == "master" and died_ago_ns < (rules.down_timer_adverts - 1) * min(
        rules.advert_int_ns, 10 * NS_PER_S
    )


def _constant(link: Link | None) -> object:
    """What frames depend on: not whether it is up."""
    return None if link is None else (link.index, link.name, link.mac, link.arp)
