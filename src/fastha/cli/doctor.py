"""`fastha doctor`: what on this host will bite, why, and the command that mends it."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fastha.channel.status import Exit
from fastha.cli.client import NoAnswer, ask
from fastha.cli.layout import INDENT, Line, paragraph
from fastha.cli.running import running
from fastha.cli.screen import counted, json_text, write
from fastha.config.load import DEFAULT_PATH, load
from fastha.doctor.look import look
from fastha.doctor.rules import examine
from fastha.doctor.values import Finding, Wants, wants_of
from fastha.parent.protocol import CONTROL_PATH

STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}
EPILOG = """\
It looks at this host with what the running daemon has (or a file says) in mind, and changes nothing. Commands that mend
something are printed, never run.

exit status:
  0  no error (with --strict: and no warning)     1  something bites
  2  the file is refused, or wrong use
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument(
        "-f", "--file", metavar="FILE", help=f"a configuration instead of the running one (no daemon: {DEFAULT_PATH})"
    )
    parser.add_argument("--strict", action="store_true", help="end with 1 if there are warnings")
    parser.add_argument("--json", action="store_true", help="the findings as one JSON object")
    parser.add_argument("--control", default=CONTROL_PATH, metavar="PATH", help=f"control socket ({CONTROL_PATH})")


def main(options: argparse.Namespace) -> int:
    status: dict[str, Any] | None = None
    no_answer = ""
    try:
        status = ask(options.control, "status")
    except NoAnswer as error:
        no_answer = str(error)
    wants, about = _wants(options, status is not None)
    if wants is None:
        print(about, file=sys.stderr)
        return Exit.REFUSED
    findings = examine(look(wants, status, no_answer), wants)
    count = Counter(one.severity for one in findings)
    bites = bool(count["error"] or (options.strict and count["warning"]))
    if options.json:
        sys.stdout.write(json_text({"ok": not bites, "for": about, "findings": [asdict(one) for one in findings]}))
    else:
        write(report(findings, _width()))
        write([[(f"{about}: {_counted(count)}", "bold")]])
    return Exit.FAILED if bites else Exit.OK


def _width() -> int | None:
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _counted(count: Counter[str]) -> str:
    if not count:
        return "nothing found"
    return ", ".join(counted(count[severity], severity) for severity in STYLES if count[severity])


def _wants(options: argparse.Namespace, answers: bool) -> tuple[Wants | None, str]:
    """What is wanted of this host, and by whom. (None, why) for a file that is refused."""
    if not options.file and answers:
        try:
            told = running(options.control)
        except NoAnswer:  # it is for admins; what everybody may see has to do
            return Wants(), "without the configuration, which is for admins"
        return wants_of(told.config), f"the running configuration ({told.file})"
    path = options.file or DEFAULT_PATH
    if not options.file and not os.path.exists(path):
        return Wants(), "without a configuration"
    loaded = load(path, native=True)
    if errors := loaded.errors:
        return None, "\n".join(str(fault) for fault in errors)
    return wants_of(loaded.config), path


def report(findings: Sequence[Finding], width: int | None) -> list[Line]:
    """Three lines for each."""
    lines: list[Line] = []
    for one in findings:
        style = STYLES[one.severity]
        lines += [[(f"{one.severity}: ", style), (one.what, "bold"), (f" [{one.code}]", "")]]
        lines += paragraph(one.why, INDENT, width)
        if one.mend:
            lines.append([(f"{INDENT}mend: ", ""), (one.mend, "green")])
    return lines
