"""SMTP_CHECK -> SmtpCheck."""

from __future__ import annotations

from fastha.config.connection import Connection, connection_word
from fastha.config.inherit import Timing
from fastha.config.item import Item
from fastha.config.shape import items
from fastha.config.tree import Faults, shown
from fastha.model import Check, SmtpCheck
from fastha.model.units import NS_PER_S


def build_smtp(item: Item, ip: str, port: int, above: Timing, faults: Faults) -> Check | None:
    draft = Connection(ip, port)
    helo = ""
    host: Item | None = None
    for inner in items(item.statement.block or [], item.name, faults):
        match inner.name:
            case "helo_name":
                helo = inner.statement.words[1]
                if not helo or any(c <= " " or c == "\x7f" for c in helo):
                    faults.error(inner.statement.place(1), f"'{shown(helo)}' cannot stand in HELO")
            case "host":
                if host is not None:
                    faults.warning(
                        inner.statement.place(),
                        "a second host of one SMTP_CHECK is not checked",
                        "one SMTP_CHECK for each",
                    )
                    continue
                host = inner
                _host(inner, draft, faults)
            case name:
                known = connection_word(inner, draft, faults)
                assert known, name
    return SmtpCheck(**draft.settled(item, above, 1 * NS_PER_S, faults), helo_name=helo)


def _host(item: Item, draft: Connection, faults: Faults) -> None:
    """The older way: what the check itself may say, one block deeper."""
    faults.warning(item.statement.place(), "host { } is an older way: its keywords can stand in SMTP_CHECK itself")
    for inner in items(item.statement.block or [], "smtp_host", faults):
        known = connection_word(inner, draft, faults)
        assert known, inner.name
