"""Keeps the firewall of the instances as wanted (shell over filter_rules, by libnftables)."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from fastha.dataplane.nft_library import OUTPUT_NUMERIC_ALL, OUTPUT_STATELESS, Library
from fastha.errors import SystemFault
from fastha.model import FirewallDefs, VrrpInstance
from fastha.model.units import NS_PER_S
from fastha.vrrp import filter_rules

if TYPE_CHECKING:
    from fastha.child import Child
    from fastha.loop.reactor import Timer

PERIOD_NS = 10 * NS_PER_S  # from one look to the next
OUTPUT_TERSE = 1 << 11  # without the elements of sets: thousands would take longer than an advert may wait


class Firewall:
    """`commit` with each configuration, before addresses and VMACs are up; `stop` at an orderly end."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._library: Library | None = None
        self._table = ""
        self._wanted: dict[str, str] = {}
        self._listed: dict[str, str] | None = {}  # what the kernel shows of it; None: not known to be right
        self._timer: Timer | None = None

    def prepare(self, instances: Iterable[VrrpInstance], defs: FirewallDefs) -> None:
        """ValueError or SystemFault if instances that must not accept packets could not be kept from it."""
        closed = [one for one in instances if not one.accept]
        wanted = filter_rules.tables(closed, defs)
        if wanted:
            try:
                self._open().run(filter_rules.replace(defs.table, wanted), check=True)
            except OSError as error:
                raise ValueError(f"no_accept: nftables: {error.strerror or error}") from None

    def commit(self, instances: Iterable[VrrpInstance], defs: FirewallDefs) -> None:
        wanted = filter_rules.tables(instances, defs)
        if self._wanted and self._table != defs.table:
            self._run(filter_rules.remove(self._table))
        changed = wanted != self._wanted or self._table != defs.table
        self._wanted, self._table = wanted, defs.table
        if changed:
            self._install()
        if self._timer is None and wanted:
            self._timer = self._child.reactor.call_later(PERIOD_NS, self._look)

    def stop(self) -> None:
        """The tables go."""
        if self._wanted:
            self._run(filter_rules.remove(self._table))
        self._wanted = {}
        self.close()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._library is not None:
            self._library.close()
            self._library = None

    def _look(self) -> None:
        self._timer = None
        if not self._wanted:
            return
        if self._listed is None:
            self._install()
        elif self._listing() != self._listed:
            self._child.event("firewall", self._table, f"somebody had changed table {self._table}: repaired")
            self._install()
        self._timer = self._child.reactor.call_later(PERIOD_NS, self._look)

    def _install(self) -> None:
        self._listed = None
        if self._run(filter_rules.replace(self._table, self._wanted)):
            self._listed = self._listing()

    def _listing(self) -> dict[str, str]:
        out = {}
        for family in self._wanted:
            try:
                flags = OUTPUT_STATELESS | OUTPUT_NUMERIC_ALL | OUTPUT_TERSE
                out[family] = self._open().run(f"list table {family} {self._table}", output=flags)
            except OSError:
                out[family] = ""
        return out

    def _run(self, commands: str) -> bool:
        try:
            self._open().run(commands)
        except (OSError, SystemFault) as error:
            text = f"firewall: {getattr(error, 'strerror', '') or error}; trying again every {PERIOD_NS // NS_PER_S} s"
            self._child.limited("firewall", 0.1, text, logging.ERROR)
            return False
        return True

    def _open(self) -> Library:
        if self._library is None:
            self._library = Library()
        return self._library
