"""`fastha plan`: what a reload with another configuration would do. Nothing is changed."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, NoReturn

from fastha.channel.status import Exit
from fastha.cli import kernel_changes
from fastha.cli.client import ask
from fastha.cli.layout import Line
from fastha.cli.running import running
from fastha.cli.screen import counted, json_text, printable, write
from fastha.config.difference import Change, difference
from fastha.config.load import Loaded, load
from fastha.model import Config
from fastha.parent.protocol import CONTROL_PATH

FORMAT = 1  # of the JSON
DESCRIPTION = """\
Say what a reload with the configuration NEW would do to the running daemon: addresses that move, servers that come, go
or change, checks that start again, and how many operations the kernel's table takes. Nothing is changed. With --from
two files are compared, and no daemon is needed.
"""
EPILOG = """\
exit status:
  0  a reload would change nothing       2  it would change something
  5  NEW (or OLD) is refused             3  no daemon answers
  1  went wrong, or wrong use
"""
SHOWN = 200  # lines; --all shows the rest
STYLES = {"added": "green", "removed": "red", "moved": "bold yellow", "changed": "yellow", "restarted": "cyan"}
SIGNS = {"added": "+", "removed": "-", "moved": ">", "changed": "~", "restarted": "~"}
NAMES = {
    "global_defs": "global_defs",
    "instance": "vrrp_instance",
    "address": "address",
    "virtual_server": "virtual_server",
    "service": "service",
    "real_server": "real_server",
    "check": "check",
    "track_file": "track_file",
    "bfd_instance": "bfd_instance",
    "vrrp_sync_group": "vrrp_sync_group",
    "vrrp_script": "vrrp_script",
    "vrrp_track_process": "vrrp_track_process",
}
PLURALS = {"address": "addresses", "global_defs": "global_defs"}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = DESCRIPTION, EPILOG

    def error(message: str) -> NoReturn:
        # argparse would end with 2, which says here that something would change.
        parser.print_usage(sys.stderr)
        print(f"{parser.prog}: error: {message}", file=sys.stderr)
        raise SystemExit(Exit.FAILED)

    parser.error = error  # type: ignore[method-assign]
    parser.add_argument("-f", "--file", required=True, metavar="NEW", help="the configuration to reload with")
    parser.add_argument("--from", dest="old", metavar="OLD", help="a file to begin with instead of the running daemon")
    parser.add_argument("-i", "--config-id", default="", help="what @id lines are compared with (default: host name)")
    parser.add_argument("--json", action="store_true", help="the plan as one JSON object")
    parser.add_argument("--all", action="store_true", help=f"every line, not just {SHOWN}")
    parser.add_argument("--control", default=CONTROL_PATH, metavar="PATH", help=f"control socket ({CONTROL_PATH})")


def main(options: argparse.Namespace) -> int:
    new = _read(options.file, options.config_id)
    if new is None:
        return Exit.UNFIT
    facts: dict[str, Any] | None = None
    if options.old:
        old = _read(options.old, options.config_id)
        if old is None:
            return Exit.UNFIT
        before = old.config
    else:
        before = running(options.control).config
        facts = ask(options.control, "status").get("checker", {})
    changes = difference(before, new.config)
    kernel = kernel_changes.counted(kernel_changes.operations(before, new.config, facts))
    if options.json:
        sys.stdout.write(as_json(changes, kernel))
    else:
        lines = list(described(changes))
        write(lines if options.all else lines[:SHOWN])
        if len(lines) > SHOWN and not options.all:
            print(f"and {len(lines) - SHOWN} more lines (--all)")
        write([[(summary(changes, kernel, before), "bold")]])
    return 2 if changes else Exit.OK


def _read(path: str, config_id: str) -> Loaded | None:
    """What a file says; None if it is refused, and the reasons are said."""
    loaded = load(path, config_id, native=True)
    if loaded.ok:
        return loaded
    for fault in loaded.errors:
        print(printable(str(fault)), file=sys.stderr)
    print(f"fastha: {printable(path)} would be refused: {counted(len(loaded.errors), 'error')}", file=sys.stderr)
    return None


def described(changes: Sequence[Change]) -> Iterator[Line]:
    """One line for each change, those of one object below it."""
    subject = ""
    for change in changes:
        if not change.inside:
            subject = change.name
        elif change.kind != "check" and change.inside != subject:
            # Something inside of an object that is otherwise as it was.
            subject = change.inside
            parent = "vrrp_instance" if change.kind == "address" else "virtual_server"
            yield [("  ", ""), (f"{parent} {printable(subject)}", "bold")]
        yield from _line(change, subject)


def _line(change: Change, subject: str) -> Iterator[Line]:
    indent = "    " if change.inside else ""
    owner = ""
    if change.kind == "check":
        owner = f"{change.inside.rpartition(' ')[2]} "
    style = STYLES[change.action]
    what = f"{NAMES[change.kind]} {owner}{change.name}" if change.kind != "global_defs" else "global_defs"
    line: Line = [(f"{indent}{SIGNS[change.action]} ", style), (printable(what), "bold" if not change.inside else "")]
    line.append((f" {change.action}", style))
    if change.note:
        line.append((f" ({printable(change.note)})", "dim"))
    if len(change.words) == 1:
        line.append((f": {printable(str(change.words[0]))}", ""))
    yield line
    if len(change.words) > 1:
        for word in change.words:
            yield [(f"{indent}      {printable(str(word))}", "")]


def summary(changes: Sequence[Change], kernel: dict[str, int], before: Config) -> str:
    """One line: what is touched, and what stays."""
    if not changes:
        return "nothing would change"
    counts = Counter((change.kind, change.action) for change in changes)
    parts = [f"{count} {_plural(NAMES[kind], count, kind)} {action}" for (kind, action), count in counts.items()]
    operations = sum(kernel.values())
    table = f"; {counted(operations, 'operation')} on the table" if operations else "; the table stays as it is"
    stay = []
    for kind, total in (("instance", len(before.instances)), ("virtual_server", len(before.virtual_servers))):
        touched = {c.name for c in changes if c.kind == kind and c.action != "added"}
        if kind == "virtual_server":
            touched |= {c.inside.rpartition(" ")[0] if c.kind == "check" else c.inside for c in changes if c.inside}
        else:
            touched |= {c.inside for c in changes if c.kind == "address"}
        known = {i.name for i in before.instances} if kind == "instance" else {s.key for s in before.virtual_servers}
        stay.append(f"{total - len(touched & known)} of {counted(total, kind.replace('_', ' '))}")
    return f"{', '.join(parts)}{table}; {' and '.join(stay)} stay as they are"


def _plural(name: str, count: int, kind: str) -> str:
    return name if count == 1 else PLURALS.get(kind, f"{name}s")


def as_json(changes: Sequence[Change], kernel: dict[str, int]) -> str:
    """`{"format", "changes": [{kind, action, name, inside, words: [{word, before, after}], note}], "operations"}`."""
    data = {"format": FORMAT, "changes": [asdict(change) for change in changes], "operations": kernel}
    return json_text(data)
