"""THE table of commands. argparse, shell completion (complete.py) and the manual pages (manual.py) come from it.

A command's module has `arguments(parser)`, which says what it takes, and `main(options)`, which returns the exit
status; it is imported when it is asked for. What a positional argument or an option's value names is said with `names`.
"""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar

from fastha.errors import FasthaError

Role = str  # "read": asks the daemon, everybody may; "admin": changes it; "local": needs no daemon


class Command(NamedTuple):
    """`role`: who may (docs/control.md, "Who may"), as far as the daemon is asked."""

    help: str
    module: str
    role: Role = "local"


COMMANDS: dict[str, Command] = {
    "run": Command("run the daemon in the foreground", "fastha.cli.run"),
    "check": Command("check a configuration and print every finding", "fastha.cli.check"),
    "plan": Command("what a reload would do to the running daemon; changes nothing", "fastha.cli.plan", "admin"),
    "dump": Command("print the effective configuration, of the daemon or of a file", "fastha.cli.dump", "admin"),
    "doctor": Command("what on this host will bite, and the command that mends it", "fastha.cli.doctor", "read"),
    "status": Command("what the daemon does: instances, virtual and real servers", "fastha.cli.status", "read"),
    "top": Command("a live full-screen view with keys, also of 10 000 real servers", "fastha.cli.top", "read"),
    "events": Command("what happened, in order, with the cause of each event", "fastha.cli.events", "read"),
    "vs": Command("virtual servers: list them, show one of them whole", "fastha.cli.vs", "read"),
    "rs": Command("drain, enable, disable, weigh real servers at run time", "fastha.cli.rs", "admin"),
    "vrrp": Command("fail over, hold or weigh instances at run time", "fastha.cli.vrrp", "admin"),
    "accept": Command("let real servers fall that a panic keeps in the set", "fastha.cli.accept", "admin"),
    "resync": Command("compare the kernel's table with what is wanted and repair it", "fastha.cli.resync", "admin"),
    "reload": Command(
        "have the daemon read its configuration again, and say how it went", "fastha.cli.reload", "admin"
    ),
    "stop": Command("stop the daemon in an orderly way", "fastha.cli.stop", "admin"),
    "metrics": Command(
        "what the daemon does, for Prometheus: print it once, or serve it", "fastha.cli.metrics", "read"
    ),
    "page": Command("a status page for browsers, live", "fastha.cli.page", "read"),
    "genhash": Command("the digest of a page, for digest of HTTP_GET and SSL_GET", "fastha.cli.genhash"),
    "lab": Command("the laboratory: two directors, three real servers, one client", "fastha.cli.lab"),
    "completion": Command("a script that lets bash, zsh or fish complete commands", "fastha.cli.completion"),
    "version": Command("print the version", "fastha.cli.version"),
}

ROLES = {
    "read": "Everybody may who may connect to the control socket.",
    "admin": "For root, the user the daemon runs as, and members of its --admin-group.",
    "local": "",
}

EPILOG = """\
exit status:
  0  done                                1  went wrong
  2  configuration or command refused    3  no daemon answers
  4  the system refuses (privilege, interface, kernel module, address in use)
"""

# What an argument may name, for completion: "file", "directory" or one of these that the daemon knows.
KINDS = ("instance", "virtual_server", "real_server", "subject")

ActionT = TypeVar("ActionT", bound=argparse.Action)


def names(action: ActionT, kind: str) -> ActionT:
    """Say what the words of this argument name."""
    action.names = kind  # type: ignore[attr-defined]
    return action


def load(command: str) -> Any:
    """Its module. FasthaError if this build has none."""
    module_name = COMMANDS[command].module
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        raise FasthaError(f"this build has no command {command}") from None


class _Help(argparse.RawDescriptionHelpFormatter):
    """As wide as the terminal. argparse would load shutil to ask for that, and asks for each parser, help or not."""

    def __init__(self, prog: str) -> None:
        try:
            columns = int(os.environ["COLUMNS"]) if "COLUMNS" in os.environ else os.get_terminal_size().columns
        except (OSError, ValueError):
            columns = 0
        super().__init__(prog, width=(columns if columns > 0 else 80) - 2)


def parser_of(command: str, module: Any) -> argparse.ArgumentParser:
    """The parser of one command, complete."""
    parser = argparse.ArgumentParser(
        prog=f"fastha {command}",
        description=COMMANDS[command].help,
        epilog=EPILOG,
        formatter_class=_Help,
    )
    module.arguments(parser)
    return parser


def actions_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Its subcommands by name; {} if it has none."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def help_of(parser: argparse.ArgumentParser) -> dict[str, str]:
    """One line about each of its subcommands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return {choice.dest: choice.help or "" for choice in action._choices_actions}
    return {}


def options_of(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Its options, `--help` not."""
    return (a for a in parser._actions if a.option_strings and not isinstance(a, argparse._HelpAction))


def operands_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Its positional arguments, subcommands not."""
    return [a for a in parser._actions if not a.option_strings and not isinstance(a, argparse._SubParsersAction)]


def takes_value(action: argparse.Action) -> bool:
    return action.nargs != 0
