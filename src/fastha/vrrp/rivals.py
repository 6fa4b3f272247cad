"""Two masters of one virtual router: who the other one is, since when, and what has probably made it so. Pure.

A master that hears an acceptable advert of another one has a rival. The loser of the two leaves within one advert (RFC
9568 section 6.4.3 (720)-(760)), so one that goes on speaking although it would have to leave does not take our adverts:
it does not hear them, or it discards them. A master that must discard adverts of its own VRID has a rival too, of which
nothing is known but why they were discarded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

STUBBORN = 3  # adverts of one that should have left: the first may have crossed ours, the second too
NOTHING: Mapping[str, int] = {}
HEALED = "it or we were not heard until now: a wire that was cut, or a process that stood still"
DEAF = "it does not hear us (a link that works one way, a packet filter), or discards our adverts"
ADDRESSES = (
    "it does not take our adverts, and its address list differs from ours (keepalived before 2.3.3 discards such)"
)
WHY = {
    "auth_type": "another kind of authentication",
    "auth_password": "another password",
    "ttl": "a TTL other than 255: its adverts come through a router",
    "interval": "another advert_int (version 2 wants the same)",
    "version_differs": "another VRRP version",
    "checksum": "another checksum (v3_checksum_as_v2, old_unicast_checksum)",
}


@dataclass(slots=True)
class Rival:
    """`ip` "": its adverts are discarded before anything is believed. Times in ns, `since` as wall clock."""

    ip: str
    priority: int
    ours: int
    since: float
    first_ns: int
    last_ns: int
    adverts: int
    reason: str


class Rivals:
    """Of one router. `one`: the rival of the moment."""

    __slots__ = ("_discarded", "one")

    def __init__(self) -> None:
        self.one: Rival | None = None
        self._discarded: Mapping[str, int] = NOTHING

    def heard(self, ip: str, priority: int, ours: int, differs: bool, now_ns: int, wall: float, quiet_ns: int) -> str:
        """An advert of another master that has to leave: what to tell of it, "" nothing new. `differs`: its addresses
        are not ours; `quiet_ns`: after so long a silence it is another story."""
        one = self.one
        if one is None or one.ip != ip or now_ns - one.last_ns > quiet_ns:
            self.one = one = Rival(ip, priority, ours, wall, now_ns, now_ns, 0, "")
        one.priority, one.ours, one.last_ns = priority, ours, now_ns
        one.adverts += 1
        reason = HEALED if one.adverts < STUBBORN else ADDRESSES if differs else DEAF
        return self._told(one, reason)

    def discarded(
        self, now: Mapping[str, int], master: bool, ours: int, now_ns: int, wall: float, quiet_ns: int
    ) -> str:
        """Counters of discarded adverts as they are now; what to tell."""
        before, self._discarded = self._discarded, dict(now) if now else NOTHING
        more = {reason: n - before.get(reason, 0) for reason, n in now.items() if reason in WHY}
        worst = max(more, key=lambda reason: more[reason], default="")
        if not master or not worst or more[worst] <= 0:
            return ""
        one = self.one
        if one is not None and one.ip and now_ns - one.last_ns <= quiet_ns:
            return ""  # one that is known better
        if one is None or one.ip or now_ns - one.last_ns > quiet_ns:
            self.one = one = Rival("", 0, ours, wall, now_ns, now_ns, 0, "")
        one.ours, one.last_ns = ours, now_ns
        one.adverts += more[worst]
        return self._told(one, f"its adverts are discarded: {WHY[worst]}")

    def facts(self, master: bool, now_ns: int, quiet_ns: int) -> dict[str, Any] | None:
        """For status; None when it is over."""
        one = self.one
        if one is None or not master or now_ns - one.last_ns > quiet_ns:
            self.one = None
            return None
        peer = {"peer": one.ip, "priority": one.priority} if one.ip else {}
        return {**peer, "our_priority": one.ours, "since": one.since, "adverts": one.adverts, "reason": one.reason}

    def _told(self, one: Rival, reason: str) -> str:
        if one.reason == reason:
            return ""
        one.reason = reason
        who = f"{one.ip} is master too, with priority {one.priority}" if one.ip else "somebody else is master too"
        return f"{who} (ours: {one.ours}): {reason}"
