"""Figures -> a table of medians and ratios, and the targets: met or missed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

Figures = dict[str, Any]

PROGRAMS = {"c": "C", "c_straight": "straight", "apply": "apply", "daemon": "start"}
PROGRAMS |= {"keepalived": "keepalived", "ipvsadm": "ipvsadm"}
RATIOS = (("apply", "c"), ("apply", "ipvsadm"), ("apply", "keepalived"), ("daemon", "keepalived"))


@dataclass(frozen=True)
class Verdict:
    """One target. `value` was measured, `most` is allowed."""

    text: str
    value: float
    most: float

    @property
    def met(self) -> bool:
        return self.value <= self.most

    def __str__(self) -> str:
        return f"{'met   ' if self.met else 'MISSED'} {self.text}: {self.value:.3g}, target <= {self.most:g}"


def of(figures: Figures, scheduler: str, program: str) -> float | None:
    """The median in seconds; None if it did not run."""
    times = figures["times"][scheduler].get(program)
    return median(times) if times else None


def ratio(figures: Figures, scheduler: str, one: str, other: str) -> float | None:
    a, b = of(figures, scheduler, one), of(figures, scheduler, other)
    return a / b if a and b else None


def best(figures: Figures, scheduler: str) -> float:
    """Ours against C by the fastest of each: what is left where the machine's noise is least."""
    times = figures["times"][scheduler]
    return float(min(times["apply"]) / min(times["c"]))


def table(figures: Figures) -> str:
    """In Markdown, one line for each scheduler. ' marks what ran once."""
    names = [f"{PROGRAMS[one]} / {PROGRAMS[other]}" for one, other in RATIOS]
    lines = [["", "N", *PROGRAMS.values(), *names, "best apply / C"]]
    lines.append(["---", *["--:"] * (len(lines[0]) - 1)])
    for scheduler, times in figures["times"].items():
        cells = [scheduler, str(figures["counts"][scheduler])]
        for program in PROGRAMS:
            took_s = of(figures, scheduler, program)
            once = "'" if figures["rounds"] > 1 and len(times.get(program, ())) == 1 else ""
            cells.append("" if took_s is None else f"{took_s:.2f}{once}")
        for pair in RATIOS:
            value = ratio(figures, scheduler, *pair)
            cells.append("" if value is None else f"{value:.2f}")
        lines.append([*cells, f"{best(figures, scheduler):.2f}"])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    rows = [f"| {' | '.join(c.rjust(w) for c, w in zip(line, widths, strict=True))} |" for line in lines]
    rounds = figures["rounds"]
    head = f"Linux {figures['kernel']} ({figures['backend']}), medians of {rounds} rounds, seconds; ' = one run"
    return "\n".join([head, "", *rows, ""])


def verdicts(figures: Figures) -> list[Verdict]:
    """Every target of the project for this benchmark."""
    found = []

    def judge(scheduler: str, one: str, other: str, most: float) -> None:
        value = ratio(figures, scheduler, one, other)
        assert value is not None
        found.append(Verdict(f"{scheduler}: {NAMES[one]} / {NAMES[other]}", value, most))

    for scheduler in figures["times"]:
        judge(scheduler, "apply", "c", 1.25)
    judge("rr", "apply", "ipvsadm", 0.25)
    judge("rr", "apply", "keepalived", 0.5)
    judge("rr", "daemon", "keepalived", 0.5)
    judge("mh", "apply", "keepalived", 0.2)
    judge("mh", "daemon", "keepalived", 0.2)
    life = figures["life"]
    found.append(Verdict("stop, seconds", median(one["stop_s"] for one in life), 0.3))
    for key, name, expected in (("unchanged", "an unchanged reload", 0), ("changed", "a reload with ten changes", 10)):
        said, sent = [one[key][0] for one in life], [sum(one[key][1].values()) for one in life]
        worst = max(abs(n - expected) for n in said + sent)
        text = f"{name}: {sorted(set(said))} operations said, {sorted(set(sent))} seen on netlink; off by"
        found.append(Verdict(text, worst, 0))
    return found


NAMES = {
    "c": "the C program",
    "apply": "ours (apply)",
    "daemon": "ours (daemon start)",
    "ipvsadm": "ipvsadm -R",
    "keepalived": "keepalived's start",
}
