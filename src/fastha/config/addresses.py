"""Blocks of addresses: `virtual_ipaddress` and `unicast_peer`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fastha.config import values
from fastha.config.keywords import TABLE
from fastha.config.line import Line, Wrong, plain
from fastha.config.line_address import begins, read_address
from fastha.config.tree import Faults, Statement
from fastha.config.twice import twice
from fastha.model import VirtualAddress
from fastha.model.wire import TTL, PeerTtl


def entries(block: Sequence[Statement], faults: Faults) -> Iterator[Statement]:
    """One statement per address. On a line with braces several may follow one another: { 10.0.0.1 10.0.0.2 }."""
    for statement in plain(block, faults):
        begin, end = 0, len(statement.words)
        for i in range(1, end) if statement.inline else ():
            if _begins(statement.words, i):
                yield statement.piece(begin, i)
                begin = i
        yield statement.piece(begin, end)


def _begins(words: list[str], i: int) -> bool:
    return words[i - 1] not in ("min_ttl", "max_ttl") and begins(words, i)


def build_addresses(block: Sequence[Statement], faults: Faults, static: bool = False) -> list[VirtualAddress]:
    """The addresses of a `virtual_ipaddress`, `virtual_ipaddress_excluded` or `static_ipaddress`, of either family."""
    out = [built for _, built in _addresses(block, faults, static)]
    common = twice(built.ip for built in out)
    return list(_once(block, common, faults, static)) if common else out


def _addresses(block: Sequence[Statement], faults: Faults, static: bool) -> Iterator[tuple[Statement, VirtualAddress]]:
    for statement in entries(block, faults):
        if (built := _address(statement, faults, static)) is not None:
            yield statement, built


def _once(block: Sequence[Statement], common: set[str], faults: Faults, static: bool) -> Iterator[VirtualAddress]:
    """The addresses again, without those that are there before. `common`: what may be twice."""
    lines: dict[tuple[str, int, str], int] = {}
    for statement, built in _addresses(block, Faults(), static):
        key = built.ip, built.prefixlen, built.dev
        if key in lines:
            faults.warning(statement.place(), f"{built} is there already", f"line {lines[key]}")
            continue
        if built.ip in common:
            lines[key] = statement.line
        yield built


def _address(statement: Statement, faults: Faults, static: bool) -> VirtualAddress | None:
    try:
        found = read_address(Line(statement, faults), static)
    except Wrong as wrong:
        hint = wrong.hint or (_why(statement.words[0]) if wrong.index == 0 else "")
        faults.error(statement.place(wrong.index), wrong.message, hint)
        return None
    ip = found.ip
    if ip.is_multicast or ip.is_unspecified:
        faults.error(statement.place(), f"{ip} cannot be the address of a router")
        return None
    return found.value()


def _why(word: str) -> str:
    """A keyword among addresses: the block before it was not closed."""
    return "is a } missing before this line?" if any(word in known for known in TABLE.values()) else ""


def build_peers(block: Sequence[Statement], faults: Faults) -> tuple[list[str], list[PeerTtl]]:
    """The addresses of a `unicast_peer`, and the bounds of those that have any."""
    out: list[str] = []
    plain = True
    for statement in entries(block, faults):
        if (ip := values.address(statement, 0, faults)) is not None:
            out.append(str(ip))
            plain = plain and len(statement.words) == 1
    common = twice(out)
    if plain and not common:
        return out, []
    del out[:]
    bounds = []
    lines: dict[str, int] = {}  # of those that may be twice
    silent = Faults()
    for statement in entries(block, silent):
        if (ip := values.address(statement, 0, silent)) is None:
            continue
        text = str(ip)
        if text in lines:
            faults.warning(statement.place(), f"{ip} is there already", f"line {lines[text]}")
            continue
        if text in common:
            lines[text] = statement.line
        out.append(text)
        options = _peer_options(statement, faults)
        if options:
            bounds.append(PeerTtl(text, options.get("min_ttl", 0), options.get("max_ttl", TTL)))
    return out, bounds


def _peer_options(statement: Statement, faults: Faults) -> dict[str, int]:
    """[min_ttl N] [max_ttl N], 1 to 255."""
    line = Line(statement, faults)
    line.at = 1
    said: dict[str, int] = {}
    try:
        while line.more:
            option = line.accept("min_ttl", "max_ttl")
            if not option:
                raise line.unknown("a peer", ("min_ttl", "max_ttl"))
            said[option] = line.number(option, 1, TTL)
        if said.get("min_ttl", 0) > said.get("max_ttl", TTL):
            raise Wrong(1, "min_ttl is above max_ttl")
    except Wrong as wrong:
        faults.error(statement.place(wrong.index), wrong.message, wrong.hint or "one address per line")
    return said
