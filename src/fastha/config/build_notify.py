"""What `global_defs` says of scripts and notify FIFOs -> ScriptDefs, Fifo."""

from __future__ import annotations

from typing import Any

from fastha.config import values
from fastha.config.item import Item
from fastha.config.tree import Faults, Statement
from fastha.lean import dataclass, field, replace
from fastha.model import Fifo, Script, ScriptDefs

FIFOS = {"notify_fifo": "all", "vrrp_notify_fifo": "vrrp", "lvs_notify_fifo": "lvs"}
FIFO_SCRIPTS = {"notify_fifo_script": "all", "vrrp_notify_fifo_script": "vrrp", "lvs_notify_fifo_script": "lvs"}
SCRIPTS = {"startup_script": "startup", "shutdown_script": "shutdown"}
TIMEOUTS = {"startup_script_timeout": "startup_timeout_ns", "shutdown_script_timeout": "shutdown_timeout_ns"}
NOTIFY_WORDS = frozenset(
    {*FIFOS, *FIFO_SCRIPTS, *SCRIPTS, *TIMEOUTS, "enable_script_security", "set_supplementary_groups"}
)


@dataclass(slots=True)
class Notify:
    """As far as it has been read."""

    defs: ScriptDefs = ScriptDefs()
    fifos: dict[str, Fifo] = field(default_factory=dict)
    scripts: dict[str, tuple[Script, Statement]] = field(default_factory=dict)

    def settle(self, faults: Faults) -> tuple[Fifo, ...]:
        """The FIFOs with their scripts."""
        for what, (_script, statement) in self.scripts.items():
            if what not in self.fifos:
                word = statement.words[0]
                faults.warning(statement.place(), f"{word} has no effect without {word.removesuffix('_script')}")
        return tuple(
            replace(fifo, script=self.scripts[what][0] if what in self.scripts else None)
            for what, fifo in self.fifos.items()
        )


def read_notify(item: Item, into: Notify, faults: Faults) -> None:
    """One keyword of NOTIFY_WORDS."""
    statement = item.statement
    change: dict[str, Any] = {}
    match item.name:
        case name if name in FIFOS:
            path = statement.words[1]
            if not path.startswith("/"):
                faults.error(statement.place(1), f"{name} must be an absolute path")
                return
            user, group = values.owner(statement.words[2:])
            into.fifos[FIFOS[name]] = Fifo(FIFOS[name], path, user, group)
        case name if name in FIFO_SCRIPTS:
            if (script := values.script(item, faults)) is not None:
                into.scripts[FIFO_SCRIPTS[name]] = script, statement
        case name if name in SCRIPTS:
            change[SCRIPTS[name]] = values.script(item, faults)
        case name if name in TIMEOUTS:
            if (timeout_ns := values.whole_seconds_ns(item, faults)) is not None:
                change[TIMEOUTS[name]] = timeout_ns
        case "enable_script_security":
            change["secure"] = True
        case "set_supplementary_groups":
            change["supplementary"] = bool(values.boolean(item, faults))
    if change:
        into.defs = replace(into.defs, **change)
