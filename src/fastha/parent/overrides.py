"""Operators' decisions: a request in, changes out, all of them or none. Pure.

A request names virtual and real servers by words. A word is a key as status prints it (`10.0.0.1:80/tcp`,
`fwmark 7/inet`, `group web/tcp`; `10.1.0.1:80`), the beginning of one (`10.0.0.1:80`; `10.1.0.1`) if only one begins
so, or a shell pattern, tried on the key and on that beginning (a `[` at the start is an IPv6 address, not a class).
IPv6 addresses may be spelled in any way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import ip_address
from typing import Any

from fastha.model import RealServer, VirtualServer
from fastha.model.lvs import host_port
from fastha.model.override import Override
from fastha.parent.configuration import RealKeys
from fastha.parent.protocol import BadRequest

ACTIONS = ("drain", "enable", "disable", "weight", "forget")
MAX_WEIGHT = 65535  # as in the configuration
MAX_TIMEOUT_S = 10 * 365 * 86400.0

Decided = Mapping[str, Mapping[str, Override]]  # by virtual server key, by real server key
Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wish:
    """`weight` belongs to "weight", `timeout_s` (0: none) to "drain"; `force`: even if a quorum is lost."""

    action: str
    virtual_servers: tuple[str, ...]
    real_servers: tuple[str, ...]
    weight: int = 0
    timeout_s: float = 0.0
    force: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of the decision about one real server; None: there is none."""

    virtual_server: str
    real_server: str
    before: Override | None
    after: Override | None


def wish(fields: Mapping[str, Any]) -> Wish:
    """The fields of a request as a Wish; BadRequest if they are not one."""
    action, weight, timeout_s = fields.get("action"), fields.get("weight"), fields.get("timeout_s")
    if action not in ACTIONS:
        raise BadRequest("malformed", f"action is one of {', '.join(ACTIONS)}")
    if (weight is not None) != (action == "weight"):
        raise BadRequest("malformed", "a weight is given with action weight, and only there")
    if weight is not None and (type(weight) is not int or not 0 <= weight <= MAX_WEIGHT):
        raise BadRequest("malformed", f"a weight is a whole number from 0 to {MAX_WEIGHT}")
    if timeout_s is not None and action != "drain":
        raise BadRequest("malformed", "only drain has a timeout")
    if timeout_s is not None and (type(timeout_s) not in (int, float) or not 0 < timeout_s <= MAX_TIMEOUT_S):
        raise BadRequest("malformed", "a timeout is a number of seconds above 0")
    flags = {name: fields.get(name, False) for name in ("force", "dry_run")}
    for name, value in flags.items():
        if type(value) is not bool:
            raise BadRequest("malformed", f"{name} is true or false")
    return Wish(
        action=str(action),
        virtual_servers=_words(fields, "virtual_servers"),
        real_servers=_words(fields, "real_servers"),
        weight=weight or 0,
        timeout_s=float(timeout_s or 0),
        **flags,
    )


def _words(fields: Mapping[str, Any], name: str) -> tuple[str, ...]:
    words = fields.get(name)
    if not isinstance(words, list) or not words or not all(isinstance(w, str) and w for w in words):
        raise BadRequest("malformed", f"{name} is a list of names or patterns")
    return tuple(words)


def decide(
    wish: Wish, servers: Mapping[str, VirtualServer], decided: Decided, facts: Facts, wall: float, by: str
) -> list[Change]:
    """What `wish` changes, also where before equals after. `servers` are those of the running configuration; `facts`
    what the checker reports of them. BadRequest if any word matches nothing, or a quorum would be lost."""
    if wish.action == "forget":
        known: Mapping[str, Sequence[str]] = {vs: list(those) for vs, those in decided.items()}
    else:
        known = RealKeys(servers)
    changes = []
    for vs, rs in match(wish, known):
        before = decided.get(vs, {}).get(rs)
        changes.append(Change(vs, rs, before, _after(wish, before, wall, by)))
    if not wish.force:
        lost = [text for text in _quorums(changes, servers, decided, facts) if text]
        if lost:
            more = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
            raise BadRequest("quorum", f"{lost[0]}{more}; force it if that is meant")
    return changes


def _after(wish: Wish, before: Override | None, wall: float, by: str) -> Override | None:
    mode = before.mode if before is not None else ""
    if wish.action == "forget":
        return None
    if wish.action == "enable":
        return before if mode == "weight" else None
    if wish.action == "weight":
        same = before is not None and mode == "weight" and before.weight == wish.weight
        return before if same else Override(mode="weight", weight=wish.weight, since=wall, by=by)
    if wish.action == "disable":
        return before if mode == "disabled" else Override(mode="disabled", since=wall, by=by)
    deadline = wall + wish.timeout_s if wish.timeout_s else 0.0
    if before is not None and mode == "drain":
        if before.deadline == deadline:
            return before
        return Override(mode="drain", deadline=deadline, since=before.since, by=by)
    return Override(mode="drain", deadline=deadline, since=wall, by=by)


def apply(decided: Decided, changes: Iterable[Change]) -> dict[str, dict[str, Override]]:
    """All decisions after `changes`."""
    new = {vs: dict(those) for vs, those in decided.items()}
    for change in changes:
        those = new.setdefault(change.virtual_server, {})
        if change.after is None:
            those.pop(change.real_server, None)
        else:
            those[change.real_server] = change.after
    return {vs: those for vs, those in new.items() if those}


def describe(override: Override | None) -> str:
    """`drain, at most 60 s`, `weight 5`, `disabled`, `as configured`."""
    if override is None:
        return "as configured"
    if override.mode == "weight":
        return f"weight {override.weight}"
    if override.mode == "drain" and override.deadline:
        return f"drain, at most {override.deadline - override.since:g} s"
    return override.mode


# -- names --


def match(wish: Wish, known: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """The pairs of keys that the words mean, each once. BadRequest for a word that means nothing, or two things."""
    virtual = {vs: None for word in wish.virtual_servers for vs in _meant(word, known, _virtual_stem, "virtual server")}
    pairs: dict[tuple[str, str], None] = {}
    for word in wish.real_servers:
        found = [(vs, rs) for vs in virtual for rs in _found(word, known[vs], _real_stem, f"real server of {vs}")]
        if not found:
            where = f"of {next(iter(virtual))}" if len(virtual) == 1 else f"of {len(virtual)} virtual servers"
            about = "no decision about a" if wish.action == "forget" else "no"
            raise BadRequest("unmatched", f"{about} real server {where} is called {word!r}")
        pairs.update(dict.fromkeys(found))
    return list(pairs)


def _meant(word: str, keys: Iterable[str], stem: Callable[[str], str], what: str) -> list[str]:
    if found := _found(word, keys, stem, what):
        return found
    raise BadRequest("unmatched", f"no {what} is called {word!r}")


def _found(word: str, keys: Iterable[str], stem: Callable[[str], str], what: str) -> list[str]:
    spelled = _spelled(word)
    exact = [key for key in keys if key in (word, spelled)]
    if exact:
        return exact
    if any(c in word for c in "*?") or "[" in word[1:]:
        pattern = f"[[]{word[1:]}" if word.startswith("[") else word
        return [key for key in keys if fnmatchcase(key, pattern) or fnmatchcase(stem(key), pattern)]
    short = [key for key in keys if stem(key) in (word, spelled)]
    if len(short) > 1:
        raise BadRequest("ambiguous", f"{word!r} may be {' or '.join(short[:3])} (a {what})")
    return short


def _virtual_stem(key: str) -> str:
    return key.removeprefix("group ").rpartition("/")[0]


def _real_stem(key: str) -> str:
    return key.rpartition(":")[0].strip("[]")


def _spelled(word: str) -> str:
    """`word` with its address as keys write it; unchanged if it holds none."""
    stem, slash, protocol = word.partition("/")
    host, port = stem, ""
    if not stem.endswith("]") and (stem.startswith("[") or stem.count(":") == 1):
        host, _, port = stem.rpartition(":")
    try:
        ip = str(ip_address(host.removeprefix("[").removesuffix("]")))
    except ValueError:
        return word
    return f"{host_port(ip, int(port)) if port.isdecimal() else ip}{slash}{protocol.lower()}"


# -- quorum --


def _quorums(
    changes: Iterable[Change], servers: Mapping[str, VirtualServer], decided: Decided, facts: Facts
) -> Iterable[str]:
    by_server: dict[str, list[Change]] = {}
    for change in changes:
        if change.virtual_server in servers and change.before != change.after:
            by_server.setdefault(change.virtual_server, []).append(change)
    for vs, those in by_server.items():
        before = decided.get(vs, {})
        after = apply({vs: before}, those).get(vs, {})
        yield _loses_quorum(servers[vs], facts.get(vs, {}), before, after)


def _loses_quorum(
    server: VirtualServer, facts: Facts, before: Mapping[str, Override], after: Mapping[str, Override]
) -> str:
    """Why it would not have its quorum any more, "" if it would, or has none now."""
    if not facts.get("up", True):
        return ""
    was, would = (sum(_live(rs, facts, those.get(rs.key)) for rs in server.real_servers) for those in (before, after))
    if would >= was or (would > 0 and would >= server.quorum - server.hysteresis):
        return ""
    return f"{server.key} would lose its quorum: live weight {was} -> {would}, quorum {server.quorum}"


def _live(rs: RealServer, facts: Facts, override: Override | None) -> int:
    health = facts.get("real_servers", {}).get(rs.key, {}).get("health", "unknown")
    if health == "down" or (health == "unknown" and rs.alpha):
        return 0
    if override is None:
        return rs.weight
    return override.weight if override.mode == "weight" else 0
