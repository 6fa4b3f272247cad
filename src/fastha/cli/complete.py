"""What may come next on a command line. Pure: words and what the daemon knows in, candidates out."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from fastha.cli.commands import COMMANDS, actions_of, help_of, load, operands_of, options_of, parser_of, takes_value

Candidate = tuple[str, str]  # the word, and a few words about it
FILES: list[Candidate] = [("?", "file")]  # names of files, which the shell knows best
PATHS = ("PATH", "FILE", "NEW", "OLD")

# What the daemon says of a part of its picture: "vrrp", "checker"; {} if nobody answers.
Known = Callable[[str], Mapping[str, Any]]


def candidates(words: Sequence[str], known: Known) -> list[Candidate]:
    """`words` follow `fastha`; the last one is being typed and may be empty."""
    *before, current = words or [""]
    if not before:
        return _beginning(current, ((name, command.help) for name, command in COMMANDS.items()))
    if before[0] not in COMMANDS:
        return []
    parser = parser_of(before[0], load(before[0]))
    rest = before[1:]
    while subcommands := actions_of(parser):
        found = next((i for i, word in enumerate(rest) if word in subcommands), None)
        if found is None:
            return _beginning(current, help_of(parser).items())
        parser, rest = subcommands[rest[found]], rest[found + 1 :]
    return _of(parser, rest, current, known)


def _of(parser: argparse.ArgumentParser, before: Sequence[str], current: str, known: Known) -> list[Candidate]:
    options = {word: action for action in options_of(parser) for word in action.option_strings}
    given: list[str] = []  # operands
    waiting: argparse.Action | None = None  # an option that has yet to get its value
    for word in before:
        if waiting is not None:
            waiting = None
        elif word.startswith("-") and word in options:
            waiting = options[word] if takes_value(options[word]) else None
        elif not word.startswith("-"):
            given.append(word)
    if waiting is not None:
        return _values(waiting, current, given, known)
    if current.startswith("--") and "=" in current:
        word, _, value = current.partition("=")
        action = options.get(word)
        found = _values(action, value, given, known) if action is not None else []
        return found if found is FILES else [(f"{word}={one}", about) for one, about in found]
    if current.startswith("-"):
        return _beginning(
            current, ((word, _plain(action.help)) for word, action in options.items() if word.startswith("--"))
        )
    operands = operands_of(parser)
    if not operands:
        return []
    action = operands[min(len(given), len(operands) - 1)]
    if len(given) >= len(operands) and action.nargs not in ("+", "*"):
        return []
    return _values(action, current, given, known)


def _values(action: argparse.Action, current: str, given: Sequence[str], known: Known) -> list[Candidate]:
    """What this argument may be; `given`: the operands before it."""
    if action.choices is not None:
        return _beginning(current, ((str(choice), "") for choice in action.choices))
    kind = getattr(action, "names", "")
    if kind == "file" or (not kind and action.metavar in PATHS):
        return FILES
    return _beginning(current, _named(kind, given, known))


def _named(kind: str, given: Sequence[str], known: Known) -> Iterable[Candidate]:
    """Names of this kind that the daemon knows."""
    if kind == "instance":
        facts = known("vrrp").get("instances", {})
        return [(name, str(one.get("state", ""))) for name, one in facts.items()]
    servers = (
        known("checker").get("virtual_servers", {}) if kind in ("virtual_server", "real_server", "subject") else {}
    )
    if kind == "virtual_server":
        return [(key, "up" if one.get("up") else "down") for key, one in servers.items()]
    if kind == "real_server":
        of = [one for key, one in servers.items() if not given or key.startswith(given[0])] or servers.values()
        return {key: str(rs.get("health", "")) for one in of for key, rs in one.get("real_servers", {}).items()}.items()
    if kind == "subject":
        return [*_named("instance", given, known), *((key, "") for key in servers)]
    return []


def _beginning(current: str, found: Iterable[Candidate]) -> list[Candidate]:
    return [(word, about) for word, about in found if word.startswith(current)]


def _plain(text: str | None) -> str:
    return (text or "").replace("%%", "%")
