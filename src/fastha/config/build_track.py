"""`track_virtual_server`: fastha's own addition to vrrp_instance.

track_virtual_server {
    10.0.0.1 80                  losing the quorum is FAULT
    10.0.0.1 53 UDP weight -20   losing the quorum costs 20
    fwmark 7 inet
    group web TCP
}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fastha.config import values
from fastha.config.line import plain
from fastha.config.near import meant
from fastha.config.tree import Faults, Statement, shown
from fastha.model import TrackVirtualServer, VirtualServer
from fastha.model.lvs import host_port

PROTOCOLS = ("TCP", "UDP", "SCTP")
WEIGHT = 253  # as the weights of track_script: beyond it any priority would be at its end (keepalived takes 254 for it)


def build_track_virtual_servers(
    block: Sequence[Statement], servers: Mapping[str, VirtualServer], faults: Faults
) -> list[TrackVirtualServer]:
    """The tracked virtual servers, each one that this configuration defines."""
    out: dict[str, TrackVirtualServer] = {}
    for statement in plain(block, faults):
        found = _line(statement, servers, faults)
        if found is None:
            continue
        if found.key in out:
            faults.warning(statement.place(), f"{found.key} is tracked already; the last one counts")
        out[found.key] = found
    return list(out.values())


def _line(statement: Statement, servers: Mapping[str, VirtualServer], faults: Faults) -> TrackVirtualServer | None:
    words = statement.words
    if len(words) < 2:
        faults.error(statement.place(), "expected: ADDRESS PORT, fwmark N or group NAME; [weight N]")
        return None
    i = 2
    candidates: list[str]
    if words[0] == "fwmark":
        mark = values.parse_unsigned(words[1])
        if mark is None:
            faults.error(statement.place(1), f"'{shown(words[1])}' is not a fwmark")
            return None
        families = ("inet", "inet6")
        if i < len(words) and words[i] in families:
            families = (words[i],)  # type: ignore[assignment]  # one of two
            i += 1
        candidates = [f"fwmark {mark}/{f}" for f in families]
    else:
        if words[0] == "group":
            subject = f"group {words[1]}"
        else:
            ip, port = values.address(statement, 0, faults), values.port(statement, 1, faults, low=0)
            if ip is None or port is None:
                return None
            subject = host_port(str(ip), port)
        protocols = PROTOCOLS
        if i < len(words) and words[i].upper() in PROTOCOLS:
            protocols = (words[i].upper(),)  # type: ignore[assignment]  # one of three
            i += 1
        candidates = [f"{subject}/{p.lower()}" for p in protocols]
    weight = _weight(statement, i, faults)
    if weight is None:
        return None
    matches = [c for c in candidates if c in servers]
    named = shown(" ".join(words[:i]))
    if not matches:
        hint = meant(candidates[0], servers, cutoff=0.8, after=len(faults))
        faults.error(statement.place(), f"there is no virtual_server {named} that works", hint)
        return None
    if len(matches) > 1:
        faults.error(statement.place(), f"{named} is several virtual servers", f"say which: {', '.join(matches)}")
        return None
    return TrackVirtualServer(key=matches[0], weight=weight)


def _weight(statement: Statement, i: int, faults: Faults) -> int | None:
    words = statement.words
    if i == len(words):
        return 0
    if words[i] != "weight" or i + 2 != len(words):
        faults.error(statement.place(i), f"'{shown(words[i])}': expected weight N")
        return None
    word = words[i + 1]
    if values.INTEGER.fullmatch(word) and abs(int(word)) <= WEIGHT:
        return int(word)
    faults.error(statement.place(i + 1), f"'{shown(word)}' is not a weight (-{WEIGHT} to {WEIGHT})")
    return None
