"""DNS_CHECK -> DnsCheck."""

from __future__ import annotations

import re

from fastha.config.connection import Connection, connection_word
from fastha.config.inherit import Timing
from fastha.config.item import Item
from fastha.config.shape import items
from fastha.config.tree import Faults, Statement, shown
from fastha.lean import dataclass
from fastha.model import Check, DnsCheck

TYPES = ("A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA", "RRSIG", "DNSKEY")
LABEL = re.compile(r"[\x21-\x2d\x2f-\x7e]{1,63}")  # RFC 2181 section 11: any bytes; what is printable can be configured
MOST = 253  # characters of a name without its last dot: 255 bytes on the wire (RFC 1035 section 2.3.4)
RETRY = 3  # keepalived's, for this kind alone


@dataclass(slots=True)
class _Draft(Connection):
    type: str = "SOA"
    name: str = "."


def build_dns(item: Item, ip: str, port: int, above: Timing, faults: Faults) -> Check | None:
    draft = _Draft(ip, port)
    for inner in items(item.statement.block or [], item.name, faults):
        match inner.name:
            case "type":
                _type(inner.statement, draft, faults)
            case "name":
                _name(inner.statement, draft, faults)
            case name:
                known = connection_word(inner, draft, faults)
                assert known, name
    settled = draft.settled(item, above, None, faults, retry=RETRY)
    return DnsCheck(**settled, type=draft.type, name=draft.name)


def _type(statement: Statement, draft: _Draft, faults: Faults) -> None:
    word = statement.words[1]
    if word.upper() in TYPES:
        draft.type = word.upper()
    else:
        faults.error(statement.place(1), f"'{shown(word)}' is not a type that can be asked for", ", ".join(TYPES))


def _name(statement: Statement, draft: _Draft, faults: Faults) -> None:
    word = statement.words[1]
    plain = word.removesuffix(".")
    if word == "." or (len(plain) <= MOST and all(LABEL.fullmatch(label) for label in plain.split("."))):
        draft.name = word
    else:
        faults.error(statement.place(1), f"'{shown(word)}' is not a name", "labels of 1 to 63 characters")
