"""What mail says of a change: subject and first line as keepalived writes them. Pure.

Filters look at the subject: it is keepalived's byte for byte behind the `[router_id] ` that the parent puts before it.
The text has keepalived's line, and behind it why.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastha.model import RealServer, VirtualServer
from fastha.scripts import lines

# Kinds of letters: FAULT of instances and groups and what a check alone has found can be unwanted (no_email_faults,
# no_checker_emails).
CHANGE, FAULT, CHECK = "change", "fault", "check"

_INSTANCE = {
    "MASTER": "=> VRRP Instance is now owning VRRP VIPs <=",
    "BACKUP": "=> VRRP Instance is no longer owning VRRP VIPs <=",
    "FAULT": "=> VRRP Instance is no longer owning VRRP VIPs <=",
}
# keepalived writes "TCP CHECK failed on service", but of HTTP_GET, SSL_GET and SMTP_CHECK "CHECK failed on service".
_NAMED = ("TCP_CHECK", "UDP_CHECK", "DNS_CHECK", "MISC_CHECK", "PING_CHECK", "FILE_CHECK", "BFD_CHECK")


@dataclass(frozen=True, slots=True)
class Letter:
    """`subject` without the router_id; `text`: lines."""

    kind: str
    subject: str
    text: str


def instance(name: str, state: str, why: str) -> Letter | None:
    """An instance enters MASTER, BACKUP or FAULT; no mail tells of the end."""
    if state not in _INSTANCE:
        return None
    return _letter(_kind(state), f"VRRP Instance {name} - Entering {state} state", _INSTANCE[state], why)


def group(name: str, state: str, why: str) -> Letter | None:
    """The same of a sync group."""
    if state not in _INSTANCE:
        return None
    line = f"=> All VRRP group instances are now in {state} state <="
    return _letter(_kind(state), f"VRRP Group {name} - Entering {state} state", line, why)


def checked(server: VirtualServer, real: RealServer, check: str, up: bool, good: bool, why: str, alone: bool) -> Letter:
    """A check of a real server has changed its mind. `check`: its keyword; `good`: what it says now; `up`: whether the
    real server is up; `alone`: that does not change by it."""
    label = f"{check.removesuffix('_CHECK')} CHECK" if check in _NAMED else "CHECK"
    subject = f"Realserver {lines.of_real(server, real)} of virtual server {lines.of_virtual(server)} - {_word(up)}"
    line = f"=> {label} {'succeed' if good else 'failed'} on service <="
    return _letter(CHECK if alone else CHANGE, subject, line, f"{check}: {why}")


def quorum(server: VirtualServer, up: bool, live_weight: int, began: bool = False) -> Letter:
    """A virtual server has gained or lost its quorum, or `began` with or without."""
    said = f"Starting with quorum {_word(up).lower()}" if began else f"{'Gained' if up else 'Lost'} quorum"
    needed = f"{server.quorum}+{server.hysteresis}={server.quorum + server.hysteresis}"
    why = f"live weight {live_weight}, quorum {server.quorum}"
    line = f"=> {said} {needed} <= {live_weight} <="
    return _letter(CHANGE, f"Virtualserver {lines.of_virtual(server)} - {_word(up)}", line, why)


def _letter(kind: str, subject: str, line: str, why: str) -> Letter:
    return Letter(kind, subject, f"{line}\n\n{why}" if why else line)


def _kind(state: str) -> str:
    return FAULT if state == "FAULT" else CHANGE


def _word(up: bool) -> str:
    return "UP" if up else "DOWN"
