"""Keeps a child's tables of nftables as wanted (shell, by libnftables): what the firewall drops, what gets a mark.

A change replaces the tables of both families in one transaction. What the kernel shows after it is remembered; when a
later listing is another, somebody else was there, and they are replaced again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from fastha.child.log import Limiter
from fastha.child.nft_presence import has_table
from fastha.dataplane.nft_library import OUTPUT_NUMERIC_ALL, OUTPUT_STATELESS, OUTPUT_TERSE, Library
from fastha.errors import SystemFault
from fastha.loop.reactor import Reactor, Timer
from fastha.model.units import NS_PER_S
from fastha.setns import Place, here

PERIOD_NS = 10 * NS_PER_S  # from one look to the next
FAMILIES = ("ip", "ip6")


class Nft(Protocol):
    """The part of dataplane.nft_library.Library that is used here."""

    def run(self, commands: str, *, output: int = 0, check: bool = False) -> str: ...
    def close(self) -> None: ...


class NftTables:
    """`prepare` and `commit` with each configuration, `stop` at an orderly end.

    `what` names them in messages. `told(what, text)` hears of repairs. `terse`: elements of sets are not compared;
    thousands would take longer than an advert may wait. `make_nft` None: nothing reaches the kernel. `place`: in which
    network namespace they are.
    """

    def __init__(
        self,
        what: str,
        reactor: Reactor,
        limited: Limiter,
        told: Callable[[str, str], object] = lambda _subject, _text: None,
        *,
        terse: bool = False,
        make_nft: Callable[[], Nft] | None = Library,
        place: Place = here,
        there: Callable[[str], bool] = has_table,
    ) -> None:
        self._what = what
        self._reactor = reactor
        self._limited = limited
        self._told = told
        self._output = OUTPUT_STATELESS | OUTPUT_NUMERIC_ALL | (OUTPUT_TERSE if terse else 0)
        self._make_nft = make_nft
        self._there = there
        self._place = place
        self._nft: Nft | None = None
        self._table = ""
        self._wanted: dict[str, str] = {}
        self._installed: dict[str, str] | None = {}  # what the kernel shows of it; None: not known to be right
        self._timer: Timer | None = None

    def prepare(self, table: str, wanted: Mapping[str, str]) -> str:
        """Why the kernel would refuse these tables; "" if it takes them. SystemFault without libnftables."""
        if not wanted or self._make_nft is None:
            return ""
        try:
            self._open().run(replace(table, wanted), check=True)
        except OSError as error:
            return f"{self._what}: {error.strerror or error}"
        return ""

    def commit(self, table: str, wanted: Mapping[str, str]) -> None:
        """{family: its table's text}: make these the tables named `table`; {} for none."""
        if self._make_nft is None:
            return
        changed = self._wanted != wanted or self._table != table
        if self._wanted and (self._table != table or not wanted):
            self._run(remove(self._table))
        elif not wanted and changed and table and self._is_there(table):
            self._run(remove(table))  # an earlier daemon left them
        self._table, self._wanted = table, dict(wanted)
        if not wanted:
            self._installed = {}
        elif changed:
            self._install()
        self._again()

    def stop(self) -> None:
        """Orderly: the tables go."""
        if self._wanted:
            self._run(remove(self._table))
        self._wanted = {}
        self.close()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._nft is not None:
            self._nft.close()
            self._nft = None

    def check(self) -> None:
        """Compare and repair."""
        if self._make_nft is None or not self._wanted:
            return  # also asked by somebody's resync, with any dataplane
        if self._installed is None:
            self._install()
        elif self._listing() != self._installed:
            self._told(self._what, f"somebody had changed table {self._table}: repaired")
            self._install()
        self._again()

    def _again(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._wanted:
            self._timer = self._reactor.call_later(PERIOD_NS, self.check)

    def _install(self) -> None:
        self._installed = None
        if self._run(replace(self._table, self._wanted)):
            self._installed = self._listing()

    def _listing(self) -> dict[str, str]:
        """{family: its table as the kernel has it}, for the families that should have one."""
        out = {}
        for family in self._wanted:
            try:
                out[family] = self._open().run(f"list table {family} {self._table}", output=self._output)
            except OSError:
                out[family] = ""
        return out

    def _is_there(self, table: str) -> bool:
        try:
            with self._place():
                return self._there(table)
        except OSError:  # a namespace that is gone has none
            return False

    def _run(self, commands: str) -> bool:
        try:
            self._open().run(commands)
        except (OSError, SystemFault) as error:
            text = f"{self._what}: {getattr(error, 'strerror', '') or error}; trying again every"
            self._limited(self._what, 0.1, f"{text} {PERIOD_NS // NS_PER_S} s", logging.ERROR)
            return False
        return True

    def _open(self) -> Nft:
        """Made when it is needed: libnftables is 2 MB of a process that may never want a table."""
        assert self._make_nft is not None
        if self._nft is None:
            with self._place():
                self._nft = self._make_nft()
        return self._nft


def replace(table: str, wanted: Mapping[str, str]) -> str:
    """One atomic transaction after which both families' tables are as wanted, whatever was there before."""
    return remove(table) + "".join(wanted.values())


def remove(table: str) -> str:
    """Commands that take the tables away; no error if they are not there (they are declared first)."""
    return "".join(f"table {family} {table} {{}}\ndelete table {family} {table}\n" for family in FAMILIES)
