"""The data files of this directory, parsed into one table at import."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

from fastha.config.keywords import checks, globals_, lvs, track, vrrp
from fastha.lean import dataclass, replace

ROOT = "top level"
CHOICE = "choice"


class Status(StrEnum):
    SUPPORTED = "supported"
    NOTED = "not supported yet"  # accepted, without effect, reported


@dataclass(frozen=True, slots=True)
class Slot:
    """One word that may follow a keyword. `kind`: the type of its value (`N`, `SEC`, `ADDR` ...), or CHOICE, one of
    `choices`. `many`: it and all that follow."""

    kind: str
    choices: tuple[str, ...] = ()
    optional: bool = False
    many: bool = False


@dataclass(frozen=True, slots=True)
class Keyword:
    """One keyword in one block. `least`/`most`: how many words follow it (`most` None: any number). `low`/`high`: the
    limits of its number, None for none; those of a SEC are in microseconds."""

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
    slots: tuple[Slot, ...] = ()
    once: bool = False  # said twice, the first one counts


BAR = re.compile(r"\s\|(?=\s|$)")  # a bar with blanks around it; `A|B` is part of a value
RANGE = re.compile(r"(~?)(-?[\d.]+?)\.\.(-?[\d.]+)?")
KIND = re.compile(r"[A-Z][A-Z0-9-]*|s|ms|us")  # a kind of value; any other word of the column is meant literally
MICRO = 1_000_000
SCRIPT_KINDS = frozenset({"CMD", "REGEX"})  # values that are quoted as in a shell


def _keyword(block: str, line: str) -> Keyword:
    word, value, default, range_, status, help_ = (c.strip() for c in BAR.split(line))
    status, _, since = status.partition("@")
    status = status.strip()
    tokens = re.sub(r"\{\w+\}", "", value).split()
    tokens = [] if tokens == ["-"] else _balanced(tokens)
    opens = re.search(r"\{(\w+)\}", value)
    limits = RANGE.fullmatch(range_)
    assert limits or not range_, f"{block} {word}: range {range_}"
    slots = tuple(slot for t in tokens for slot in _slots(t))
    scale = MICRO if any(s.kind == "SEC" for s in slots) else 1
    return Keyword(
        word=word,
        block=block,
        value="" if value == "-" else value,
        default=default,
        range=range_,
        status=Status.SUPPORTED if status in ("yes", "own") else Status.NOTED,
        help=help_,
        since=since.strip(),
        own=status == "own",
        alias_of=status[1:] if status.startswith("=") else "",
        opens=opens[1] if opens else "",
        least=sum(not t.startswith("[") for t in tokens),
        most=None if any(t.rstrip("]").endswith("...") for t in tokens) else sum(_size(t) for t in tokens),
        low=_limit(limits[2], scale) if limits else None,
        high=_limit(limits[3], scale) if limits and limits[3] else None,
        clamps=bool(limits and limits[1]),
        script=any(slot.kind in SCRIPT_KINDS for slot in slots),
        slots=slots,
    )


def _limit(text: str, scale: int) -> int:
    return round(float(text) * scale) if "." in text else int(text) * scale


def _slots(token: str) -> list[Slot]:
    """`N`, `[BOOL]`, `A|B`, `[USER [GROUP]]`, `WORD...` -> the words it stands for."""
    optional = token.startswith("[")
    out = []
    for word in token.replace("[", "").replace("]", "").split():
        many = word.endswith("...")
        choices = tuple(word.removesuffix("...").split("|"))
        if len(choices) == 1 and KIND.fullmatch(choices[0]) and choices[0] != "VS":
            out.append(Slot(choices[0], (), optional, many))
        else:
            out.append(Slot(CHOICE, choices, optional, many))
    return out


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


class Table(Mapping[str, dict[str, Keyword]]):
    """Block -> word -> Keyword. A block is parsed when somebody asks for it: no configuration has all of them."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._bases: dict[str, list[str]] = {}
        self._lines: dict[str, list[str]] = {}
        self._parsed: dict[str, dict[str, Keyword]] = {}
        for line in (line for text in texts for line in text.splitlines() if line and line[0] != "#"):
            if line[0] == "[":
                block, _, bases = line.strip(" []").partition("<")
                block = block.strip()
                assert block not in self._lines, block
                self._bases[block], self._lines[block] = bases.split(), []
            elif line.strip():
                self._lines[block].append(line)

    def __getitem__(self, block: str) -> dict[str, Keyword]:
        found = self._parsed.get(block)
        return self._parse(block) if found is None else found

    def __iter__(self) -> Iterator[str]:
        return (block for block in self._lines if not block.startswith("set_"))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, block: object) -> bool:
        return block in self._lines

    def _parse(self, block: str) -> dict[str, Keyword]:
        out = {word: replace(k, block=block) for base in self._bases[block] for word, k in self[base].items()}
        for line in self._lines[block]:
            keyword = _keyword(block, line)
            out[keyword.word] = keyword
        for word, keyword in out.items():
            if keyword.alias_of and not block.startswith("set_"):
                current = out[keyword.alias_of]
                out[word] = replace(current, word=word, alias_of=current.word, help=f"Older spelling of {current.word}")
        for word in globals_.ONCE.split() if block == "global_defs" else ():
            out[word] = replace(out[word], once=True)
        self._parsed[block] = out
        return out

    def script_words(self) -> frozenset[str]:
        """Keywords that take a command or what is quoted like one, and their older spellings; found without parsing
        everything."""
        words: set[str] = set()
        for lines in self._lines.values():
            split = [BAR.split(line) for line in lines if any(kind in line for kind in SCRIPT_KINDS)]
            here = {c[0].strip() for c in split if not SCRIPT_KINDS.isdisjoint(c[1].replace("[", " ").split())}
            words |= here
            if here:
                fields = (BAR.split(line) for line in lines if "| =" in line)
                words |= {c[0].strip() for c in fields if c[4].partition("@")[0].strip()[1:] in here}
        return frozenset(words)


TABLE = Table(module.DATA for module in (globals_, track, vrrp, checks, lvs))

# Blocks whose lines have a grammar of their own: name -> (what a line looks like, help).
FREE: dict[str, tuple[str, str]] = {}
for _module in (globals_, track, vrrp, checks, lvs):
    for _line in _module.FREE.strip().splitlines():
        _name, _shape, _help = (c.strip() for c in BAR.split(_line))
        FREE[_name] = (_shape, _help)

BLOCKS = frozenset(TABLE) | frozenset(FREE)
SCRIPT_WORDS = TABLE.script_words()
