"""UDP_CHECK -> UdpCheck."""

from __future__ import annotations

import re

from fastha.config import values
from fastha.config.connection import Connection, connection_word
from fastha.config.inherit import Timing
from fastha.config.item import Item
from fastha.config.shape import items
from fastha.config.tree import Faults, Statement, shown
from fastha.lean import dataclass
from fastha.model import Check, UdpCheck
from fastha.model.units import NS_PER_S

HEX = re.compile(r"[0-9a-fA-F]+", re.A)
MASKED = re.compile(r"[0-9a-fA-FxX]+", re.A)
MOST = 65507  # bytes of a datagram over IPv4: 65535 without the headers of IP and UDP


@dataclass(slots=True)
class _Draft(Connection):
    payload: str = ""
    require_reply: bool = False
    reply: str = ""
    mask: str = ""
    least: int = 0
    most: int = 65535


def build_udp(item: Item, ip: str, port: int, above: Timing, faults: Faults) -> Check | None:
    draft = _Draft(ip, port)
    for inner in items(item.statement.block or [], item.name, faults):
        _keyword(inner, draft, faults)
    if draft.least > draft.most:
        faults.error(item.statement.place(), f"min_reply_length {draft.least} is above max_reply_length {draft.most}")
    elif len(draft.reply) // 2 > draft.most:
        faults.error(item.statement.place(), f"require_reply is longer than max_reply_length {draft.most}")
    return UdpCheck(
        **draft.settled(item, above, 1 * NS_PER_S, faults),
        payload=draft.payload, require_reply=draft.require_reply, reply=draft.reply, mask=draft.mask,
        min_reply_length=draft.least, max_reply_length=draft.most,
    )  # fmt: skip


def _keyword(item: Item, draft: _Draft, faults: Faults) -> None:
    statement = item.statement
    match item.name:
        case "payload":
            draft.payload = _digits(statement, HEX, faults)
        case "require_reply":
            draft.require_reply = True
            pattern = _digits(statement, MASKED, faults)
            draft.reply = pattern.replace("x", "0")
            draft.mask = "".join("0" if c == "x" else "f" for c in pattern)
        case "min_reply_length":
            draft.least = values.number(item, faults) or 0
        case "max_reply_length":
            most = values.number(item, faults)
            draft.most = draft.most if most is None else most
        case name:
            known = connection_word(item, draft, faults)
            assert known, name


def _digits(statement: Statement, wanted: re.Pattern[str], faults: Faults) -> str:
    """The hexadecimal digits of all words, in lower case; a word of one digit is a byte. "" after a fault."""
    out = ""
    for i, word in enumerate(statement.words[1:], 1):
        digits = word if len(word) != 1 else f"0{word}"
        if not wanted.fullmatch(word) or len(digits) % 2:
            also = ", x for a digit that does not matter" if wanted is MASKED else ""
            faults.error(statement.place(i), f"'{shown(word)}' is not pairs of hexadecimal digits{also}")
            return ""
        out += digits.lower()
    if len(out) // 2 > MOST:
        faults.error(statement.place(1), f"{len(out) // 2} bytes do not fit a datagram", f"at most {MOST}")
        return ""
    return out
