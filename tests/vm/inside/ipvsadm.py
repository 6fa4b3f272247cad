"""The kernel's table as ipvsadm saves it, and edits in its words: sees nothing of the product.

{"-t 10.9.1.1:80": Row("-s rr", {"10.8.1.1:80": "-m -w 1"})}
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field

from fastha.lab.netns import Namespace


@dataclass
class Row:
    """A service: its options and its destinations with theirs, as `ipvsadm -Sn` prints them."""

    options: str
    dests: dict[str, str] = field(default_factory=dict)


Rows = dict[str, Row]


def copy(rows: Rows) -> Rows:
    return {name: Row(row.options, dict(row.dests)) for name, row in rows.items()}


def parse(text: str) -> Rows:
    """What `ipvsadm -Sn` printed."""
    rows: Rows = {}
    for line in text.splitlines():
        verb, kind, address, *rest = line.split()
        name = f"{kind} {address}"
        if verb == "-A":
            rows[name] = Row(" ".join(rest))
        else:
            assert (verb, rest[0]) == ("-a", "-r"), line
            rows[name].dests[rest[1]] = " ".join(rest[2:])
    return rows


class Ipvsadm:
    """The program, run in one namespace; the thread goes there, which is cheaper than a program that does."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace

    def _run(self, *words: str, stdin: str = "", check: bool = True) -> str:
        with self._namespace.entered():
            done = subprocess.run(["ipvsadm", *words], input=stdin, capture_output=True, text=True, check=False)
        if check:  # -R goes on after an error and ends with 0
            assert (done.returncode, done.stderr) == (0, ""), f"ipvsadm {words}: {done.stderr}\n{stdin}"
        return done.stdout

    def rows(self) -> Rows:
        return parse(self._run("-Sn"))

    def edit(self, lines: Iterable[str], check: bool = True) -> None:
        """Many edits in one process; `check`: all of them must work."""
        self._run("-R", stdin="".join(f"{line}\n" for line in lines), check=check)

    def clear(self) -> None:
        self._run("-C")


def differences(wanted: Rows, there: Rows) -> int:
    """How many rows of `wanted` are missing or differ, and how many destinations of its services are too many.

    A missing service counts one for itself and one for each of its destinations; services that are not wanted
    count nothing.
    """
    count = 0
    for name, row in wanted.items():
        if name not in there:
            count += 1 + len(row.dests)
            continue
        have = there[name]
        count += row.options != have.options
        count += sum(have.dests.get(dest) != options for dest, options in row.dests.items())
        count += sum(dest not in row.dests for dest in have.dests)
    return count
