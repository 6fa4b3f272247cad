"""Definitions, conditions and repetitions: text in, text out.

$NAME=text            remembered; used as ${NAME}, or as $NAME before a blank, a comma, a ) or the end of the line
@id rest, @^id rest   the line counts only if id is (is not) the configuration id
~SEQ(var,1,3) rest    the rest once for each number;  ~LST(var,a,b) rest    once for each element
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from io import StringIO
from itertools import islice, zip_longest

from fastha.lean import dataclass, field

ASSIGN = re.compile(r"[ \t]*\$([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.S)
CONDITION = re.compile(r"[ \t]*@(\^?)([^ \t]*)(.*)", re.S)
USE = re.compile(r"\$(?:\{([^{}]*)\}|([A-Za-z_][A-Za-z0-9_]*)(?=([ \t\r\n,)]|$)?))")
REPEAT = re.compile(r"[ \t]*~(SEQx?|LST)[ \t]*\(([^()]*)\)")
NUMBER = re.compile(r"[+-]?\d+")
ITEM = re.compile(r'[ \t]*(?:\{([^{}]*)\}|"([^"]*)"|([^,{}"]*?))[ \t]*(,|$)')

MAX_DEPTH = 16
LINE_COST = 64  # characters of the budget that a line costs besides its text
MOST_NAMES = 20_000  # definitions
MAX_NAMES = 1000  # of one ~LST
MOST_REMARKS = 100  # about one line


def lines(text: str) -> Iterator[str]:
    """Those of a text, one at a time."""
    at = 0
    while (end := text.find("\n", at)) >= 0:
        yield text[at:end]
        at = end + 1
    yield text[at:] if at else text


class ExpandError(ValueError):
    """A line that cannot be expanded; the message says why."""


@dataclass(slots=True)
class Environment:
    """What the text may ask of its surroundings. `random(low, high)` is inclusive."""

    config_id: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    random: Callable[[int, int], int] = lambda low, _high: low


class Definitions:
    """The `$NAME=` definitions so far. `budget` bounds how many characters all expansions together may produce."""

    def __init__(self, env: Environment, budget: int) -> None:
        self.env = env
        self.random = env.random
        self.budget = budget
        self.values: dict[str, str] = {}
        self.remarks: dict[str, None] = {}  # what a reader of the current line should be told
        self._pieces = StringIO()  # lines of the definition that is being read

    def begin(self, name: str) -> None:
        """A definition; `extend` adds its lines, `settle` ends it."""
        if name not in self.values and len(self.values) >= MOST_NAMES:
            raise ExpandError(f"more than {MOST_NAMES} definitions")
        self.values[name] = ""
        self._pieces = StringIO()

    def extend(self, piece: str) -> None:
        """An empty first line is none."""
        self._pieces.write(f"\n{piece}" if self._pieces.tell() else piece)

    def settle(self, name: str) -> None:
        self.values[name] = self._pieces.getvalue()
        self._pieces = StringIO()

    def substitute(self, text: str, directory: str) -> str:
        """`text` with every definition replaced, recursively; the result may have several lines."""
        self.remarks = {}
        return self._substitute(text, directory, ())

    def _substitute(self, text: str, directory: str, active: tuple[str, ...]) -> str:
        def replace(match: re.Match[str]) -> str:
            braced, bare, ends = match.groups()
            if braced is not None and braced.startswith("_"):
                value = self._predefined(braced, directory)
                if value is not None:
                    return value
            name = bare if braced is None else braced
            if name not in self.values:
                self._remark(f"{match[0][:400]} is not defined, and stays as it is")
                return match[0]
            if braced is None and ends is None and match.end() < len(text):
                self._remark(f"{match[0]} is not substituted here: write ${{{bare}}}")
                return match[0]
            if len(active) >= MAX_DEPTH:
                raise ExpandError(f"definitions use one another more than {MAX_DEPTH} deep at ${name}")
            if name in active:
                raise ExpandError(f"the definition of ${name} uses itself")
            return self._substitute(self.values[name], directory, (*active, name))

        self.spend(len(text))
        return USE.sub(replace, text) if "$" in text else text

    def _remark(self, text: str) -> None:
        if len(self.remarks) < MOST_REMARKS:
            self.remarks[text] = None

    def opened(self, text: str) -> str | None:
        """`text` whose first word is a definition that holds a repetition, with that one replaced: the repetition comes
        before what its line uses. None for any other line."""
        match = USE.match(text.lstrip(" \t"))
        if match is None:
            return None
        braced, bare, ends = match.groups()
        value = self.values.get(bare if braced is None else braced, "")
        if (braced is None and ends is None) or not any(REPEAT.match(line) for line in lines(value)):
            return None
        self.spend(len(value))
        return value + text.lstrip(" \t")[match.end() :]

    def _predefined(self, name: str, directory: str) -> str | None:
        word, *args = name.split()
        if word == "_PWD":
            return directory
        if word == "_HASH":
            return "#"
        if word == "_BANG":
            return "!"
        if word == "_INSTANCE":
            return self.env.config_id  # keepalived 2.2.7 knows no other name here
        if word == "_ENV" and len(args) == 1:
            if args[0] not in self.env.variables:
                raise ExpandError(f"environment variable {args[0]} is not set")
            return self.env.variables[args[0]]
        if word == "_RANDOM" and len(args) <= 2 and all(NUMBER.fullmatch(a) for a in args):
            low, high = (int(args[0]) if args else 0), (int(args[1]) if len(args) > 1 else 32767)
            if low > high:
                raise ExpandError(f"${{{name}}}: the lowest number is above the highest")
            return str(self.random(low, high))
        return None

    def spend(self, size: int) -> None:
        """So many characters more; ExpandError when it is too much."""
        self.budget -= size + 1
        if self.budget < 0:
            raise ExpandError("definitions and repetitions produce too much text")

    def repeat(self, text: str, depth: int = 0) -> Iterator[str]:
        """The line once for each value of its leading ~SEQ and ~LST, with their variables defined meanwhile."""
        match = REPEAT.match(text)
        if match is None:
            if text.lstrip(" \t").startswith(("~SEQ", "~LST")):
                raise ExpandError("~SEQ or ~LST without its (...)")
            yield text
            return
        if depth == MAX_DEPTH:
            raise ExpandError("too many ~SEQ and ~LST on one line")
        rest = text[match.end() :]
        bindings = _list(match[2]) if match[1] == "LST" else _sequence(match[2], match[1] == "SEQx")
        for binding in bindings:
            self.spend(len(rest) + LINE_COST)
            self.values.update(binding)  # the last values stay, as in keepalived
            if len(self.values) > MOST_NAMES:
                raise ExpandError(f"more than {MOST_NAMES} definitions")
            yield from self.repeat(rest, depth + 1)


def _sequence(args: str, hexadecimal: bool) -> Iterator[dict[str, str]]:
    """`var,[start,[step,]]end`."""
    name, *numbers = (a.strip(" \t") for a in args.split(","))
    if not 1 <= len(numbers) <= 3 or not name.isidentifier() or not all(NUMBER.fullmatch(n) for n in numbers):
        raise ExpandError(f"~SEQ({args}): expected (variable, [start, [step,]] end)")
    values = [int(n) for n in numbers]
    end = values[-1]
    start = values[0] if len(values) > 1 else (1 if end >= 0 else -1)
    step = values[1] if len(values) == 3 else (1 if end >= start else -1)
    if step == 0 or (end - start) * step < 0:
        raise ExpandError(f"~SEQ({args}): the step never reaches the end")
    if hexadecimal and min(start, end) < 0:
        raise ExpandError(f"~SEQx({args}): hexadecimal numbers begin at 0")
    for value in range(start, end + (1 if step > 0 else -1), step):
        yield {name: f"{value:x}" if hexadecimal else str(value)}


def _list(args: str) -> Iterator[dict[str, str]]:
    """`var, v1, v2` or `{a,b},{1,2},{3,4}`."""
    items = _items(args)
    names = [n.strip(" \t") for n in next(items, [])]
    if not names or not names[0]:
        raise ExpandError(f"~LST({args}): expected (variable, value, ...)")
    if len(names) > MAX_NAMES:
        raise ExpandError(f"~LST: more than {MAX_NAMES} variables")
    for values in items:
        if len(values) > len(names):
            raise ExpandError(f"~LST({args}): {len(names)} variables but {len(values)} values")
    for values in islice(_items(args), 1, None):
        yield dict(zip_longest(names, values, fillvalue=""))


def _items(args: str) -> Iterator[list[str]]:
    """The comma-separated elements of a list; each is a list of its members."""
    at = 0
    while at <= len(args):
        match = ITEM.match(args, at)
        if match is None:
            raise ExpandError(f"~LST({args}): cannot be read")
        if match[1] is not None:
            yield [m.strip(' \t"') for m in match[1].split(",")]
        else:
            yield [match[2] if match[2] is not None else match[3]]
        if not match[4]:
            break
        at = match.end()
