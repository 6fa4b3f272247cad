"""The full-screen view as values: what is shown, what a key does. Pure; top.py is its shell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from fastha.cli.layout import GAP, Cell, Line, duration, short_ns, styled
from fastha.cli.picture import COLOURS
from fastha.cli.select import serves, well

Doc = Mapping[str, Any]


class Row(NamedTuple):
    """`of`: the virtual server of a real server, else ""."""

    name: str
    of: str
    facts: Doc


class Column(NamedTuple):
    """`order`: what rows are sorted by, the interesting ones first."""

    title: str
    cell: Callable[[Row, float], Cell]
    order: Callable[[Row], Any]


class Tab(NamedTuple):
    title: str
    columns: tuple[Column, ...]
    rows: Callable[[Doc], list[Row]]
    calm: Callable[[Doc], bool]  # nothing is wrong with this one
    deeds: Mapping[str, str]  # key -> action that is asked for


@dataclass(frozen=True, slots=True)
class View:
    """`mode`: "" (keys are commands), "filter" (they are typed), "sure" (y carries `deed` out), "help"."""

    tab: int = 0
    sort: int = 0
    reverse: bool = False
    words: str = ""
    troubled: bool = False
    cursor: int = 0
    top: int = 0  # of the rows on the screen
    mode: str = ""
    deed: str = ""
    paused: bool = False
    over: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """What the daemon is to be asked: a command of the control socket and its fields."""

    command: str
    fields: Mapping[str, Any]
    text: str


# -- the tabs --


def _health(row: Row, _now: float) -> Cell:
    facts = row.facts
    word = str(facts.get("health", facts.get("state", "-")))
    if override := facts.get("override"):
        if override.get("mode") in ("drain", "disabled"):
            return str(override.get("state", override["mode"])), "bold yellow"
        if override.get("hold") or override.get("failover"):
            return f"{word}*", "bold yellow"
    return word, COLOURS.get(word, "")


def _since(row: Row, now: float) -> Cell:
    since = row.facts.get("since")
    return duration(now - since) if since else "-"


def _weight(row: Row, _now: float) -> Cell:
    mark = {"override": "*", "check": "~"}.get(row.facts.get("weight_from", ""), "")
    return f"{row.facts.get('weight', '-')}{mark}"


def _in_table(row: Row, _now: float) -> Cell:
    weight = row.facts.get("in_table")
    return ("no", "yellow") if weight is None else str(weight)


def _plain(name: str) -> Callable[[Row, float], Cell]:
    return lambda row, _now: str(row.facts.get(name, ""))


def _number(name: str, most_first: bool = True) -> Callable[[Row], Any]:
    return lambda row: -(row.facts.get(name) or 0) if most_first else row.facts.get(name) or 0


def _worst(row: Row) -> Any:
    return {"down": 0, "fault": 0, "init": 1, "unknown": 1}.get(
        str(row.facts.get("health", row.facts.get("state"))), 3 - bool(row.facts.get("override"))
    )


def _real_servers(doc: Doc) -> list[Row]:
    servers = doc.get("checker", {}).get("virtual_servers", {})
    return [Row(key, of, rs) for of, one in servers.items() for key, rs in one.get("real_servers", {}).items()]


def _instances(doc: Doc) -> list[Row]:
    return [Row(name, "", one) for name, one in doc.get("vrrp", {}).get("instances", {}).items()]


def _virtual_servers(doc: Doc) -> list[Row]:
    servers = doc.get("checker", {}).get("virtual_servers", {})
    return [
        Row(key, "", {**one, "health": "up" if one.get("up") else "down", "n": len(one.get("real_servers", {})),
                      "well": sum(map(serves, one.get("real_servers", {}).values()))})
        for key, one in servers.items()
    ]  # fmt: skip


def _priority(row: Row, _now: float) -> Cell:
    priority, base = row.facts.get("priority", "-"), row.facts.get("priority_base")
    return f"{priority}" if base in (None, priority) else f"{priority} ({base})"


NAME = Column("NAME", lambda row, _now: (row.name, "bold"), lambda row: ())
HEALTH = Column("HEALTH", _health, _worst)
SINCE = Column("SINCE", _since, _number("since"))
WHY = Column("WHY", _plain("why"), lambda row: str(row.facts.get("why", "")))

TABS = (
    Tab(
        "real servers",
        (
            NAME,
            Column("OF", lambda row, _now: row.of, lambda row: row.of),
            HEALTH,
            SINCE,
            Column("WEIGHT", _weight, _number("weight")),
            Column("TABLE", _in_table, _number("in_table", False)),
            Column("RESPONSE", lambda row, _n: short_ns(row.facts.get("response_ns")), _number("response_ns")),
            Column("ACTIVE", _plain("active"), _number("active")),
            Column("FAILED", _plain("failures"), _number("failures")),
            WHY,
        ),
        _real_servers,
        serves,
        {"d": "drain", "e": "enable", "x": "disable"},
    ),
    Tab(
        "virtual servers",
        (
            NAME,
            HEALTH,
            SINCE,
            Column("LIVE", _plain("live_weight"), _number("live_weight", False)),
            Column("QUORUM", _plain("quorum"), _number("quorum")),
            Column("SERVING", lambda row, _n: f"{row.facts['well']}/{row.facts['n']}",
                   lambda row: row.facts["well"] - row.facts["n"]),
            Column("PANIC", lambda row, _n: "PANIC" if row.facts.get("panic") else "",
                   lambda row: not row.facts.get("panic")),
        ),
        _virtual_servers,
        lambda facts: facts["health"] == "up" and facts["well"] == facts["n"],
        {},
    ),
    Tab(
        "instances",
        (
            NAME,
            Column("STATE", _health, _worst),
            SINCE,
            Column("PRIORITY", _priority, _number("priority")),
            Column("MASTER", _plain("master"), lambda row: str(row.facts.get("master", ""))),
            Column("LATE", lambda row, _n: short_ns(row.facts.get("late_max_ns")), _number("late_max_ns")),
            WHY,
        ),
        _instances,
        well,
        {"f": "failover", "H": "hold", "r": "release"},
    ),
)  # fmt: skip

HELP = """\
arrows j k PgUp PgDn Home End   move               Tab 1 2 3   real servers, virtual servers, instances
/ filter, Esc forgets it        s S  sort, next    R  the other way round     t  only what is in trouble
d drain  e enable  x disable    the real server under the cursor
f fail over  H hold  r release  the instance under the cursor
p pause                         q quit             any key closes this
"""


# -- rows --


def arrange(doc: Doc, view: View) -> list[Row]:
    """The rows that `view` wants, in its order."""
    tab = TABS[view.tab]
    rows = tab.rows(doc)
    if view.troubled:
        rows = [row for row in rows if not tab.calm(row.facts)]
    for word in view.words.split():
        pattern = word if any(c in word for c in "*?") else f"*{word}*"
        rows = [
            row
            for row in rows
            if fnmatchcase(row.name, pattern)
            or fnmatchcase(row.of, pattern)
            or fnmatchcase(str(row.facts.get("health", row.facts.get("state", ""))), pattern)
        ]
    if view.sort:
        rows.sort(key=tab.columns[view.sort].order)
    if view.reverse:
        rows.reverse()
    return rows


def held(view: View, count: int, room: int) -> View:
    """The same with its cursor on a row, and that row on the screen."""
    cursor = max(0, min(view.cursor, count - 1))
    top = min(max(view.top, cursor - room + 1), cursor)
    return replace(view, cursor=cursor, top=max(0, min(top, count - room)))


# -- keys --

MOVES: Mapping[str, Callable[[int], int]] = {
    "up": lambda room: -1, "k": lambda room: -1, "down": lambda room: 1, "j": lambda room: 1,
    "pageup": lambda room: -room, "pagedown": lambda room: room, " ": lambda room: room,
    "home": lambda room: -(1 << 30), "g": lambda room: -(1 << 30),
    "end": lambda room: 1 << 30, "G": lambda room: 1 << 30,
}  # fmt: skip


def press(view: View, key: str, rows: Sequence[Row], room: int) -> tuple[View, Order | None]:
    """What `key` does. Keys are characters and names: up, pageup, esc, enter, back, tab ..."""
    if view.mode == "filter":
        return _type(view, key), None
    if view.mode == "help":
        return replace(view, mode=""), None
    if view.mode == "sure":
        order = _order(view, rows) if key in ("y", "Y") else None
        return replace(view, mode="", deed=""), order
    if key in ("q", "Q"):
        return replace(view, over=True), None
    if key in MOVES:
        return held(replace(view, cursor=view.cursor + MOVES[key](room)), len(rows), room), None
    tab = TABS[view.tab]
    if key in tab.deeds and rows:
        return replace(view, mode="sure", deed=tab.deeds[key]), None
    columns = len(tab.columns)
    turns: dict[str, Callable[[], View]] = {
        "tab": lambda: View(tab=(view.tab + 1) % len(TABS), paused=view.paused),
        "/": lambda: replace(view, mode="filter", cursor=0),
        "esc": lambda: replace(view, words="", cursor=0),
        "s": lambda: replace(view, sort=(view.sort + 1) % columns, cursor=0),
        "S": lambda: replace(view, sort=(view.sort - 1) % columns, cursor=0),
        "R": lambda: replace(view, reverse=not view.reverse, cursor=0),
        "t": lambda: replace(view, troubled=not view.troubled, cursor=0),
        "p": lambda: replace(view, paused=not view.paused),
        "?": lambda: replace(view, mode="help"),
    }
    if key in turns:
        return turns[key](), None
    if key.isdecimal() and 1 <= int(key) <= len(TABS):
        return View(tab=int(key) - 1, paused=view.paused), None
    return view, None


def _type(view: View, key: str) -> View:
    if key == "enter":
        return replace(view, mode="")
    if key == "esc":
        return replace(view, mode="", words="")
    if key == "back":
        return replace(view, words=view.words[:-1], cursor=0)
    return replace(view, words=view.words + key, cursor=0) if len(key) == 1 else view


def _order(view: View, rows: Sequence[Row]) -> Order | None:
    if not 0 <= view.cursor < len(rows):
        return None
    row = rows[view.cursor]
    if row.of:
        fields = {"action": view.deed, "virtual_servers": [row.of], "real_servers": [row.name]}
        return Order("override", fields, f"{view.deed} {row.of} {row.name}")
    return Order("vrrp", {"action": view.deed, "instances": [row.name]}, f"{view.deed} {row.name}")


# -- the screen --


def room_of(height: int) -> int:
    """How many rows there are on a screen."""
    return max(1, height - 5)


def frame(
    doc: Doc, view: View, rows: Sequence[Row], now: float, width: int, height: int, message: str = ""
) -> list[Line]:
    """A whole screen: `height` lines at most, of `width` columns at most."""
    lines = [_about(doc, view), _tabs(doc, view, len(rows))]
    if view.mode == "help":
        lines += [[], *([(text, "")] for text in HELP.splitlines())]
    else:
        lines += _table(view, rows, now, room_of(height))
    lines = lines[: height - 2]
    lines += [[] for _ in range(height - 2 - len(lines))]
    lines.append(_foot(view, rows, message))
    return [_cut(line, width) for line in lines]


def _about(doc: Doc, view: View) -> Line:
    about = doc.get("daemon")
    if about is None:
        return [("fastha", "bold")]
    drift = doc.get("checker", {}).get("dataplane", {}).get("drift", 0)
    text = f"fastha {about.get('version', '')}  {about.get('state', '')}  up {duration(about.get('uptime_s', 0))}"
    line: Line = [(text, "bold"), (f"  drift repaired {drift}", "yellow" if drift else "")]
    for role, child in about.get("children", {}).items():
        if child.get("state") != "idle":
            ok = child.get("state") == "running"
            line.append(
                (f"  {role} {short_ns(child.get('lag_max_ns')) if ok else child['state']}", "" if ok else "red")
            )
    return [*line, ("  PAUSED", "bold yellow")] if view.paused else line


def _tabs(doc: Doc, view: View, shown: int) -> Line:
    line: Line = []
    for number, tab in enumerate(TABS):
        line += [(f" {number + 1} {tab.title} ", "reverse" if number == view.tab else ""), (" ", "")]
    words = [f"{shown} shown"]
    words += ["troubled only"] if view.troubled else []
    line.append(("  " + ", ".join(words), ""))
    if view.words or view.mode == "filter":
        line.append((f"  /{view.words}{'_' if view.mode == 'filter' else ''}", "bold cyan"))
    return line


def _table(view: View, rows: Sequence[Row], now: float, room: int) -> list[Line]:
    """The rows on the screen; columns are as wide as those need."""
    columns = TABS[view.tab].columns
    here = rows[view.top : view.top + room]
    cells = [[styled(column.cell(row, now)) for column in columns] for row in here]
    titles = [f"{c.title}{'^' if view.reverse else 'v'}" if i == view.sort else c.title for i, c in enumerate(columns)]
    sizes = [max([len(title), *(len(row[i][0]) for row in cells)]) for i, title in enumerate(titles)]
    lines: list[Line] = [[(GAP.join(t.ljust(n) for t, n in zip(titles, sizes, strict=True)), "bold")]]
    for number, row in enumerate(cells):
        chosen = " reverse" if view.top + number == view.cursor else ""
        line: Line = []
        for (text, style), size in zip(row, sizes, strict=True):
            line += [(text.ljust(size), f"{style}{chosen}".strip()), (GAP, chosen.strip())]
        lines.append(line)
    return lines


def _foot(view: View, rows: Sequence[Row], message: str) -> Line:
    if view.mode == "sure" and view.cursor < len(rows):
        row = rows[view.cursor]
        return [(f"{view.deed} {' '.join(filter(None, (row.of, row.name)))}? y/n", "bold yellow")]
    if view.mode == "filter":
        return [("type a part of a name, a pattern or a health; Enter keeps it, Esc forgets it", "")]
    if message:
        return [(message, "bold")]
    deeds = "  ".join(f"{key} {deed}" for key, deed in TABS[view.tab].deeds.items())
    return [(f"? help  / filter  s sort  t troubled  {deeds}  q quit", "")]


def _cut(line: Line, width: int) -> Line:
    out: Line = []
    for text, style in line:
        if width <= 0:
            break
        out.append((text[:width], style))
        width -= len(text)
    return out
