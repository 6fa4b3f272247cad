"""Keeps IPVS timeouts and synchronisation daemons as wanted (shell over checker/lvs.py).

Timeouts are set at a commit, found again every 10 s, and put back at an orderly stop; what was there before us is in
the facts, so that a successor knows it too. Daemons follow the instance they are bound to.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from fastha.checker import lvs
from fastha.child.log import Limiter
from fastha.dataplane.backend import KernelBalancer
from fastha.dataplane.rows import Daemon, Timeouts
from fastha.loop.reactor import Reactor, Timer
from fastha.model import LvsDefs
from fastha.model.units import NS_PER_S

PERIOD_NS = 10 * NS_PER_S


class LvsKeeper:
    """`commit` with each configuration, `states` with each change of an instance, `stop` at an orderly end."""

    def __init__(
        self,
        balancer: KernelBalancer,
        reactor: Reactor,
        limited: Limiter,
        told: Callable[[str, str], object] = lambda _subject, _text: None,
    ) -> None:
        """`told(subject, text)` hears what an operator should see."""
        self.before: Timeouts | None = None  # what was there before the first of ours; None: nothing of ours is set
        self._balancer = balancer
        self._reactor = reactor
        self._limited = limited
        self._told = told
        self._defs = LvsDefs()
        self._states: dict[str, str] = {}
        self._ours: dict[int, Daemon] = {}  # by state: started by us, or by our predecessor for the same configuration
        self._timer: Timer | None = None

    def commit(self, defs: LvsDefs, previous: Mapping[str, Any]) -> None:
        """Make these the wanted ones. `previous`: the predecessor's facts at the start of this process, else {}."""
        reported = previous.get("lvs", {})
        if self.before is None and "timeouts_before" in reported:
            self.before = Timeouts(**reported["timeouts_before"])
        for row in reported.get("daemons", []):
            self._ours.setdefault(row["state"], Daemon(**row))
        self._defs = defs
        self.check(first=True)

    def states(self, states: Mapping[str, str]) -> bool:
        """Instances (some of them) are in these states now, "gone" for one that is no more. True if that changed a
        daemon."""
        merged = {**self._states, **states}
        self._states = {name: state for name, state in merged.items() if state != "gone"}
        return self._guarded(self._keep_daemons, first=True)

    def check(self, first: bool = False) -> None:
        """Compare and repair; `first`: differences are new wishes, not somebody else's doing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._guarded(self._keep_timeouts, first)
        self._guarded(self._keep_daemons, first)
        asked = lvs.timeouts(self._defs) != Timeouts() or self._defs.sync_daemon
        if asked or self.before is not None or self._ours:
            self._timer = self._reactor.call_later(PERIOD_NS, self.check)

    def facts(self) -> dict[str, Any] | None:
        """What a successor must know, and `status` shows; None if it is nothing."""
        out: dict[str, Any] = {"timeouts_before": asdict(self.before) if self.before else None}
        out["daemons"] = [asdict(d) for d in self._ours.values()] or None
        return out if any(out.values()) else None

    def stop(self) -> None:
        """Orderly: timeouts as they were, our daemons away."""
        self._defs = LvsDefs()
        self.check(first=True)
        self.close()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _guarded(self, keep: Callable[[bool], bool], first: bool) -> bool:
        try:
            return keep(first)
        except OSError as error:
            text = f"IPVS refuses: {error.strerror or error}; trying again every {PERIOD_NS // NS_PER_S} s"
            self._limited(f"lvs {keep.__name__}", 0.1, text, logging.ERROR)
            return False

    def _keep_timeouts(self, first: bool) -> bool:
        wanted = lvs.timeouts(self._defs)
        if wanted == Timeouts() and self.before is None:
            return False
        actual = self._balancer.timeouts()
        self.before = self.before or actual
        # What is no longer asked for goes back to what it was.
        target = lvs.over(wanted, self.before)
        if target != actual:
            if not first:
                self._told("lvs_timeouts", f"somebody had changed the timeouts to {_text(actual)}: repaired")
            self._balancer.set_timeouts(target)
        if wanted == Timeouts():
            self.before = None
        return target != actual

    def _keep_daemons(self, first: bool) -> bool:
        wanted = lvs.daemons(self._defs, self._states)
        if wanted is None or not (wanted or self._ours):
            return False
        # A predecessor's daemons look exactly like ours would.
        ours = [*self._ours.values(), *_every(self._defs)]
        steps = lvs.steps(wanted, self._balancer.daemons(), ours)
        for state in steps.stop:
            self._balancer.stop_daemon(state)
            self._ours.pop(state, None)
        for daemon in steps.start:
            self._balancer.start_daemon(daemon)
        self._ours = dict(wanted)
        if steps:
            names = ", ".join(_word(d.state) for d in wanted.values()) or "none"
            more = "" if first else " (it had been stopped or changed by somebody)"
            self._told("lvs_sync_daemon", f"synchronisation daemons now: {names}{more}")
        return bool(steps)


def _every(defs: LvsDefs) -> list[Daemon]:
    """Both daemons that this configuration may ever ask for."""
    sync = defs.sync_daemon
    if sync is None:
        return []
    return [Daemon(s, sync.interface, sync.sync_id, sync.maxlen, sync.port, sync.ttl, sync.group) for s in (1, 2)]


def _word(state: int) -> str:
    return "master" if state == lvs.MASTER else "backup"


def _text(t: Timeouts) -> str:
    return f"tcp {t.tcp_s}, tcpfin {t.tcpfin_s}, udp {t.udp_s}"
