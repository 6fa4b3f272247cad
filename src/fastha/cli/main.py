"""The command line: `fastha COMMAND`. commands.py is the table; each command is a module of this room."""

from __future__ import annotations

import argparse
import gc
import io
import os
import sys
from collections.abc import Sequence

from fastha.channel.status import Exit
from fastha.cli.commands import COMMANDS, EPILOG, load, parser_of
from fastha.errors import FasthaError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; what goes wrong is one line on stderr, never a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    words = list(sys.argv[1:] if argv is None else argv)
    if argv is None and words[:1] == ["check"]:
        gc.disable()  # it ends before collecting garbage would pay
    try:
        status = _dispatch(words)
        sys.stdout.flush()
    except FasthaError as error:
        print(f"fastha: {error}", file=sys.stderr)
        return getattr(error, "status", Exit.FAILED)
    except BrokenPipeError:
        # The reader (`| head`) has seen enough; Python's own flush at exit must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    except KeyboardInterrupt:
        return 130  # 128 + SIGINT, as shells say it
    return status


def _dispatch(words: list[str]) -> int:
    command = words[0] if words else ""
    if command in ("--version", "-V"):
        command = "version"
    if command not in COMMANDS:
        parser = _overview()
        if not words:
            parser.print_help()
            return Exit.OK
        parser.parse_args(words)  # --help and misspelt commands end here
        return Exit.REFUSED
    module = load(command)
    parser = parser_of(command, module)
    status: int = module.main(parser.parse_args(words[1:]))
    return status


def _overview() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name:{width}}  {command.help}" for name, command in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="fastha",
        usage="fastha COMMAND [options]     (fastha COMMAND --help for the options)",
        description=f"High availability for Linux load balancers: VRRP, health checks, IPVS.\n\ncommands:\n{listing}",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, help=argparse.SUPPRESS, metavar="COMMAND")
    return parser


if __name__ == "__main__":
    sys.exit(main())
