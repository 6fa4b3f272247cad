"""Keeps the nftables tables of `nftables_ipvs` as wanted (shell over checker/marks.py, by libnftables).

A change replaces both tables in one transaction. What the kernel shows after it is remembered; when a later listing is
another, somebody else was there, and they are replaced again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from fastha.checker import marks
from fastha.child.log import Limiter
from fastha.dataplane.nft_library import OUTPUT_NUMERIC_ALL, OUTPUT_STATELESS
from fastha.loop.reactor import Reactor, Timer
from fastha.model.units import NS_PER_S

PERIOD_NS = 10 * NS_PER_S


class Nft(Protocol):
    """The part of dataplane.nft_library.Library that is used here."""

    def run(self, commands: str, *, output: int = 0, check: bool = False) -> str: ...
    def close(self) -> None: ...


class MarksKeeper:
    """`commit` with each configuration, `stop` at an orderly end. `make_nft` None: nothing reaches the kernel."""

    def __init__(
        self,
        make_nft: Callable[[], Nft] | None,
        reactor: Reactor,
        limited: Limiter,
        told: Callable[[str, str], object] = lambda _subject, _text: None,
    ) -> None:
        self._make_nft = make_nft
        self._nft: Nft | None = None
        self._reactor = reactor
        self._limited = limited
        self._told = told
        self._table = ""
        self._wanted: dict[str, str] = {}
        self._installed: dict[str, str] | None = {}  # what the kernel shows of it; None: not known to be right
        self._timer: Timer | None = None

    def prepare(self, table: str, wanted: Mapping[str, str]) -> str:
        """Why the kernel would refuse these tables; "" if it takes them. SystemFault without libnftables."""
        if not wanted or self._make_nft is None:
            return ""
        try:
            self._open().run(marks.replace(table, wanted), check=True)
        except OSError as error:
            return f"nftables_ipvs: {error.strerror or error}"
        return ""

    def commit(self, table: str, wanted: Mapping[str, str]) -> None:
        """Make these the tables; {} for none."""
        if self._make_nft is None:
            return
        if self._wanted and (self._table != table or not wanted):
            self._run(marks.remove(self._table))
        changed = self._wanted != wanted or self._table != table
        self._table, self._wanted = table, dict(wanted)
        if not wanted:
            self._installed = {}
        elif changed:
            self._installed = None
            self._install()
        self._again()

    def stop(self) -> None:
        """Orderly: the tables go."""
        if self._wanted:
            self._run(marks.remove(self._table))
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
            self._told("nftables_ipvs", f"somebody had changed table {self._table}: repaired")
            self._install()
        self._again()

    def _again(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._wanted or self._installed is None:
            self._timer = self._reactor.call_later(PERIOD_NS, self.check)

    def _install(self) -> None:
        if self._run(marks.replace(self._table, self._wanted)):
            self._installed = self._listing()

    def _listing(self) -> dict[str, str]:
        """{family: its table as the kernel has it}, for the families that should have one."""
        out = {}
        for word in self._wanted:
            try:
                flags = OUTPUT_STATELESS | OUTPUT_NUMERIC_ALL
                out[word] = self._open().run(f"list table {word} {self._table}", output=flags)
            except OSError:
                out[word] = ""
        return out

    def _run(self, commands: str) -> bool:
        try:
            self._open().run(commands)
        except OSError as error:
            text = f"nftables_ipvs: {error.strerror or error}; trying again every {PERIOD_NS // NS_PER_S} s"
            self._limited("marks", 0.1, text, logging.ERROR)
            return False
        return True

    def _open(self) -> Nft:
        assert self._make_nft is not None
        if self._nft is None:
            self._nft = self._make_nft()
        return self._nft
