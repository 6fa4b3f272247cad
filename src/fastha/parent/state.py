"""What outlives the daemon, in one small file: operators' decisions, and what it has put into the kernel.

    {"version": 1, "overrides": {virtual server key: {real server key: Override}}, "vrrp": {instance: VrrpOverride},
     "services": [service key text], "addresses": ["INTERFACE IP/PREFIX"]}

Written to a new file that is synced and renamed over the old one, so that a crash leaves one of the two whole.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from fastha.model.override import Override, VrrpOverride
from fastha.parent.overrides import MAX_WEIGHT, Decided

STATE_PATH = "/var/lib/fastha/state.json"
VERSION = 1
MODES = ("weight", "drain", "disabled")


@dataclass(frozen=True, slots=True)
class State:
    overrides: Decided = field(default_factory=dict)
    services: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    vrrp: Mapping[str, VrrpOverride] = field(default_factory=dict)


def encode(state: State) -> bytes:
    data = {
        "version": VERSION,
        "overrides": state.overrides,
        "services": sorted(state.services),
        "addresses": sorted(state.addresses),
        "vrrp": state.vrrp,
    }
    return orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_SORT_KEYS)


def decode(data: bytes) -> State:
    """What `encode` wrote. ValueError in a few words if it is anything else."""
    try:
        plain = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise ValueError("it is not JSON") from None
    if not isinstance(plain, dict) or not isinstance(plain.get("overrides"), dict):
        raise ValueError("it is not a state of fastha")
    if plain.get("version") != VERSION:
        raise ValueError(f"it has version {plain.get('version')!r}, not {VERSION}")
    owned = [plain.get("services", []), plain.get("addresses", [])]
    if not all(isinstance(names, list) and all(isinstance(one, str) for one in names) for names in owned):
        raise ValueError("its services and addresses are not names")
    overrides = {}
    for vs, those in plain["overrides"].items():
        if not isinstance(those, dict):
            raise ValueError(f"what it holds for {vs} is not a decision")
        overrides[vs] = {rs: _override(f"{vs} {rs}", one) for rs, one in those.items()}
    vrrp = plain.get("vrrp", {})
    if not isinstance(vrrp, dict):
        raise ValueError("what it holds for vrrp is not decisions")
    services, addresses = map(frozenset, owned)
    return State(overrides, services, addresses, {name: _vrrp_override(name, one) for name, one in vrrp.items()})


def _vrrp_override(name: str, plain: Any) -> VrrpOverride:
    types: Mapping[str, tuple[type, ...]] = {
        "hold": (bool,), "failover": (bool,), "priority": (int,), "since": (int, float), "by": (str,),
    }  # fmt: skip
    if (
        not isinstance(plain, dict)
        or plain.keys() - types.keys()
        or any(type(value) not in types[key] for key, value in plain.items())
        or not 0 <= plain.get("priority", 0) < 255
    ):
        raise ValueError(f"what it holds for {name} is not a decision")
    return VrrpOverride(**plain)


def _override(name: str, plain: Any) -> Override:
    types: Mapping[str, tuple[type, ...]] = {
        "mode": (str,), "weight": (int,), "deadline": (int, float), "since": (int, float), "by": (str,),
    }  # fmt: skip
    if (
        not isinstance(plain, dict)
        or plain.keys() - types.keys()
        or any(type(value) not in types[key] for key, value in plain.items())
        or plain.get("mode") not in MODES
        or not 0 <= plain.get("weight", 0) <= MAX_WEIGHT
    ):
        raise ValueError(f"what it holds for {name} is not a decision")
    return Override(**plain)


def load(path: str) -> tuple[State, str]:
    """The state, and one line to warn with if there was something that cannot be used: it is moved aside."""
    try:
        return decode(Path(path).read_bytes()), ""
    except FileNotFoundError:
        return State(), ""
    except (OSError, ValueError) as error:
        why = str(error.strerror or error) if isinstance(error, OSError) else str(error)
    aside = f"{path}.damaged-{time.strftime('%Y%m%dT%H%M%S')}"
    try:
        os.rename(path, aside)
    except OSError as error:
        return State(), f"state file {path}: {why}; it stays there ({error.strerror}); starting without decisions"
    return State(), f"state file {path}: {why}; moved to {aside}, starting without decisions of operators"


def save(path: str, state: State) -> None:
    """On the disk when this returns; nothing to remember is no file. OSError; then the old one is still there."""
    folder = os.path.dirname(path) or "."
    os.makedirs(folder, mode=0o755, exist_ok=True)
    if state == State():
        try:
            os.unlink(path)
        except FileNotFoundError:
            return
    else:
        _write(path, state)
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _write(path: str, state: State) -> None:
    new = f"{path}.new"
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "wb") as file:
            file.write(encode(state))
            file.flush()
            os.fsync(file.fileno())
        os.rename(new, path)
    except OSError:
        try:
            os.unlink(new)
        except OSError:
            pass
        raise
