"""What the watcher sees: tables that live, on a terminal; plain lines of what changed, anywhere else."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fastha.lab import plan
from fastha.lab.laboratory import Screen, Snapshot
from fastha.lab.story import Outcome, Step

REFRESH_S = 0.2  # drawing costs milliseconds, which the laboratory's machines need
COLOUR = {"master": "bold green", "backup": "cyan", "fault": "bold red", "down": "bold red", "up": "green"}


def _coloured(word: str) -> Text:
    return Text(word, COLOUR.get(word, "yellow"))


def directors_table(snapshot: Snapshot) -> Table:
    """Who is master, and each real server's health and weight as each director has it in its table."""
    table = Table(title_justify="left", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for heading in ("director", "VRRP", *(server.name for server in plan.SERVERS)):
        table.add_column(heading, header_style="dim")
    for name, seen in snapshot.directors.items():
        cells = []
        for server in plan.SERVERS:
            row = seen.rows.get(server.name)
            if row is None:
                cells.append(Text("-", "dim"))
            else:
                weight = "not in table" if row.weight is None else f"weight {row.weight}"
                cells.append(Text.assemble(_coloured(row.health), f" {weight}"))
        table.add_row(Text(name), _coloured(seen.state), *cells)
    alive = [Text("runs") if snapshot.servers_alive.get(s.name) else Text("killed", "red") for s in plan.SERVERS]
    table.add_row(Text("process", "dim"), Text(), *alive)
    shares = [Text(f"{snapshot.answered_by.get(server.name, 0)}/s", "dim") for server in plan.SERVERS]
    table.add_row(Text("answers", "dim"), Text(), *shares)
    return table


def client_line(snapshot: Snapshot) -> Text:
    errors = Text(f"{snapshot.errors_per_s:.0f} errors/s", "bold red" if snapshot.errors_per_s else "dim")
    return Text.assemble(
        f"client: {snapshot.answers_per_s:.0f} answers/s, ", errors, f", {snapshot.sent} requests so far"
    )


class PlainScreen(Screen):
    """A line for each change."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.out = out or sys.stdout

    def say(self, seconds: float, text: str) -> None:
        print(f"{seconds:6.2f} s  {text}", file=self.out, flush=True)

    def show(self, snapshot: Snapshot) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class LiveScreen(PlainScreen):
    """The same lines, above tables that are kept up to date."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console
        self.shown_s = -1.0
        self.live = Live(console=console, auto_refresh=False, transient=True)

    def say(self, seconds: float, text: str) -> None:
        style = "bold" if text.startswith("== ") else ""
        self.console.print(Text(f"{seconds:6.2f} s  {text}", style))

    def show(self, snapshot: Snapshot) -> None:
        if snapshot.seconds - self.shown_s < REFRESH_S:
            return
        self.shown_s = snapshot.seconds
        self.live.update(Group(Text(), directors_table(snapshot), client_line(snapshot)), refresh=True)

    def __enter__(self) -> Self:
        self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()


def verdict_lines(step: Step) -> list[str]:
    """One step for the final report."""
    return [f"{step.title}", *(f"    {one}" for one in step.expectations), f"    client: {step.seen}"]


def print_outcome(console: Console, outcome: Outcome) -> None:
    """The final report: every step with its expectations, then what the client saw as a table."""
    console.print()
    for step in outcome.steps:
        for line in verdict_lines(step):
            failed = line.lstrip().startswith("FAIL")
            console.print(Text(line, "bold red" if failed else "bold" if not line.startswith(" ") else ""))
    table = Table(
        title=f"\nWhat the client saw ({outcome.director}, {outcome.dataplane})", title_justify="left", box=None
    )
    table.add_column("step", overflow="fold")
    for heading in ("sent", "lost", "longest gap", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for step in outcome.steps:
        gap, lost = f"{step.seen.gap_ms:.0f} ms", str(step.seen.lost_total)
        verdict = Text("ok", "green") if step.ok else Text("FAILED", "bold red")
        table.add_row(step.title, str(step.seen.sent), lost, gap, verdict)
    total = outcome.total
    table.add_row("all, once it ran", str(total.sent), str(total.lost_total), f"{total.gap_ms:.0f} ms", "")
    console.print(table)
