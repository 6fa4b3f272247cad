"""MISC_CHECK -> MiscCheck."""

from __future__ import annotations

from fastha.config import values
from fastha.config.inherit import Timing, read_timing
from fastha.config.item import Item
from fastha.config.shape import items
from fastha.config.tree import Faults
from fastha.lean import replace
from fastha.model import Check, MiscCheck, Script
from fastha.model.units import NS_PER_S

LONGEST_US = values.US_LIMIT


def build_misc(item: Item, ip: str, port: int, above: Timing, faults: Faults) -> Check | None:
    script: Script | None = None
    user, group, supplementary = "", "", False
    timeout_ns, dynamic = 0, False
    own = Timing()
    for inner in items(item.statement.block or [], item.name, faults):
        match inner.name:
            case "misc_path":
                # keepalived.md 1.10: further words are dropped here, not taken for a user; that was a warning already.
                del inner.statement.words[2:]
                script = values.script(inner, faults)
            case "misc_timeout":
                timeout_ns = values.seconds_ns(inner, faults, 1, LONGEST_US) or 0
            case "misc_dynamic":
                dynamic = bool(values.boolean(inner, faults))
            case "user":
                user, group, supplementary = values.owner_and_groups(inner.statement.words[1:])
            case name:
                known = read_timing(inner, own, faults)
                assert known, name
    if script is None:
        faults.error(item.statement.place(), "MISC_CHECK without a misc_path", 'misc_path "/path/to/check arguments"')
        return None
    settled = own.over(above).settled(1 * NS_PER_S, retry=0)  # keepalived.md 1.14
    del settled["timeout_ns"]  # type: ignore[misc]  # connect_timeout means nothing here
    script = replace(script, user=user, group=group, supplementary=supplementary)
    return MiscCheck(script=script, timeout_ns=timeout_ns or settled["delay_ns"], dynamic=dynamic, **settled)  # type: ignore[misc]
