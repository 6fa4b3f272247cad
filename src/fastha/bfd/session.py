"""One session: feeds the machine with what the lane and the operator say, and does what it answers."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastha.bfd import machine
from fastha.bfd.adopt import adopt
from fastha.bfd.house import House
from fastha.bfd.machine import Event, Poll, State, detection_us, transmit_us
from fastha.bfd.rules import rules_of
from fastha.bfd.sockets import family_of, open_send, packed
from fastha.child.told import Told
from fastha.loop.reactor import Timer
from fastha.model import BfdInstance
from fastha.model.units import NS_PER_S, NS_PER_US
from fastha.wire import bfd as wire

if TYPE_CHECKING:
    from fastha.wire.bfd import Control

REOPEN_NS = NS_PER_S  # between tries to get a socket that sends
TELL_PER_S = 1 / 60
GOODBYES = 2  # packets that say AdminDown: one may be lost


class BfdSession:
    """`happen` plays one event. `told`: what a predecessor reported of it ({}: nothing)."""

    def __init__(self, house: House, bfd: BfdInstance, told: Mapping[str, Any], died_ago_ns: int, now_ns: int) -> None:
        self.house = house
        self.bfd = bfd
        self.rules = rules_of(bfd)
        self.since = float(told.get("since", time.time()))
        self.why = str(told.get("why", "started"))
        self.became_up = int(told.get("became_up", 0))
        self._socket: socket.socket | None = None
        self._port = int(told.get("source_port", 0))
        self._again: Timer | None = None
        self._told = Told(house.child, "sessions")
        mine = house.discriminator(int(told.get("discriminator", 0)))
        self.index = house.lane.add(mine=mine, **self._addresses())
        self.state = adopt(self.rules, told, died_ago_ns, mine, now_ns)
        if self.state.state is not State.UP:
            self.since, self.why = time.time(), "started"
        self.open()
        self._load(now_ns)
        if self.state.state is State.UP:
            house.lane.send(self.index)  # the peer has waited for us
            house.child.event("adopted", bfd.name, "up, as its predecessor left it")

    def _addresses(self) -> dict[str, Any]:
        bfd = self.bfd
        return {
            "family": family_of(bfd),
            "multihop": bfd.multihop,
            "peer": packed(bfd.neighbor_ip),
            "local": packed(bfd.source_ip),
            "least_ttl": max(bfd.ttl - bfd.max_hops, 0),
        }

    @property
    def up(self) -> bool:
        return self.state.state is State.UP

    # -- the socket --

    def open(self) -> None:
        """Get a socket that sends; if it cannot be had now (no such source address, no route), try again."""
        self._again = None
        self._close_socket()
        try:
            self._socket = open_send(self.bfd, self._port)
        except OSError as error:
            self._again = self.house.reactor.call_later(REOPEN_NS, self.open)
            text = f"{self.bfd.name}: cannot send to {self.bfd.neighbor_ip}: {error.strerror or error}"
            self.house.child.limited(f"{self.bfd.name} socket", TELL_PER_S, text)
            return
        self._port = self._socket.getsockname()[1]
        self.house.lane.connect(self.index, self._socket.fileno())

    def _close_socket(self) -> None:
        self.house.lane.connect(self.index, -1)
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    # -- events --

    def packet(self, fields: Control, heard_ns: int) -> bool:
        """One that the lane left to the machine; as `happen`."""
        flags = fields["flags"]
        return self.happen(
            machine.Packet(
                State(fields["state"]),
                fields["mine"],
                fields["multiplier"],
                fields["min_tx_us"],
                fields["min_rx_us"],
                fields["diag"],
                bool(flags & wire.POLL),
                bool(flags & wire.FINAL),
                bool(flags & wire.DEMAND),
            ),
            heard_ns,
        )

    def happen(self, event: Event, now_ns: int) -> bool:
        """Play one event; whether the session has come up or gone down by it."""
        was_up = self.up
        at = self.house.lane.detect_at(self.index)
        old = replace(self.state, detect_at_ns=at if at >= 0 else None)
        self.state, effects = machine.step(self.rules, old, event, now_ns)
        self._load(now_ns)
        for effect in effects:
            match effect:
                case machine.Send(final):
                    self.house.lane.send(self.index, final)
                case machine.Notify(before, after, why):
                    self.since, self.why = time.time(), why
                    self.became_up += after is State.UP
                    level = logging.WARNING if before is State.UP else logging.INFO
                    self.house.child.event("bfd", self.bfd.name, f"{before} -> {after}: {why}", level, why)
        self.publish()
        return self.up is not was_up

    def _load(self, now_ns: int) -> None:
        s = self.state
        self.house.lane.load(
            self.index,
            wire.encode(
                s.state,
                s.diag,
                self.rules.multiplier,
                s.mine,
                s.yours,
                s.desired_us,
                s.required_us,
                wire.POLL if s.poll is not Poll.NONE else 0,
            ),
            {
                "state": s.remote_state,
                "diag": s.remote_diag,
                "flags": wire.DEMAND if s.remote_demand else 0,
                "multiplier": s.remote_multiplier,
                "mine": s.yours,
                "yours": s.mine,
                "min_tx_us": s.remote_min_tx_us,
                "min_rx_us": s.remote_min_rx_us,
                "min_echo_us": 0,
            },
            transmit_us(self.rules, s) * NS_PER_US,
            detection_us(s) * NS_PER_US,
            -1 if s.detect_at_ns is None else s.detect_at_ns,
            now_ns,
        )

    # -- configuration --

    def change(self, new: BfdInstance, now_ns: int) -> None:
        """A reload changed it; the neighbour is the same."""
        old, self.bfd = self.bfd, new
        self.rules = rules_of(new)
        self.house.lane.configure(self.index, **self._addresses())
        if (old.source_ip, old.ttl) != (new.source_ip, new.ttl):
            if self._again is not None:
                self._again.cancel()
            self.open()
        self.happen(machine.RulesChanged(), now_ns)

    def give_up(self, now_ns: int) -> None:
        """Stop or removal: AdminDown, said while we still can (RFC 5880 section 6.8.16)."""
        self.happen(machine.Shutdown(), now_ns)
        for _ in range(GOODBYES - 1):
            self.house.lane.send(self.index)

    def close(self) -> None:
        """Forget the session (after `give_up`)."""
        if self._again is not None:
            self._again.cancel()
        self._close_socket()
        self.house.lane.remove(self.index)
        self.house.taken.discard(self.state.mine)

    # -- facts --

    def publish(self) -> None:
        """Tell the parent what differs from what it was told."""
        self._told.publish(self.bfd.name, self._facts())

    def _facts(self) -> dict[str, Any]:
        s, bfd = self.state, self.bfd
        return {
            "state": str(s.state),
            "since": self.since,
            "why": self.why,
            "diag": int(s.diag),
            "neighbor": bfd.neighbor_ip,
            "source": bfd.source_ip,
            "source_port": self._port,
            "multihop": bfd.multihop,
            "passive": bfd.passive,
            "discriminator": s.mine,
            "remote_discriminator": s.yours,
            "remote_state": str(s.remote_state),
            "remote_diag": int(s.remote_diag),
            "desired_us": s.desired_us,
            "required_us": s.required_us,
            "multiplier": self.rules.multiplier,
            "remote_min_tx_us": s.remote_min_tx_us,
            "remote_min_rx_us": s.remote_min_rx_us,
            "remote_multiplier": s.remote_multiplier,
            "remote_demand": s.remote_demand,
            "tx_us": transmit_us(self.rules, s),
            "detection_us": detection_us(s),
            "became_up": self.became_up,
            **self.house.lane.counters(self.index),
        }

    def count(self) -> None:
        """Now and then: publish counters, tell (within limits) of what was dropped and what does not leave."""
        name, facts = self.bfd.name, self._facts()
        self._told.drops(name, "packets", facts["discarded"], quiet=("admin_down",))
        self._told.publish(name, facts)

    def reopen(self) -> None:
        """Its socket does not send any more: the route or our address has changed."""
        errno = self.house.lane.counters(self.index)["last_errno"]
        assert isinstance(errno, int)
        text = f"{self.bfd.name}: cannot send to {self.bfd.neighbor_ip}: {os.strerror(errno)}"
        self.house.child.limited(f"{self.bfd.name} socket", TELL_PER_S, text)
        if self._again is None:
            self.open()
