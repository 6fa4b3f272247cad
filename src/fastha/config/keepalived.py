"""What Debian's keepalived (2.2.7) would not know, or would read in another way: `fastha check --keepalived`. Pure.

The keyword table knows since when keepalived has a word and which are fastha's own; the ways of reading that differ on
purpose are those of docs/compatibility.md that a file can run into.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from fastha.config.addresses import entries
from fastha.config.advice import warn
from fastha.config.keywords import TABLE, Keyword
from fastha.config.keywords.table import ROOT
from fastha.config.tree import Faults, Place, Statement, shown
from fastha.lean import dataclass

LONGEST = 1024  # bytes of a line that keepalived reads, with its end
ENVIRONMENT = re.compile(r"\$\{_ENV ")
INCLUDE = re.compile(r"[ \t]*include\w?[ \t]+(\")")
TRACKED = {  # tracker -> the block that defines what it names, before the instance
    "track_script": ("vrrp_script",),
    "track_file": ("track_file", "vrrp_track_file"),
    "track_process": ("vrrp_track_process",),
    "track_bfd": ("bfd_instance",),
}
COPIED = ("vrrp_", "v3_checksum_as_v2", "dynamic_interfaces")  # global_defs that an instance takes when it is read
# Keywords whose `off` keepalived does not look at.
DEAF = frozenset({("vrrp_instance", "skip_check_adv_addr"), ("global_defs", "v3_checksum_as_v2")})
FLAGS = frozenset({"sh-port", "sh-fallback", "mh-port", "mh-fallback"})


@dataclass(frozen=True, slots=True)
class Use:
    """One keyword of the table in use: word `index` of `statement`; `values` follow it."""

    keyword: Keyword
    statement: Statement
    index: int
    values: tuple[str, ...]
    block: Sequence[Statement] | None

    @property
    def place(self) -> Place:
        return self.statement.place(self.index)


def differences(statements: Sequence[Statement], faults: Faults) -> None:
    """Look through a tree that was not built yet."""
    uses = list(_uses(statements, ROOT))
    _global_order(uses, faults)
    _tracker_order(uses, faults)
    for use in uses:
        _look(use, faults)


def text_differences(path: str, text: str, faults: Faults) -> None:
    """What only the text of a file shows."""
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) * 4 > LONGEST and len(line.encode("utf-8", "surrogateescape")) >= LONGEST:
            warn(faults, "keepalived-differs", (path, number, 1), f"keepalived ignores lines over {LONGEST - 1} bytes")
        if (match := ENVIRONMENT.search(line)) is not None:
            place = path, number, match.start() + 1
            warn(faults, "keepalived-newer", place, "${_ENV ...} is known since keepalived 2.4.0")
        if (match := INCLUDE.match(line)) is not None:
            place = path, number, match.start(1) + 1
            warn(faults, "keepalived-differs", place, "keepalived looks for a file with quotes in its name")


def _uses(statements: Sequence[Statement], block: str) -> Iterator[Use]:
    """Keywords of a block, also those that share a line."""
    known = TABLE.get(block, {})
    for statement in statements:
        starts = [0]
        keyword = known.get(statement.words[0])
        while statement.inline and keyword is not None:
            first = starts[-1] + 1 + keyword.least
            words = statement.words
            again = next((i for i in range(first, len(words)) if words[i] in known and i not in statement.quoted), 0)
            if not again:
                break
            starts.append(again)
            keyword = known[words[again]]
        for number, start in enumerate(starts):
            keyword = known.get(statement.words[start])
            if keyword is None:
                continue
            last = number + 1 == len(starts)
            end = len(statement.words) if last else starts[number + 1]
            yield Use(
                keyword, statement, start, tuple(statement.words[start + 1 : end]), statement.block if last else None
            )


def _look(use: Use, faults: Faults) -> None:
    keyword = use.keyword
    block = keyword.block
    if keyword.own:
        where = "" if block == ROOT else f" in {block}"
        warn(faults, "keepalived-unknown", use.place, f"keepalived does not know {keyword.word}{where}")
        return
    if keyword.since:
        warn(
            faults, "keepalived-newer", use.place, f"{keyword.word} is known since keepalived {keyword.since}"
        )  # fmt: skip
    if use.index:
        warn(
            faults, "keepalived-differs", use.place,
            f"keepalived takes {keyword.word} for a value of {shown(use.statement.words[0])}: one keyword per line",
        )  # fmt: skip
    if (block, keyword.word) in DEAF and use.values[:1] in (("off",), ("no",), ("false",)):
        warn(faults, "keepalived-differs", use.place, f"keepalived turns {keyword.word} on, whatever follows it")
    if keyword.word == "virtual_server":
        _flags_before_scheduler(use, faults)
    if keyword.opens in ("addresses", "peers"):
        _several_on_a_line(use, faults)
    if keyword.opens in TABLE:
        for inner in _uses(use.block or [], keyword.opens):
            _look(inner, faults)


def _flags_before_scheduler(use: Use, faults: Faults) -> None:
    inside = list(_uses(use.block or [], "virtual_server"))
    scheduler = next((i for i, one in enumerate(inside) if one.keyword.word in ("lvs_sched", "lb_algo")), len(inside))
    for one in inside[:scheduler]:
        if one.keyword.word in FLAGS:
            warn(
                faults, "keepalived-differs", one.place,
                f"keepalived drops {one.keyword.word} before lvs_sched: put it behind",
            )  # fmt: skip


def _several_on_a_line(use: Use, faults: Faults) -> None:
    for statement in use.block or []:
        if not statement.inline or statement.block is not None:
            continue
        for other in list(entries([statement], Faults()))[1:]:
            warn(
                faults, "keepalived-differs", other.place(),
                f"keepalived does not read {shown(other.words[0])}: one address per line",
            )  # fmt: skip


def _global_order(uses: Sequence[Use], faults: Faults) -> None:
    """global_defs behind an instance do not count for it."""
    instance = next((use for use in uses if use.keyword.word == "vrrp_instance"), None)
    if instance is None:
        return
    for use in uses[uses.index(instance) :]:
        if use.keyword.word != "global_defs":
            continue
        for inner in _uses(use.block or [], "global_defs"):
            if inner.keyword.word.startswith(COPIED):
                warn(
                    faults, "keepalived-differs", inner.place,
                    f"keepalived has read instances before it: {inner.keyword.word} does not count for them",
                )  # fmt: skip


def _tracker_order(uses: Sequence[Use], faults: Faults) -> None:
    """What an instance tracks has to be defined before it."""
    defined: dict[tuple[str, str], int] = {}
    for number, use in enumerate(uses):
        if use.values:
            defined.setdefault((use.keyword.word, use.values[0]), number)
    for number, use in enumerate(uses):
        if use.keyword.word != "vrrp_instance":
            continue
        for inner in _uses(use.block or [], "vrrp_instance"):
            for line in inner.block or [] if inner.keyword.word in TRACKED else []:
                name = line.words[0]
                where = [defined.get((block, name), -1) for block in TRACKED[inner.keyword.word]]
                if max(where) > number:
                    warn(
                        faults, "keepalived-differs", line.place(),
                        f"keepalived does not know {shown(name)} yet: it has to be defined before the instance",
                    )  # fmt: skip
