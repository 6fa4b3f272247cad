"""What the dumps are made of: instances as configured, and what is known of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from fastha.lean import dataclass, field
from fastha.model import GlobalDefs, TrackFile, TrackProcess, VirtualServer, VrrpInstance

# How keepalived's dumps number states (keepalived.md 1.16).
STATES = {"init": 0, "backup": 1, "master": 2, "fault": 3}


class Counter(NamedTuple):
    """One counter of an instance: its name in JSON, its label in the text of the stats, and the facts it adds up."""

    name: str
    label: str
    of: tuple[str, ...]  # a fact, or a reason of `discarded` with a leading "-"


# Sections of keepalived.stats, in its order. None: directly under the instance.
COUNTERS: dict[str | None, tuple[Counter, ...]] = {
    "Advertisements": (
        Counter("advert_rcvd", "Received", ("received",)),
        Counter("advert_sent", "Sent", ("sent",)),
    ),
    None: (
        Counter("become_master", "Became master", ("became_master",)),
        Counter("release_master", "Released master", ("released_master",)),
    ),
    "Packet Errors": (
        Counter("packet_len_err", "Length", ("-short", "-length")),
        Counter("ip_ttl_err", "TTL", ("-ttl",)),
        Counter("invalid_type_rcvd", "Invalid Type", ("-type", "-not_vrrp")),
        Counter("advert_interval_err", "Advertisement Interval", ("-interval",)),
        Counter("addr_list_err", "Address List", ("addresses_differ",)),
    ),
    "Authentication Errors": (
        Counter("invalid_authtype", "Invalid Type", ("-auth_invalid",)),
        Counter("authtype_mismatch", "Type Mismatch", ("-auth_type",)),
        Counter("auth_failure", "Failure", ("-auth_password", "-auth_ah", "-auth_digest", "-auth_replay")),
    ),
    "Priority Zero": (
        Counter("pri_zero_rcvd", "Received", ("zero_received",)),
        Counter("pri_zero_sent", "Sent", ("zero_sent",)),
    ),
}

Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Seen:
    """One instance. `facts`: docs/ARCHITECTURE.md, "Facts"; `counts`: since the counters were cleared."""

    instance: VrrpInstance
    facts: Mapping[str, Any]
    counts: Counts

    @property
    def state(self) -> str:
        return str(self.facts.get("state", "init"))

    @property
    def master(self) -> bool:
        return self.state == "master"


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything at one moment. `checker`: facts of virtual servers by key."""

    globals: GlobalDefs
    instances: tuple[Seen, ...] = ()
    virtual_servers: tuple[VirtualServer, ...] = ()
    track_files: tuple[TrackFile, ...] = ()
    checker: Mapping[str, Any] = field(default_factory=dict)
    processes: tuple[tuple[TrackProcess, Mapping[str, Any]], ...] = ()  # with what is known of each


def wanted_state(seen: Seen) -> str:
    """What keepalived calls so: the state it is in or on its way to; of one that takes no part, the configured one."""
    if seen.state in ("master", "backup"):
        return seen.state
    return "master" if seen.instance.wants_master else "backup"


def counts_of(facts: Mapping[str, Any], since: Counts | None = None) -> dict[str, int]:
    """{name: n} of an instance's facts, less what they were when somebody cleared them. A counter that fell began anew:
    its process is another one."""
    discarded = facts.get("discarded", {})
    out = {}
    for section in COUNTERS.values():
        for counter in section:
            n = sum(discarded.get(word[1:], 0) if word[:1] == "-" else facts.get(word, 0) for word in counter.of)
            before = since.get(counter.name, 0) if since else 0
            out[counter.name] = n - before if n >= before else n
    return out
