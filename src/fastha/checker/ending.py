"""How a probe can end. Those below 32 are the native engine's: `ending_t` in slot.pxd (a test compares them);
those from 40 on are of conversations alone (fastha.checker.talk)."""

from __future__ import annotations

import os
from enum import IntEnum

from fastha.checker.verdict import Outcome


class Ending(IntEnum):
    """Every way a probe ends, told apart; "failed" is not one of them."""

    CONNECTED = 0
    ANSWERED = 1
    REFUSED = 2
    UNREACHABLE = 3
    CONNECT_TIMEOUT = 4
    REPLY_TIMEOUT = 5
    RESET = 6
    STATUS = 7
    DIGEST = 8
    SHORT = 9
    GARBAGE = 10
    TOO_LONG = 11
    NO_SOURCE = 12
    DENIED = 13
    ERROR = 14
    NO_PORT = 15
    NO_DESCRIPTOR = 16
    NO_MEMORY = 17
    SILENT = 18
    MISMATCH = 19
    LENGTH = 20
    RCODE = 21
    REGEX = 40
    TLS = 41
    CERTIFICATE = 42
    REPLY = 43
    PROTOCOL = 44
    # Of commands and files (no engine of ours in C knows them).
    STATUS_OF_EXIT = 64
    SIGNAL = 65
    SCRIPT_TIMEOUT = 66
    NOT_RUN = 67
    SUCCEEDED = 68
    SPAWNER = 69
    VALUE = 70
    BAD_VALUE = 71
    SESSION_UP = 60
    SESSION_DOWN = 61


TEXTS = {
    Ending.CONNECTED: "connected",
    Ending.ANSWERED: "answered",
    Ending.REFUSED: "connection refused",
    Ending.UNREACHABLE: "unreachable",
    Ending.CONNECT_TIMEOUT: "no connection in time",
    Ending.REPLY_TIMEOUT: "no whole reply in time",
    Ending.RESET: "connection reset",
    Ending.STATUS: "status not accepted",
    Ending.DIGEST: "digest differs",
    Ending.SHORT: "reply cut short",
    Ending.GARBAGE: "not an HTTP reply",
    Ending.TOO_LONG: "endless header or reply",
    Ending.NO_SOURCE: "what to bind to is not on this machine",
    Ending.DENIED: "this machine does not permit the connection",
    Ending.ERROR: "system error",
    Ending.NO_PORT: "no free local port",
    Ending.NO_DESCRIPTOR: "no free file descriptor",
    Ending.NO_MEMORY: "out of memory",
    Ending.STATUS_OF_EXIT: "exit status",
    Ending.SIGNAL: "ended by signal",
    Ending.SCRIPT_TIMEOUT: "not done in time, ended",
    Ending.NOT_RUN: "cannot be run",
    Ending.SUCCEEDED: "succeeded",
    Ending.SPAWNER: "no process to run it",
    Ending.VALUE: "value",
    Ending.BAD_VALUE: "value",
    Ending.SILENT: "no objection",
    Ending.MISMATCH: "not the reply that is required",
    Ending.LENGTH: "length of the reply not accepted",
    Ending.RCODE: "DNS error",
    Ending.REGEX: "body not as wanted",
    Ending.TLS: "TLS failed",
    Ending.CERTIFICATE: "certificate not accepted",
    Ending.REPLY: "reply not accepted",
    Ending.PROTOCOL: "not what the protocol allows",
    Ending.SESSION_UP: "BFD session is up",
    Ending.SESSION_DOWN: "BFD session is down",
}
RCODES = {
    1: "format error",
    2: "server failure",
    3: "no such name",
    4: "not implemented",
    5: "refused",
}  # RFC 1035, 4.1.1
GOOD = frozenset({Ending.CONNECTED, Ending.ANSWERED, Ending.SILENT, Ending.SUCCEEDED, Ending.VALUE, Ending.SESSION_UP})
OURS = frozenset({Ending.NO_PORT, Ending.NO_DESCRIPTOR, Ending.NO_MEMORY, Ending.SPAWNER})
WITH_NUMBER = frozenset({Ending.STATUS_OF_EXIT, Ending.SIGNAL, Ending.VALUE, Ending.BAD_VALUE})
WITH_ERRNO = frozenset({Ending.UNREACHABLE, Ending.NO_SOURCE, Ending.DENIED, Ending.ERROR})


def outcome(ending: Ending) -> Outcome:
    """What an ending means for the verdict: a shortage of ours says nothing about the server."""
    return Outcome.OK if ending in GOOD else Outcome.OURS if ending in OURS else Outcome.FAIL


def describe(ending: Ending, detail: int) -> str:
    """`status not accepted (503)`, `unreachable (No route to host)`, `exit status 2`. `detail`: HTTP status, length,
    rcode, errno, or the number itself."""
    text = TEXTS[ending]
    if ending in WITH_NUMBER:
        return f"{text} {detail}"
    if ending is Ending.STATUS:
        return f"{text} ({detail})"
    if ending is Ending.LENGTH:
        return f"{text} ({detail} bytes)"
    if ending is Ending.RCODE:
        return f"{text} ({RCODES.get(detail, f'rcode {detail}')})"
    return f"{text} ({os.strerror(detail)})" if detail and ending in WITH_ERRNO else text
