"""`fastha check`: read a configuration as the daemon would, and print everything that is wrong with it.

docs/check.md describes what it prints; docs/findings.md lists the findings by code.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastha.channel.status import Exit
from fastha.cli import findings
from fastha.cli.excerpt import Sources
from fastha.cli.screen import counted, json_text, printable, write
from fastha.config.examine import examine
from fastha.config.load import DEFAULT_PATH, Loaded
from fastha.errors import Fault, Severity

if TYPE_CHECKING:
    from fastha.config.host import ThisHost

DESCRIPTION = "Read a configuration as the daemon would, and print everything that is wrong with it."
EPILOG = """exit status:
  0  the configuration can run (there may be warnings, and keywords that are not supported yet)
  1  with --strict: it can run, and there is a warning
  2  it has errors: the daemon would refuse it, and a running one would keep its old configuration; or wrong use
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("-f", "--file", metavar="FILE", help=f"configuration file (default: {DEFAULT_PATH})")
    parser.add_argument("-i", "--config-id", default="", help="what @id lines are compared with (default: host name)")
    parser.add_argument(
        "--here",
        action=argparse.BooleanOptionalAction,
        help="also look at this machine: scripts that are not there, own addresses among the peers "
        "(default: only without -f)",
    )
    parser.add_argument(
        "--keepalived",
        action="store_true",
        help="also tell what Debian's keepalived (2.2.7) would not know, or read differently",
    )
    parser.add_argument("--strict", action="store_true", help="end with 1 if there are warnings")
    parser.add_argument("--all", action="store_true", help=f"print all, not just {findings.ALIKE} findings of a kind")
    parser.add_argument(
        "--sort",
        choices=("place", "severity", "code"),
        default="place",
        help="order of findings (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="for editors and scripts: docs/check.schema.json")
    parser.add_argument("-q", "--quiet", action="store_true", help="print only errors, one line each")


def main(args: argparse.Namespace) -> int:
    """Check `args.file`; the exit status."""
    path = args.file or DEFAULT_PATH
    here = not args.file if args.here is None else args.here
    loaded = examine(path, args.config_id, _this_host() if here else None, args.keepalived)
    faults = findings.sort(loaded.faults, args.sort)
    sources = Sources()
    if args.json:
        sys.stdout.write(as_json(loaded, faults, sources))
    elif args.quiet:
        for fault in faults:
            if fault.severity is Severity.ERROR:
                print(printable(str(fault)))
    else:
        write(findings.lines(faults, sources, None if args.all else findings.ALIKE))
        write([[(summary(path, loaded), "bold")]])
    if not loaded.ok:
        return Exit.REFUSED
    warned = any(fault.severity is Severity.WARNING for fault in loaded.faults)
    return Exit.FAILED if args.strict and warned else Exit.OK


def _this_host() -> ThisHost:
    from fastha.config.host import ThisHost

    return ThisHost()


def summary(path: str, loaded: Loaded) -> str:
    """One line: what there is, and how many faults of which kind."""
    config, count = loaded.config, Counter(f.severity for f in loaded.faults)
    real = sum(len(v.real_servers) for v in config.virtual_servers)
    verdict = "can run" if loaded.ok else "cannot run"
    things = (
        f"{counted(len(config.instances), 'instance')}, "
        f"{counted(len(config.virtual_servers), 'virtual server')}, {counted(real, 'real server')}"
    )
    faults = (
        f"{counted(count[Severity.ERROR], 'error')}, {counted(count[Severity.WARNING], 'warning')}, "
        f"{count[Severity.NOT_SUPPORTED]} not supported yet"
    )
    return printable(f"{path}: {verdict}: {things}; {faults}")


def as_json(loaded: Loaded, faults: Sequence[Fault], sources: Sources) -> str:
    """The document of docs/check.schema.json."""

    count = Counter(f.severity for f in loaded.faults)
    data = {
        "format": findings.FORMAT,
        "ok": loaded.ok,
        "files": [printable(f) for f in loaded.files],
        "counts": {str(s): count[s] for s in Severity},
        "faults": [findings.plain(f, sources) for f in faults],
    }
    return json_text(data)
