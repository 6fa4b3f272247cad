"""Operators' decisions about VRRP instances: a request in, changes out, all of them or none. Pure.

Instances are named by their names, by the name of their sync group, or by shell patterns of either.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from fastha.model.override import VrrpOverride
from fastha.parent.protocol import BadRequest

ACTIONS = ("failover", "hold", "unhold", "priority", "unset", "release")
OWNER = 255

EMPTY: Mapping[str, Collection[str]] = {}
Decided = Mapping[str, VrrpOverride]  # by name of instance
Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wish:
    """`failover` and `hold` as VrrpOverride has them; `unhold` and `unset` take back a hold or a priority, `release`
    everything. `force`: even if nobody may take over."""

    action: str
    instances: tuple[str, ...]
    priority: int = 0
    force: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class VrrpChange:
    """What becomes of the decision about one instance; None: there is none."""

    instance: str
    before: VrrpOverride | None
    after: VrrpOverride | None


def wish(fields: Mapping[str, Any]) -> Wish:
    """The fields of a request as a Wish; BadRequest if they are not one."""
    action, words, priority = fields.get("action"), fields.get("instances"), fields.get("priority")
    if action not in ACTIONS:
        raise BadRequest("malformed", f"action is one of {', '.join(ACTIONS)}")
    if not isinstance(words, list) or not words or not all(isinstance(w, str) and w for w in words):
        raise BadRequest("malformed", "instances is a list of names or patterns")
    if (priority is not None) != (action == "priority"):
        raise BadRequest("malformed", "a priority is given with action priority, and only there")
    if priority is not None and (type(priority) is not int or not 1 <= priority < OWNER):
        raise BadRequest("malformed", f"a priority is a whole number from 1 to {OWNER - 1}")
    flags = {name: fields.get(name, False) for name in ("force", "dry_run")}
    for name, value in flags.items():
        if type(value) is not bool:
            raise BadRequest("malformed", f"{name} is true or false")
    return Wish(str(action), tuple(words), priority or 0, **flags)


def decide(
    wish: Wish,
    configured: Mapping[str, int],
    decided: Decided,
    facts: Facts,
    wall: float,
    by: str,
    groups: Mapping[str, Collection[str]] = EMPTY,
) -> list[VrrpChange]:
    """What `wish` changes, also where before equals after. `configured`: the priorities of the instances that run;
    `groups`: members by sync group; `facts`: what vrrp reports of instances. BadRequest if a word means nothing, or it
    cannot be done for one of them."""
    forgets = wish.action in ("unhold", "unset", "release")
    names = match(wish.instances, [*configured, *(decided.keys() - configured.keys() if forgets else ())], groups)
    if wish.action == "failover":
        masters = [name for name in names if facts.get(name, {}).get("state") == "master"]
        if not masters:
            states = sorted({str(facts.get(name, {}).get("state", "unknown")) for name in names})
            raise BadRequest("role", f"nothing to give up: {_few(names)} is {' or '.join(states)}, not master")
        names = masters
    changes = []
    for name in names:
        if wish.action == "priority" and configured.get(name) == OWNER:
            raise BadRequest("role", f"{name} owns its addresses: its priority is {OWNER} (RFC 9568 section 5.2.4)")
        before = decided.get(name)
        changes.append(VrrpChange(name, before, _after(wish, before, wall, by)))
    if wish.action in ("failover", "hold") and not wish.force:
        alone = [
            change.instance
            for change in changes
            if change.before != change.after
            and facts.get(change.instance, {}).get("state") == "master"
            and not facts[change.instance].get("peers")
        ]
        if alone:
            raise BadRequest(
                "alone",
                f"no other router was ever heard for {_few(alone)}, so nobody may take over (a backup is silent, it "
                "may be there all the same); force it if that is meant",
            )
    return changes


def _after(wish: Wish, before: VrrpOverride | None, wall: float, by: str) -> VrrpOverride | None:
    now = before or VrrpOverride()
    if wish.action == "release":
        return None
    if wish.action == "failover":
        return replace(now, failover=True, since=wall, by=by)
    if wish.action == "hold":
        after = replace(now, hold=True)
    elif wish.action == "unhold":
        after = replace(now, hold=False, failover=False)
    else:
        after = replace(now, priority=wish.priority)
    if after == now:
        return before
    return replace(after, since=wall, by=by) if after.hold or after.failover or after.priority else None


def over(decided: Decided, instance: str, since: float) -> Decided:
    """All decisions after the failover of that time is over."""
    now = decided.get(instance)
    if now is None or not now.failover or now.since != since:
        return decided
    left = replace(now, failover=False)
    return apply(decided, [VrrpChange(instance, now, left if left.hold or left.priority else None)])


def apply(decided: Decided, changes: Iterable[VrrpChange]) -> dict[str, VrrpOverride]:
    """All decisions after `changes`."""
    new = dict(decided)
    for change in changes:
        if change.after is None:
            new.pop(change.instance, None)
        else:
            new[change.instance] = change.after
    return new


def describe(override: VrrpOverride | None) -> str:
    """`held, priority 90`, `failed over`, `as configured`."""
    if override is None:
        return "as configured"
    words = ["held"] if override.hold else []
    words += ["failed over"] if override.failover else []
    words += [f"priority {override.priority}"] if override.priority else []
    return ", ".join(words)


def match(words: Iterable[str], names: Collection[str], groups: Mapping[str, Collection[str]] = EMPTY) -> list[str]:
    """The names that the words mean, each once: of instances, or all of a sync group. BadRequest for one that means
    nothing."""
    found: dict[str, None] = {}
    for word in words:
        meant = [word] if word in names else list(groups.get(word, ()))
        if not meant:
            meant = [name for name in names if fnmatchcase(name, word)]
            meant += [name for group, members in groups.items() if fnmatchcase(group, word) for name in members]
        if not meant:
            raise BadRequest("unmatched", f"no instance or sync group is called {word!r}")
        found.update(dict.fromkeys(meant))
    return list(found)


def _few(names: Collection[str]) -> str:
    first = ", ".join(list(names)[:3])
    return f"{first} and {len(names) - 3} more" if len(names) > 3 else first
