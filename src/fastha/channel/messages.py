"""THE message table: everything that parent and children say to each other.

A message is a dict with "type" and the fields listed here; `check` refuses anything else, so that a typo is
found where it was made. Direction "down" is parent to child, "up" child to parent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastha.lean import dataclass

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of message: who says it, its fields, and what it means."""

    direction: str  # "down" or "up"
    fields: frozenset[str]
    meaning: str


def _kind(direction: str, fields: str, meaning: str) -> Kind:
    return Kind(direction, frozenset(fields.split()), meaning)


MESSAGES: Mapping[str, Kind] = {
    # -- configuration, in two phases (docs/ARCHITECTURE.md, "Reload in two phases") --
    "parts": _kind(
        "down",
        "generation base parts",
        "Some of what makes the configuration of generation `base` (one that this child has committed; 0: none) into "
        "the proposed one, as rows: [kind, name] it is gone; [kind, name, head, chunks] it is new or other "
        "(model/parts.py; plain data; a chunk is an array of real servers, or the number of a chunk it has in `base`); "
        "head null: more chunks of the row before. A new generation forgets those of an older one.",
    ),
    "previous": _kind("down", "generation facts", "Some of the `previous` of a proposal, to be merged into it."),
    "propose": _kind(
        "down",
        "generation config dataplane previous",
        "Prepare what the `parts` before it made of their `base`, or, if it is not null, `config`: a whole Config "
        "(plain data); answer ready or refused. It replaces an earlier proposal that was neither committed nor "
        "abandoned. `previous`: the facts this child's predecessor last reported, and died_ago_ns, the age of its "
        "last sign of life; {} on a cold start and on a reload. A child that starts also finds what its "
        "predecessors may have added: owned_services: [service key text] (checker), owned_addresses: "
        '["INTERFACE IP/PREFIX"] (vrrp).',
    ),
    "commit": _kind("down", "generation", "Make the prepared configuration the running one."),
    "abandon": _kind("down", "generation", "Forget the prepared configuration."),
    "ready": _kind("up", "generation", "The proposed configuration can be committed at once."),
    "refused": _kind("up", "generation reason", "It cannot; one line says why."),
    "committed": _kind("up", "generation", "It is now running."),
    # -- life --
    "hello": _kind("up", "role pid", "First message of a child."),
    "heartbeat": _kind(
        "up",
        "turns lag_ns lag rss_kb",
        "The child's own loop moved; lag_ns is its worst lateness of a timer, or longest slice of work, since the "
        "last; lag counts the lateness of all timers since its start, in the steps of loop/lateness.pxd.",
    ),
    "stop": _kind("down", "", "Give up everything in an orderly way, then exit 0."),
    "keep": _kind("down", "", "Before stop: what it has put into the kernel stays there."),
    # -- facts --
    "facts": _kind(
        "up",
        "facts",
        "What changed since the last facts; merged by key into the parent's picture (null deletes a key). The first "
        "ones of a process are complete: they replace its predecessor's.",
    ),
    "event": _kind("up", "event", "Something happened that an operator should see: {kind, subject, text, cause}."),
    "script": _kind(
        "up", "script subject", "Run this Script (plain data) for `subject`; the parent runs scripts in order."
    ),
    "notify": _kind("up", "line", "A line for the notify FIFOs, without its end (fastha.scripts.lines)."),
    "mail": _kind(
        "up",
        "what subject text",
        "A change that somebody wants mail about (fastha.scripts.letters); the parent has it sent.",
    ),
    # -- runtime decisions of operators (fastha rs ...), kept by the parent, carried out by the checker --
    "overrides": _kind(
        "down",
        "overrides",
        "{virtual server key: {real server key: Override (plain data)}}: all that are in force, whole; "
        "before every commit, so that no row is ever as if there were none, and whenever they change.",
    ),
    "vrrp_overrides": _kind(
        "down",
        "overrides",
        "{instance name: VrrpOverride (plain data)}: all that are in force, to vrrp, before every commit and whenever "
        "they change. A failover that is new makes a master resign.",
    ),
    "failover_over": _kind(
        "up",
        "instance since",
        "This instance is master again, though the decision of that time says that it had given up: it is over.",
    ),
    "accept": _kind(
        "down",
        "virtual_servers",
        "[virtual server key]: real servers that panic_threshold or removal_limit keep in the set may fall now.",
    ),
    "resync": _kind("down", "ticket", "Dump the kernel's table and repair it now; answer resynced."),
    "resynced": _kind("up", "ticket ok operations text", "Done: how many operations it took, and what differed."),
    # -- vrrp to checker, through the parent --
    "masters": _kind(
        "down", "states", "{instance name: state} as vrrp reports them; all after a commit, then changes."
    ),
    # -- bfd to vrrp and checker, through the parent --
    "bfd": _kind("up", "states", "{bfd_instance name: is Up} for those that changed."),
    "bfds": _kind("down", "states", "The same, to vrrp and checker; every known one after a commit, then changes."),
    # -- checker to vrrp, through the parent --
    "quorum": _kind("up", "states", "{virtual server key: has quorum} for those that changed."),
    "quorums": _kind("down", "states", "The same, to the vrrp child; every known one after a commit, then changes."),
}


def check(message: Message, direction: str) -> None:
    """Raise ValueError unless `message` is one of the table, with exactly its fields, in this direction."""
    name = message.get("type")
    kind = MESSAGES.get(name) if isinstance(name, str) else None
    if kind is None or kind.direction != direction:
        raise ValueError(f"no {direction} message {name!r}")
    if (got := message.keys() - {"type"}) != kind.fields:
        raise ValueError(f"message {message['type']!r}: fields {sorted(got)}, not {sorted(kind.fields)}")
