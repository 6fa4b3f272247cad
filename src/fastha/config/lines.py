"""Blocks whose lines are no keywords: one grammar for each list of the keyword table (FREE)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fastha.config import values
from fastha.config.line import Line, Wrong, plain
from fastha.config.line_address import read_address
from fastha.config.line_routes import RouteLine
from fastha.config.line_rules import read_rule
from fastha.config.tree import Faults, Statement, shown
from fastha.model import LinkDelay
from fastha.model.routes import Route, Rule
from fastha.model.units import NS_PER_US

DELAY_US = 255_000_000  # interface_up_down_delays: at most 255 s
LINKBEAT = ("MII", "ETHTOOL", "IOCTL")
WEIGHT = 254  # beyond it any priority would be at its end


def check_lines(kind: str, block: Sequence[Statement], faults: Faults) -> None:
    """Faults for the lines of a list that has no effect yet."""
    if kind in READERS:
        for _ in read_lines(kind, block, faults):
            pass


def read_lines(kind: str, block: Sequence[Statement], faults: Faults) -> Iterator[Any]:
    """What the lines of a list say, without those that are wrong."""
    read = READERS[kind]
    for statement in plain(block, faults):
        line = Line(statement, faults)
        try:
            while line.more:
                before = line.at
                yield read(line)
                # On a line with braces several entries may follow one another: { a b }.
                if not statement.inline or line.at == before:
                    break
            if line.more:
                raise Wrong(line.at, f"'{shown(line.peek)}' cannot stand here", "one entry per line")
        except Wrong as wrong:
            faults.error(statement.place(wrong.index), wrong.message, wrong.hint)


def _route(line: Line) -> Route:
    return RouteLine(line, groups=True).read()


def _rule(line: Line) -> Rule:
    return read_rule(line, groups=True)


def _virtual_route(line: Line) -> Route:
    return RouteLine(line, groups=False).read()


def _virtual_rule(line: Line) -> Rule:
    return read_rule(line, groups=False)


def _names(line: Line) -> None:
    """Several names may share a line, as in keepalived."""
    while line.more:
        line.take("")


def _interface(line: Line) -> None:
    line.interface("interface")


def _delays(line: Line) -> LinkDelay:
    """IF DOWN [UP]; without UP it counts as up at once (keepalived.md 1.4; its manual says otherwise)."""
    interface, delays = line.interface("interface"), [0, 0]
    for i, option in enumerate(("down", "up")):
        if option == "up" and not line.more:
            break
        us = values.parse_seconds_us(line.take(option))
        if us is None or us > DELAY_US:
            raise line.wrong(f"{option} must be 0 to {DELAY_US // 1_000_000} s, not '{shown(line.words[line.at - 1])}'")
        delays[i] = us * NS_PER_US
    return LinkDelay(interface, *delays)


def _linkbeat(line: Line) -> None:
    line.interface("interface")
    if line.more and line.peek in LINKBEAT:
        line.at += 1


def _tracker(line: Line) -> None:
    """NAME [weight N [reverse|noreverse]]."""
    line.take("")
    if line.accept("weight"):
        line.number("weight", -WEIGHT, WEIGHT)
        line.accept("reverse", "noreverse")


def _address(line: Line) -> None:
    read_address(line)


def _static_address(line: Line) -> None:
    read_address(line, static=True)


READERS: dict[str, Callable[[Line], object]] = {
    "addresses": _address,
    "static_addresses": _static_address,
    "routes": _route,
    "rules": _rule,
    "virtual_routes": _virtual_route,
    "virtual_rules": _virtual_rule,
    "emails": _names,
    "instances": _names,
    "interfaces": _interface,
    "interface_delays": _delays,
    "linkbeat": _linkbeat,
    "trackers": _tracker,
}
