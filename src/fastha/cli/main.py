"""The command line: `fastha COMMAND`. Each command is a module of this room, imported when it is asked for.

A command module has `arguments(parser)`, which adds its options, and `main(options)`, which returns the exit status.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import io
import os
import sys
from collections.abc import Sequence

from fastha.channel.status import Exit
from fastha.errors import FasthaError

# name: (one line of help, module)
COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("run the daemon in the foreground", "fastha.cli.run"),
    "check": ("check a configuration and print every finding", "fastha.cli.check"),
    "plan": ("what a reload would do to the running daemon; changes nothing", "fastha.cli.plan"),
    "dump": ("print the effective configuration, of the daemon or of a file", "fastha.cli.dump"),
    "status": ("what the daemon does: instances, virtual servers, real servers", "fastha.cli.status"),
    "rs": ("drain, enable, disable, weigh real servers at run time", "fastha.cli.rs"),
    "accept": ("let real servers fall that a panic keeps in the set", "fastha.cli.accept"),
    "events": ("what happened, in order, with the cause of each event", "fastha.cli.events"),
    "resync": ("compare the kernel's table with what is wanted and repair it, now", "fastha.cli.resync"),
    "reload": ("have the daemon read its configuration again, and say how it went", "fastha.cli.reload"),
    "stop": ("stop the daemon in an orderly way", "fastha.cli.stop"),
    "genhash": ("the digest of a page, for digest of HTTP_GET and SSL_GET", "fastha.cli.genhash"),
    "lab": ("the laboratory: two directors, three real servers, one client", "fastha.cli.lab"),
    "version": ("print the version", "fastha.cli.version"),
}

EPILOG = """\
exit status:
  0  done                                1  went wrong
  2  configuration or command refused    3  no daemon answers
  4  the system refuses (privilege, interface, kernel module, address in use)
"""


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
    help_text, module_name = COMMANDS[command]
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        raise FasthaError(f"this build has no command {command}") from None
    if hasattr(module, "register"):  # a module that describes itself to argparse
        parser = argparse.ArgumentParser(prog="fastha")
        module.register(parser.add_subparsers())
        options = parser.parse_args(words)
        return int(options.run(options))
    parser = argparse.ArgumentParser(
        prog=f"fastha {command}",
        description=help_text,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.arguments(parser)
    status: int = module.main(parser.parse_args(words[1:]))
    return status


def _overview() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name:{width}}  {help_text}" for name, (help_text, _) in COMMANDS.items())
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
