"""What the control socket understands: one JSON object per line, one answer per request, in order. Pure.

-> {"v": 1, "command": "status"}
<- {"v": 1, "ok": true, ...}
<- {"v": 1, "ok": false, "code": "denied", "error": "one line for people"}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

VERSION = 1
CONTROL_PATH = "/run/fastha/control.sock"
MAX_REQUEST = 1 << 16


@dataclass(frozen=True, slots=True)
class Command:
    """`admin`: only root, the daemon's own user and members of its --admin-group may."""

    admin: bool
    meaning: str
    fields: frozenset[str] = frozenset()  # that a request may have besides


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for; the command looks at the values of `fields` itself. `uid`: who asks (SO_PEERCRED)."""

    command: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    uid: int = 0


COMMANDS: dict[str, Command] = {
    "status": Command(
        False,
        "the merged picture: daemon, children, instances, virtual servers, dataplane; `only` some of its parts",
        frozenset(("only",)),
    ),
    "version": Command(False, "version of fastha and of this protocol"),
    "configuration": Command(True, "the configuration that runs, as plain data, passwords included"),
    "events": Command(
        False,
        "what happened after an event or a time, with its cause; it may wait for the next one",
        frozenset("stream since after kinds subjects limit wait_s".split()),
    ),
    "overrides": Command(False, "what operators have decided about real servers, and how far it is"),
    "override": Command(
        True,
        "decide about real servers: drain, enable, disable, weight, forget; all of them or none",
        frozenset("action virtual_servers real_servers weight timeout_s force dry_run".split()),
    ),
    "vrrp": Command(
        True,
        "decide about instances: failover, hold, unhold, priority, unset, release; all of them or none",
        frozenset("action instances priority force dry_run".split()),
    ),
    "accept": Command(
        True,
        "real servers that panic_threshold or removal_limit keep in the set are down indeed, and may fall",
        frozenset({"virtual_servers"}),
    ),
    "resync": Command(
        True, "compare the kernel's table with what is wanted and repair it now; the answer says what differed"
    ),
    "reload": Command(True, "read the configuration again; the answer is the outcome"),
    "stop": Command(True, "give up addresses and rows in an orderly way and end"),
}


class BadRequest(Exception):
    """A request that is not carried out; `code` is for programs, the text for people."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        super().__init__(text)


def parse(line: bytes, admin: bool, uid: int = 0) -> Request:
    """What `line` asks for. BadRequest if there is none, or this client may not."""
    try:
        request = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise BadRequest("malformed", "a request is one JSON object on one line") from None
    if not isinstance(request, dict):
        raise BadRequest("malformed", "a request is one JSON object on one line")
    if request.get("v") != VERSION:
        raise BadRequest("version", f"this daemon speaks version {VERSION} of the protocol")
    name = request.get("command")
    command = COMMANDS.get(name) if isinstance(name, str) else None
    if command is None or not isinstance(name, str):
        raise BadRequest("unknown", f"unknown command; there are {', '.join(COMMANDS)}")
    if unknown := request.keys() - {"v", "command"} - command.fields:
        raise BadRequest("malformed", f"{name} takes no {', '.join(map(repr, sorted(unknown)))}"[:200])
    if command.admin and not admin:
        raise BadRequest("denied", f"{name} is for root, the user the daemon runs as, and the group of its admins")
    return Request(name, {key: value for key, value in request.items() if key in command.fields}, uid)


def answer(fields: dict[str, Any]) -> bytes:
    """A line for a command that was carried out (`ok` may still be False in `fields`: a refused reload)."""
    return orjson.dumps({"v": VERSION, "ok": True, **fields}, option=orjson.OPT_APPEND_NEWLINE)


def refusal(error: BadRequest) -> bytes:
    return answer({"ok": False, "code": error.code, "error": str(error)})
