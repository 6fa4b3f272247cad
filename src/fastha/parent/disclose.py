"""The running configuration as the control socket tells it: plain data of fastha.model.Config. Pure.

The parent has it as JSON already (model/parts.py), so telling it costs no more than copying it.
"""

from __future__ import annotations

from typing import Any

import orjson

from fastha.model.parts import CLASSES, GLOBALS, Part
from fastha.parent.configuration import Configuration

EMPTY = b'"real_servers":[]}'  # how the head of a virtual server ends: it is the last field of the class


def plain(configuration: Configuration) -> dict[str, Any]:
    """For orjson; `codec.read(Config, ...)` of what it writes is the configuration."""
    out: dict[str, Any] = {field: [] for _kind, (_cls, field) in CLASSES.items()}
    for part in configuration.parts.values():
        if part.key == GLOBALS:
            out["globals"] = orjson.Fragment(part.head)
        else:
            out[CLASSES[part.key[0]][1]].append(orjson.Fragment(whole(part)))
    if GLOBALS not in configuration.parts:
        del out["globals"]
    return out


def whole(part: Part) -> bytes:
    """JSON of a part's value, its real servers in their place."""
    if not part.chunks:
        return part.head
    assert part.head.endswith(EMPTY), part.key
    reals = b",".join(chunk[1:-1] for chunk in part.chunks)
    return part.head.removesuffix(EMPTY) + EMPTY[:-2] + reals + b"]}"
