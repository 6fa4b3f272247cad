"""`vrrp_script` -> VrrpScript."""

from __future__ import annotations

from collections.abc import Iterable

from fastha.config import values
from fastha.config.build_file import weight_word
from fastha.config.item import Item
from fastha.config.placed import named_once
from fastha.config.shape import items
from fastha.config.tree import Faults, Statement
from fastha.lean import replace
from fastha.model import Script, VrrpScript
from fastha.model.units import NS_PER_S


def build_vrrp_scripts(blocks: Iterable[Item], faults: Faults) -> dict[str, VrrpScript]:
    """Every `vrrp_script` by name; of two with one name the first stays, and it is an error. One without a script is
    found by config.references."""
    found = ((name, _script(name, statement, faults)) for name, statement in named_once("vrrp_script", blocks, faults))
    return {name: built for name, built in found if built is not None}


def _script(name: str, statement: Statement, faults: Faults) -> VrrpScript | None:
    command: Script | None = None
    owner = "", "", False
    interval_ns, timeout_ns, rise, fall = NS_PER_S, 0, 1, 1
    weight, reverse, init_fail = 0, False, False
    for item in items(statement.block or [], "vrrp_script", faults):
        match item.name:
            case "script":
                # keepalived.md 1.10: further words are dropped here, not taken for a user; that was a warning already.
                command = values.script(Item(item.keyword, item.statement.piece(0, 2)), faults)
            case "interval":
                interval_ns = values.seconds_ns(item, faults) or interval_ns
            case "timeout":
                timeout_ns = values.seconds_ns(item, faults) or 0
            case "weight":
                weight, reverse = weight_word(item, faults) or (0, False)
            case "rise":
                rise = values.number(item, faults) or 1
            case "fall":
                fall = values.number(item, faults) or 1
            case "user":
                owner = values.owner_and_groups(item.statement.words[1:])
            case "init_fail":
                init_fail = True
    if command is None:
        return None
    user, group, supplementary = owner
    return VrrpScript(
        name=name,
        script=replace(command, user=user, group=group, supplementary=supplementary),
        interval_ns=interval_ns,
        timeout_ns=timeout_ns or interval_ns,
        rise=rise,
        fall=fall,
        weight=weight,
        reverse=reverse,
        init_fail=init_fail,
    )
