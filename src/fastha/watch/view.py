"""What the status page shows, as small values, and what changed between two of them. Pure.

A view is {"about": {...}, "instances": {name: ...}, "servers": {key: ...}}. Of real servers a virtual server's entry
has one letter each (`cells`), so ten thousand of them are ten thousand letters; `real_servers` has them whole, for the
one virtual server that somebody looks into.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fastha.watch.families import section
from fastha.watch.vrrp import two_masters

View = dict[str, Any]
LETTERS = {"up": "u", "down": "d"}
INSTANCE = ("state", "since", "why", "interface", "vrid", "priority", "priority_base", "master", "addresses", "faults")
SERVER = ("up", "since", "quorum", "live_weight", "sorry", "suspended", "panic", "scheduler", "forward")
REAL = ("health", "since", "why", "weight", "in_table", "response_ns", "kept", "active")


def past(events: Iterable[Mapping[str, Any]]) -> list[list[Any]]:
    """[instance, time, state] for each change of state of an instance that the daemon remembers, oldest first."""
    found = []
    for event in events:
        if event.get("source") == "vrrp" and event.get("kind") == "state":
            new = str(event.get("text", "")).partition(":")[0].rpartition(" -> ")[2]
            found.append([event.get("subject"), event.get("wall"), new])
    return found


def view(status: Mapping[str, Any] | None) -> View:
    """`status`: what the daemon answered, None if it did not."""
    if status is None:
        return {"about": {"answers": False}, "instances": {}, "servers": {}}
    about = section(status, "daemon")
    dataplane = section(status, "checker", "dataplane")
    now = float(status.get("now") or 0)
    return {
        "about": {
            "answers": True,
            "version": about.get("version"),
            "state": about.get("state"),
            "started": about.get("started"),
            "file": section(about, "config").get("file"),
            "loaded": section(about, "config").get("loaded"),
            "refused": refused(section(about, "last_reload")),
            "backend": dataplane.get("backend"),
            "drift": dataplane.get("drift", 0),
            "children": {
                role: [child.get("state"), child.get("restarts", 0)]
                for role, child in section(about, "children").items()
                if child.get("state") != "idle"
            },
        },
        "instances": {
            name: {key: one[key] for key in INSTANCE if key in one} | {"two_masters": bool(two_masters(one, now))}
            for name, one in section(status, "vrrp", "instances").items()
        },
        "servers": {key: server(one) for key, one in section(status, "checker", "virtual_servers").items()},
    }


def refused(reload: Mapping[str, Any]) -> str:
    """What the last reload was refused for, "" if it was not."""
    return str(reload.get("text") or "refused") if reload.get("outcome") == "refused" else ""


def server(facts: Mapping[str, Any]) -> dict[str, Any]:
    reals = section(facts, "real_servers").values()
    took = sorted(real["response_ns"] for real in reals if real.get("response_ns") is not None)
    return {key: facts[key] for key in SERVER if key in facts} | {
        "cells": "".join(map(letter, reals)),
        # milliseconds, two digits: what changes less is not sent again
        "took": [coarse(took[len(took) * n // 100]) for n in (50, 95)] if took else [],
    }


def letter(real: Mapping[str, Any]) -> str:
    """u up, d down, ? not known, k down and kept in the set, x an operator took it out or drains it."""
    mode = section(real, "override").get("mode")
    if mode in ("drain", "disabled"):
        return "x"
    return "k" if real.get("kept") else LETTERS.get(real.get("health", ""), "?")


def coarse(ns: int) -> float:
    """Milliseconds with two significant digits."""
    return float(f"{ns / 1e6:.2g}")


def real_servers(status: Mapping[str, Any] | None, key: str) -> dict[str, Any]:
    """All real servers of one virtual server."""
    reals = section(status or {}, "checker", "virtual_servers", key, "real_servers")
    out = {}
    for name, real in reals.items():
        one = {field: real[field] for field in REAL if field in real} | {"cell": letter(real)}
        if "response_ns" in one:
            one["took"] = coarse(one.pop("response_ns"))
        if mode := section(real, "override").get("mode"):
            one["mode"] = mode
        out[name] = one
    return out


def delta(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """What has to be merged into `old` to have `new`, one level deep: null removes; {} if nothing differs. A string of
    equal length of which little differs is {"at": {index: letter}}."""
    out: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if before == value:
            continue
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            out[key] = delta(before, value)
        elif key == "cells" and isinstance(before, str) and len(before) == len(value):
            at = {str(i): b for i, (a, b) in enumerate(zip(before, value, strict=True)) if a != b}
            out[key] = {"at": at} if 8 * len(at) < len(value) else value
        else:
            out[key] = value
    return out
