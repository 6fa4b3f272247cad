"""`fastha check`: read a configuration as the daemon would, and print everything that is wrong with it."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import asdict
from typing import Any

import orjson

from fastha.channel.status import Exit
from fastha.config.load import DEFAULT_PATH, Loaded, load
from fastha.errors import Fault, Severity

EPILOG = """exit status:
  0  the configuration can run (there may be warnings, and keywords that are not supported yet)
  2  it has errors: the daemon would refuse it, and a running one would keep its old configuration; or wrong use
"""
COLOURS = {Severity.ERROR: "\x1b[1;31m", Severity.WARNING: "\x1b[1;33m", Severity.NOT_SUPPORTED: "\x1b[1;36m"}
PLAIN, BOLD = "\x1b[0m", "\x1b[1m"
LINE_SHOWN = 160  # characters of a source line; long lines are cut around the fault


def register(subparsers: Any) -> None:
    """Add the command to argparse's subparsers."""
    parser = subparsers.add_parser(
        "check",
        help="check a configuration and print all its faults",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-f", "--file", default=DEFAULT_PATH, help="configuration file (default: %(default)s)")
    parser.add_argument("-i", "--config-id", default="", help="what @id lines are compared with (default: host name)")
    parser.add_argument("--json", action="store_true", help="print faults and counts as JSON")
    parser.add_argument("-q", "--quiet", action="store_true", help="print only errors, one line each")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check `args.file`; the exit status."""
    loaded = load(args.file, args.config_id, native=True)
    if args.json:
        sys.stdout.write(as_json(loaded))
    elif args.quiet:
        for fault in loaded.faults:
            if fault.severity is Severity.ERROR:
                print(printable(str(fault)))
    else:
        colour = sys.stdout.isatty()
        sources: dict[str, list[str]] = {}
        for fault in loaded.faults:
            print(printable(describe(fault, sources, colour), keep="\n\x1b" if colour else "\n"))
        print(printable(summary(args.file, loaded)))
    return Exit.OK if loaded.ok else Exit.REFUSED


def describe(fault: Fault, sources: dict[str, list[str]], colour: bool) -> str:
    """A fault as people read it: place and message, the source line, a caret under the word, and the hint."""
    place = f"{fault.file}:{fault.line}:{fault.column}" if fault.line else fault.file
    severity: str = fault.severity
    if colour:
        place, severity = f"{BOLD}{place}{PLAIN}", f"{COLOURS[fault.severity]}{severity}{PLAIN}"
    out = [f"{place}: {severity}: {fault.message}"]
    if fault.line:
        out += excerpt(fault, sources)
    if fault.hint:
        out.append(f"    hint: {fault.hint}")
    return "\n".join(out)


def excerpt(fault: Fault, sources: dict[str, list[str]]) -> list[str]:
    """The source line, and below it a caret under the fault's column; nothing if the file cannot be read again."""
    if fault.file not in sources:
        try:
            with open(fault.file, encoding="utf-8-sig", errors="replace", newline="\n") as f:
                sources[fault.file] = f.read().split("\n")
        except OSError:
            sources[fault.file] = []
    lines = sources[fault.file]
    if fault.line > len(lines):
        return []
    text = lines[fault.line - 1].rstrip().replace("\t", " ")
    column = max(fault.column - 1, 0)
    begin = max(0, column - LINE_SHOWN // 2) if len(text) > LINE_SHOWN else 0
    text = "".join(c if c.isprintable() else "?" for c in text[begin : begin + LINE_SHOWN])
    indent = len(text) - len(text.lstrip())
    indent = min(indent, column - begin)
    number = f"{fault.line:6} | "
    return [number + text[indent:], " " * (len(number) + column - begin - indent) + "^"]


def summary(path: str, loaded: Loaded) -> str:
    """One line: what there is, and how many faults of which kind."""
    config, count = loaded.config, Counter(f.severity for f in loaded.faults)
    real = sum(len(v.real_servers) for v in config.virtual_servers)
    verdict = "can run" if loaded.ok else "cannot run"
    things = (
        f"{_plural(len(config.instances), 'instance')}, "
        f"{_plural(len(config.virtual_servers), 'virtual server')}, {_plural(real, 'real server')}"
    )
    faults = (
        f"{_plural(count[Severity.ERROR], 'error')}, {_plural(count[Severity.WARNING], 'warning')}, "
        f"{count[Severity.NOT_SUPPORTED]} not supported yet"
    )
    return f"{path}: {verdict}: {things}; {faults}"


def _plural(n: int, thing: str) -> str:
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"


def as_json(loaded: Loaded) -> str:
    """`{"ok", "files", "counts", "faults": [{severity, file, line, column, message, hint}]}`."""
    count = Counter(f.severity for f in loaded.faults)
    data = {
        "ok": loaded.ok,
        "files": [printable(f) for f in loaded.files],
        "counts": {str(s): count[s] for s in Severity},
        "faults": [{k: printable(v) if isinstance(v, str) else v for k, v in asdict(f).items()} for f in loaded.faults],
    }
    return orjson.dumps(data, option=orjson.OPT_INDENT_2).decode() + "\n"


def printable(text: str, keep: str = "") -> str:
    """`text` without control characters and lone surrogates (file names may hold any byte)."""
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)
