"""The data files of this directory, parsed into one table at import."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from fastha.config.keywords import checks, globals_, lvs, track, vrrp

ROOT = "top level"


class Status(StrEnum):
    SUPPORTED = "supported"
    NOTED = "not supported yet"  # accepted, without effect, reported
    REFUSED = "refused"  # not supported yet, and a configuration that needs it must not run without it


@dataclass(frozen=True, slots=True)
class Keyword:
    """One keyword in one block. `least`/`most`: how many words follow it (`most` None: any number)."""

    word: str
    block: str
    value: str
    default: str
    range: str
    status: Status
    help: str
    since: str = ""  # keepalived release, "" for 2.2.7 and before
    own: bool = False  # not keepalived's
    alias_of: str = ""
    opens: str = ""  # the block it opens
    least: int = 0
    most: int | None = 0
    low: int | None = None
    high: int | None = None
    clamps: bool = False
    script: bool = False


BAR = re.compile(r"\s\|(?=\s|$)")  # a bar with blanks around it; `A|B` is part of a value
RANGE = re.compile(r"(~?)(-?\d+)\.\.(-?\d+)?")


def _keyword(block: str, line: str) -> Keyword:
    word, value, default, range_, status, help_ = (c.strip() for c in BAR.split(line))
    status, _, since = status.partition("@")
    status = status.strip()
    tokens = re.sub(r"\{\w+\}", "", value).split()
    tokens = [] if tokens == ["-"] else _balanced(tokens)
    opens = re.search(r"\{(\w+)\}", value)
    limits = RANGE.match(range_)
    return Keyword(
        word=word,
        block=block,
        value="" if value == "-" else value,
        default=default,
        range=range_,
        status={"yes": Status.SUPPORTED, "own": Status.SUPPORTED, "-": Status.NOTED, "!": Status.REFUSED}.get(
            status, Status.NOTED
        ),
        help=help_,
        since=since.strip(),
        own=status == "own",
        alias_of=status[1:] if status.startswith("=") else "",
        opens=opens[1] if opens else "",
        least=sum(not t.startswith("[") for t in tokens),
        most=None if any(t.rstrip("]").endswith("...") for t in tokens) else sum(_size(t) for t in tokens),
        low=int(limits[2]) if limits else None,
        high=int(limits[3]) if limits and limits[3] else None,
        clamps=bool(limits and limits[1]),
        script="CMD" in tokens or "REGEX" in tokens,
    )


def _balanced(tokens: list[str]) -> list[str]:
    """Join the tokens of one [...] again: `[NAME [GROUP]]` is one optional token of two words."""
    out: list[str] = []
    depth = 0
    for token in tokens:
        if depth:
            out[-1] += " " + token
        else:
            out.append(token)
        depth += token.count("[") - token.count("]")
    return out


def _size(token: str) -> int:
    return len(token.split())


def _parse(text: str) -> dict[str, dict[str, Keyword]]:
    table: dict[str, dict[str, Keyword]] = {}
    block = ""
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if header := re.fullmatch(r"\[([\w ]+?)(?:\s*<\s*([\w ]+))?\]", line.strip()):
            block = header[1]
            table[block] = {
                k.word: replace(k, block=block) for base in (header[2] or "").split() for k in table[base].values()
            }
            continue
        keyword = _keyword(block, line)
        table[block][keyword.word] = keyword
    return table


TABLE: dict[str, dict[str, Keyword]] = {}
for _module in (globals_, track, vrrp, checks, lvs):
    for _block, _keywords in _parse(_module.DATA).items():
        if not _block.startswith("set_"):
            assert _block not in TABLE, _block
            TABLE[_block] = _keywords

for _block, _keywords in TABLE.items():
    for _word, _keyword_ in _keywords.items():
        if _keyword_.alias_of:
            _current = _keywords[_keyword_.alias_of]
            _keywords[_word] = replace(
                _current, word=_word, alias_of=_current.word, help=f"Older spelling of {_current.word}"
            )

# Blocks whose lines have a grammar of their own: name -> (what a line looks like, help).
FREE: dict[str, tuple[str, str]] = {}
for _module in (globals_, track, vrrp, checks, lvs):
    for _line in _module.FREE.strip().splitlines():
        _name, _shape, _help = (c.strip() for c in BAR.split(_line))
        FREE[_name] = (_shape, _help)

BLOCKS = frozenset(TABLE) | frozenset(FREE)
SCRIPT_WORDS = frozenset(k.word for keywords in TABLE.values() for k in keywords.values() if k.script)
