"""Part of the picture: only what was asked for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

Doc = Mapping[str, Any]


def means(words: Iterable[str], name: str) -> bool:
    """Is it named by one of the words: in full, by its beginning, or by a shell pattern?"""
    return any(name.startswith(word) or fnmatchcase(name, word) for word in words)


def select(doc: Doc, words: Sequence[str], troubled: bool = False) -> dict[str, Any]:
    """The same picture with the instances, sessions, virtual servers and real servers that the words mean. A virtual
    server that is named has all its real servers; one that is not has those that are. `troubled`: of these only what
    is not as it should be."""
    out = dict(doc)
    for role, kind in (("vrrp", "instances"), ("bfd", "sessions")):
        if role in doc:
            found = {
                name: one
                for name, one in doc[role].get(kind, {}).items()
                if (not words or means(words, name)) and not (troubled and well(one))
            }
            out[role] = {**doc[role], kind: found}
    if "checker" in doc:
        servers = {}
        for key, one in doc["checker"].get("virtual_servers", {}).items():
            named = not words or means(words, key)
            real = {
                name: rs
                for name, rs in one.get("real_servers", {}).items()
                if (named or means(words, name)) and not (troubled and serves(rs))
            }
            if real or (named and not (troubled and one.get("up") and not one.get("panic"))):
                servers[key] = {**one, "real_servers": real}
        out["checker"] = {**doc["checker"], "virtual_servers": servers}
    return out


def well(one: Doc) -> bool:
    """An instance or a session that is as it should be, and about which nobody has decided anything."""
    return one.get("state") in ("master", "backup", "up") and not one.get("faults") and not one.get("override")


def serves(rs: Doc) -> bool:
    """A real server that gets its share of the connections, and about which nobody has decided anything."""
    return rs.get("health") == "up" and not rs.get("override") and bool(rs.get("in_table"))
