"""`real_server` -> RealServer."""

from __future__ import annotations

from itertools import chain

from fastha.config import values
from fastha.config.build_checks import BUILDERS
from fastha.config.inherit import Timing, read_timing
from fastha.config.item import Item
from fastha.config.keywords import TABLE
from fastha.config.lvs_words import Method, method
from fastha.config.shape import items
from fastha.config.tree import Faults, Marks, Statement
from fastha.lean import dataclass, field
from fastha.model import Check, RealServer, Script

CHECKS = frozenset(word for word, k in TABLE["real_server"].items() if k.opens)
FEW = 4  # checks: what most real servers have need not be made again


@dataclass(slots=True)
class RealBody:
    """What the block of a real server says; None: what the virtual server says. Blocks that say the same share it."""

    weight: int | None = None
    method: Method | None = None
    inhibit: bool | None = None
    uthreshold: int = 0
    lthreshold: int = 0
    notify_up: Script | None = None
    notify_down: Script | None = None
    smtp_alert: bool | None = None
    timing: Timing = field(default_factory=Timing)
    checks: list[Statement] = field(default_factory=list)  # FEW of them
    more: Marks | None = None  # where the others are

    def keep(self, check: Statement) -> None:
        """One of its checks."""
        if len(self.checks) < FEW:
            self.checks.append(check)
            return
        if self.more is None:
            self.more = Marks()
        self.more.add(check)


@dataclass(slots=True)
class RealDraft:
    """A real server while it is read; there may be very many. `port` None: that of the virtual server."""

    ip: str
    port: int | None
    body: RealBody
    own: bool  # its body; else it is another's of the same spelling (config.alike)
    alike: int  # the same number for blocks of the same spelling with the same port


def real_head(statement: Statement, faults: Faults) -> tuple[str, int | None] | None:
    """ADDR [PORT]; None after a fault."""
    ip = values.address_text(statement, 1, faults)
    port = values.port(statement, 2, faults, low=0) if len(statement.words) > 2 else None
    if ip is None or (port is None and len(statement.words) > 2):
        return None
    return ip, port


def real_body(statement: Statement, faults: Faults) -> RealBody:
    """The plain keywords of one block; its checks are built when everything they inherit is known."""
    body = RealBody()
    block = statement.block or []
    for item in items(block, "real_server", faults):
        _keyword(item, body, faults)
    if not body.checks and (first := next((s for s in block if s.words[0] in CHECKS), None)) is not None:
        # A server without checks counts as up for ever. That is not what somebody who wrote a check wants.
        faults.error(
            first.place(),
            f"no check of this real_server is supported yet, so it would always count as up ({first.words[0]})",
            "add a TCP_CHECK or HTTP_GET, or take the check out",
        )
    return body


def _keyword(item: Item, draft: RealBody, faults: Faults) -> None:
    match item.name:
        case "weight":
            draft.weight = values.number(item, faults)
        case "lvs_method":
            draft.method = method(item.statement, 1, faults)
        case "inhibit_on_failure":
            draft.inhibit = values.boolean(item, faults)
        case "uthreshold":
            draft.uthreshold = values.number(item, faults) or 0
        case "lthreshold":
            draft.lthreshold = values.number(item, faults) or 0
        case "notify_up":
            draft.notify_up = values.script(item, faults)
        case "notify_down":
            draft.notify_down = values.script(item, faults)
        case "smtp_alert":
            draft.smtp_alert = values.boolean(item, faults)
        case name if name in BUILDERS:
            draft.keep(item.statement)
        case name:
            known = read_timing(item, draft.timing, faults)
            assert known, name


def build_real_server(
    draft: RealDraft, statement: Statement, asked_port: int, port: int, method: Method, weight: int, inhibit: bool,
    smtp_alert: bool, above: Timing, faults: Faults,
) -> RealServer:  # fmt: skip
    """The finished value. `asked_port`: the one that is checked; `port`: the one in the kernel's table. `above`: what
    the virtual server says about checks."""
    body = draft.body
    if not draft.own:  # faults are told at its own words
        body = real_body(statement, faults)
    timing = body.timing.over(above)
    built = (
        _check(statement, draft.ip, asked_port, timing, faults) for statement in chain(body.checks, body.more or ())
    )
    return RealServer(
        ip=draft.ip, port=port, weight=weight, forward=method.forward, tunnel=method.tunnel,
        inhibit_on_failure=inhibit,
        alpha=bool(timing.alpha), uthreshold=body.uthreshold, lthreshold=body.lthreshold,
        checks=tuple(check for check in built if check is not None),
        notify_up=body.notify_up, notify_down=body.notify_down, smtp_alert=smtp_alert,
    )  # fmt: skip


def _check(statement: Statement, ip: str, port: int, timing: Timing, faults: Faults) -> Check | None:
    item = Item(TABLE["real_server"][statement.words[0]], statement)
    check = BUILDERS[item.name](item, ip, port, timing, faults)
    statement.forget()
    return check
