"""`real_server` -> RealServer."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastha.config import values
from fastha.config.build_checks import BUILDERS
from fastha.config.inherit import Timing, read_timing
from fastha.config.keywords import TABLE
from fastha.config.lvs_words import Method, method
from fastha.config.shape import Item, items
from fastha.config.tree import Faults, Statement
from fastha.model import RealServer, Script

CHECKS = frozenset(word for word, k in TABLE["real_server"].items() if k.opens)


@dataclass(slots=True)
class RealDraft:
    """A real server while it is read; None: what the virtual server says, filled in by build_lvs."""

    statement: Statement
    ip: str
    port: int | None
    weight: int | None = None
    method: Method | None = None
    inhibit: bool | None = None
    uthreshold: int = 0
    lthreshold: int = 0
    notify_up: Script | None = None
    notify_down: Script | None = None
    timing: Timing = field(default_factory=Timing)
    checks: list[Item] = field(default_factory=list)


def real_server(statement: Statement, faults: Faults) -> RealDraft | None:
    """The head and the plain keywords of one block; its checks are built when everything they inherit is known."""
    ip = values.address(statement, 1, faults)
    port = values.port(statement, 2, faults, low=0) if len(statement.words) > 2 else None
    if ip is None or (port is None and len(statement.words) > 2):
        return None
    draft = RealDraft(statement, str(ip), port)
    block = statement.block or []
    for item in items(block, "real_server", faults):
        _keyword(item, draft, faults)
    if not draft.checks and (first := next((s for s in block if s.words[0] in CHECKS), None)) is not None:
        # A server without checks counts as up for ever. That is not what somebody who wrote a check wants.
        faults.error(
            first.place(),
            f"no check of this real_server is supported yet, so it would always count as up ({first.words[0]})",
            "add a TCP_CHECK or HTTP_GET, or take the check out",
            code="no-check",
        )
    return draft


def _keyword(item: Item, draft: RealDraft, faults: Faults) -> None:
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
        case name if name in BUILDERS:
            draft.checks.append(item)
        case name:
            known = read_timing(item, draft.timing, faults)
            assert known, name


def build_real_server(draft: RealDraft, port: int, above: Timing, faults: Faults) -> RealServer:
    """The finished value; what the virtual server gives is filled in.

    `port`: the one in the kernel's table. `above`: what the virtual server says about checks.
    """
    timing = draft.timing.over(above)
    assert draft.port is not None
    assert draft.weight is not None
    assert draft.inhibit is not None
    assert draft.method is not None
    checks = tuple(
        check
        for item in draft.checks
        if (check := BUILDERS[item.name](item, draft.ip, draft.port, timing, faults)) is not None
    )
    return RealServer(
        ip=draft.ip, port=port, weight=draft.weight, forward=draft.method.forward, tunnel=draft.method.tunnel,
        inhibit_on_failure=draft.inhibit,
        alpha=bool(timing.alpha), uthreshold=draft.uthreshold, lthreshold=draft.lthreshold, checks=checks,
        notify_up=draft.notify_up, notify_down=draft.notify_down,
    )  # fmt: skip
