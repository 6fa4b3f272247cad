"""Which virtual servers an operator means who accepts that kept real servers are down. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from fastha.parent.protocol import BadRequest


def accepted(words: Any, facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """[{virtual_server, kept: how many}] of those that keep somebody. `facts`: what the checker reports of the virtual
    servers. BadRequest if a word names none, or none of them keeps anybody."""
    if not isinstance(words, list) or not words or not all(isinstance(w, str) and w for w in words):
        raise BadRequest("malformed", "virtual_servers is a list of names or patterns")
    named: dict[str, None] = {}
    for word in words:
        found = [key for key in facts if key == word] or [
            key for key in facts if key.startswith(word) or fnmatchcase(key, word)
        ]
        if not found:
            raise BadRequest("unknown", f"there is no virtual server {word}")
        named |= dict.fromkeys(found)
    counts = {key: sum(bool(rs.get("kept")) for rs in facts[key].get("real_servers", {}).values()) for key in named}
    out = [{"virtual_server": key, "kept": count} for key, count in counts.items() if count]
    if not out:
        raise BadRequest("nothing", "no real server of these is kept in the set")
    return out
