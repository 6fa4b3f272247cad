"""The parent's hold on its state file: operators' decisions, services that are ours (shell over overrides, state).

A decision is on the disk before the checker hears of it; one that cannot be written is refused.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

from fastha.log import WARNING, Log
from fastha.parent import overrides, state, vrrp_overrides
from fastha.parent.configuration import Configuration
from fastha.parent.events import Events
from fastha.parent.overrides import Change, Decided
from fastha.parent.protocol import BadRequest
from fastha.parent.state import State
from fastha.parent.vrrp_overrides import VrrpChange

OWNERS = ("vrrp", "checker")  # who puts something into the kernel


class Memory:
    """`load` once, before anything else."""

    def __init__(self, path: str, log: Log, events: Events) -> None:
        self.path = path
        self._log, self._events = log, events
        self._state = State()
        self._complained = False

    def load(self) -> None:
        """Read the file; one that is damaged is a warning, never a reason not to start."""
        self._state, warning = state.load(self.path)
        if warning:
            self._events.log("state", "", warning, WARNING)
        if count := sum(map(len, self._state.overrides.values())) + len(self._state.vrrp):
            self._log.info(f"{count} decisions of operators are in force ({self.path})")

    # -- what is ours in the kernel --

    def owned(self, role: str) -> frozenset[str]:
        """What this daemon, or one before it, has put into the kernel: addresses (vrrp), services (checker)."""
        return {"vrrp": self._state.addresses, "checker": self._state.services}.get(role, frozenset())

    def own(self, role: str, names: Iterable[str]) -> None:
        """From now on these are ours; said before they are added, and after others are removed."""
        if role not in OWNERS:
            return
        kept = frozenset(names)
        new = replace(self._state, addresses=kept) if role == "vrrp" else replace(self._state, services=kept)
        if new == self._state:
            return
        self._state = new
        try:
            state.save(self.path, new)
            self._complained = False
        except OSError as error:
            if not self._complained:
                self._complained = True
                self._log.warning(
                    f"state file {self.path}: {error.strerror or error}; what leaves the configuration while no daemon "
                    "runs would stay in the kernel"
                )

    # -- decisions --

    @property
    def decided(self) -> Decided:
        return self._state.overrides

    def plain(self) -> dict[str, dict[str, dict[str, Any]]]:
        """All decisions, for the `overrides` message."""
        return {vs: {rs: asdict(one) for rs, one in those.items()} for vs, those in self.decided.items()}

    def decide(
        self, fields: Mapping[str, Any], config: Configuration | None, facts: Mapping[str, Any], uid: int
    ) -> list[Change]:
        """Carry out the `override` command; what it changed, or would (dry_run). BadRequest: nothing was changed."""
        wish = overrides.wish(fields)
        servers = config.servers if config is not None else {}
        changes = overrides.decide(wish, servers, self.decided, facts, time.time(), f"uid {uid}")
        real = [change for change in changes if change.before != change.after]
        if wish.dry_run or not real:
            return changes
        self._save(replace(self._state, overrides=overrides.apply(self.decided, real)))
        for change in real:
            text = f"{change.virtual_server} {change.real_server}: {overrides.describe(change.after)} (uid {uid})"
            subject = f"{change.virtual_server} {change.real_server}"
            self._events.log("override", subject, text, cause=f"decided by uid {uid}")
        return changes

    # -- decisions about instances --

    def vrrp_plain(self) -> dict[str, dict[str, Any]]:
        """All of them, for the `vrrp_overrides` message."""
        return {name: asdict(one) for name, one in self._state.vrrp.items()}

    def decide_vrrp(
        self, fields: Mapping[str, Any], config: Configuration | None, facts: Mapping[str, Any], uid: int
    ) -> list[VrrpChange]:
        """Carry out the `vrrp` command; what it changed, or would (dry_run). BadRequest: nothing was changed."""
        wish = vrrp_overrides.wish(fields)
        configured = config.priorities if config is not None else {}
        groups = config.groups if config is not None else {}
        changes = vrrp_overrides.decide(wish, configured, self._state.vrrp, facts, time.time(), f"uid {uid}", groups)
        real = [change for change in changes if change.before != change.after]
        if wish.dry_run or not real:
            return changes
        self._save(replace(self._state, vrrp=vrrp_overrides.apply(self._state.vrrp, real)))
        for change in real:
            text = f"{change.instance}: {vrrp_overrides.describe(change.after)} (uid {uid})"
            self._events.log("override", change.instance, text, cause=f"decided by uid {uid}")
        return changes

    def failover_over(self, instance: str, since: float) -> None:
        """It is master again: nobody else was, or nobody is any more."""
        vrrp = vrrp_overrides.over(self._state.vrrp, instance, since)
        if vrrp is self._state.vrrp:
            return
        new = replace(self._state, vrrp=vrrp)
        try:
            self._save(new)
        except BadRequest as error:
            self._log.warning(str(error))
            self._state = new
        text = f"{instance}: the failover is over, it is master again"
        self._events.log("override", instance, text, cause="no other master was heard")

    def vrrp_listing(self, config: Configuration | None, facts: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Every decision about an instance, with its state. `in_force`: vrrp has taken it up."""
        configured = config.priorities if config is not None else {}
        return [
            {
                "instance": name,
                "known": name in configured,
                "in_force": facts.get(name, {}).get("override") == asdict(one),
                "state": facts.get(name, {}).get("state"),
                **asdict(one),
            }
            for name, one in self._state.vrrp.items()
        ]

    def _save(self, new: State) -> None:
        """Make it the state, on the disk first. BadRequest: it stays the old one."""
        try:
            state.save(self.path, new)
        except OSError as error:
            raise BadRequest(
                "state", f"state file {self.path}: {error.strerror or error}; nothing was changed"
            ) from None
        self._state = new

    def listing(self, config: Configuration | None, facts: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Every decision, with what the checker says of it. `known`: the configuration has such a server."""
        servers = config.servers if config is not None else {}
        out = []
        for vs, those in self.decided.items():
            known = {rs.key for rs in servers[vs].real_servers} if vs in servers else set()
            for rs, one in those.items():
                told = facts.get(vs, {}).get("real_servers", {}).get(rs, {})
                now = told.get("override", {})
                current = (now.get("mode"), now.get("since"), now.get("deadline", 0.0)) == (
                    one.mode, one.since, one.deadline,
                )  # fmt: skip
                seen = {key: now[key] for key in ("state", "ended") if key in now} if current else {}
                if current:
                    seen |= {key: told[key] for key in ("active", "in_table", "health") if key in told}
                about = {"virtual_server": vs, "real_server": rs, "known": rs in known, "in_force": current}
                out.append(about | asdict(one) | seen)
        return out
