"""The manual pages, written from the table of commands: `python -m fastha.cli.manual FOLDER` (`make man`).

man(7): fastha(8) is the overview, fastha-COMMAND(8) each command.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import fastha
from fastha.cli.commands import COMMANDS, EPILOG, ROLES, actions_of, help_of, load, operands_of, options_of, parser_of

SECTION = "8"


def pages() -> dict[str, str]:
    """File name -> text, of every page."""
    out = {f"fastha.{SECTION}": overview()}
    for name in COMMANDS:
        out[f"fastha-{name}.{SECTION}"] = page(name)
    return out


def overview() -> str:
    lines = [
        *_head("fastha", "high availability for Linux load balancers"),
        ".SH SYNOPSIS",
        ".B fastha",
        r"\fICOMMAND\fR [\fIoptions\fR]",
        ".SH DESCRIPTION",
        *_text(
            "A daemon that keeps service addresses alive (VRRP), watches real servers and programs the kernel's load "
            "balancer, and the commands that ask and steer it. It reads keepalived.conf."
        ),
        ".SH COMMANDS",
    ]
    for name, command in COMMANDS.items():
        lines += [".TP", rf"\fBfastha\-{_escape(name)}\fR({SECTION})", *_text(command.help)]
    lines += [*_exits(EPILOG), ".SH FILES"]
    for path, about in FILES.items():
        lines += [".TP", rf"\fI{_escape(path)}\fR", *_text(about)]
    return _page(lines)


FILES = {
    "/etc/keepalived/keepalived.conf": "the configuration",
    "/run/fastha/control.sock": "the control socket",
    "/var/lib/fastha/state.json": "decisions of operators, and what is ours in the kernel",
}


def page(name: str) -> str:
    command = COMMANDS[name]
    parser = parser_of(name, load(name))
    lines = [
        *_head(f"fastha-{name}", command.help),
        ".SH SYNOPSIS",
        *_synopsis(parser),
        ".SH DESCRIPTION",
        *_text(parser.description or command.help),
    ]
    about, exits = _epilog(parser.epilog or "")
    if about:
        lines += [".PP", *_text(about)]
    if ROLES[command.role]:
        lines += [".PP", *_text(ROLES[command.role])]
    if subcommands := actions_of(parser):
        lines.append(".SH ACTIONS")
        helps = help_of(parser)
        for word, one in subcommands.items():
            lines += [f".SS {_escape(word)}", *_synopsis(one), ".PP", *_text(helps.get(word, "")), *_arguments(one)]
    elif arguments := list(_arguments(parser)):
        lines += [".SH OPTIONS", *arguments]
    lines += [*_exits(exits or EPILOG), ".SH SEE ALSO", rf"\fBfastha\fR({SECTION})"]
    return _page(lines)


def _head(name: str, about: str) -> list[str]:
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
    date = time.strftime("%Y-%m-%d", time.gmtime(epoch))
    return [
        f'.TH {name.upper()} {SECTION} {date} "fastha {fastha.__version__}" "fastha"',
        ".SH NAME",
        f"{_escape(name)} \\- {_escape(about)}",
    ]


def _synopsis(parser: argparse.ArgumentParser) -> list[str]:
    usage = re.sub(r"\s+", " ", parser.format_usage().removeprefix("usage:")).strip()
    program, _, rest = usage.partition(" ")
    while rest and re.match(r"[a-z]", rest):  # `fastha rs drain`: all of it is the command
        word, _, rest = rest.partition(" ")
        program += f" {word}"
    return [f".B {_escape(program)}", _escape(rest)] if rest else [f".B {_escape(program)}"]


def _arguments(parser: argparse.ArgumentParser) -> Iterable[str]:
    formatter = parser._get_formatter()
    for action in [*operands_of(parser), *options_of(parser)]:
        yield ".TP"
        if action.option_strings:
            value = "" if action.nargs == 0 else rf" \fI{_escape(formatter._format_args(action, _metavar(action)))}\fR"
            yield ", ".join(rf"\fB{_escape(word)}\fR{value}" for word in action.option_strings)
        else:
            yield rf"\fI{_escape(_metavar(action))}\fR"
        yield from _text(formatter._expand_help(action) if action.help else "")


def _metavar(action: argparse.Action) -> str:
    if isinstance(action.metavar, str):
        return action.metavar
    if action.choices is not None:
        return "|".join(map(str, action.choices))
    return action.dest.upper() if action.option_strings else action.dest


def _epilog(text: str) -> tuple[str, str]:
    """What an epilog says, and the exit statuses at its end."""
    about, found, exits = text.partition("exit status:")
    return about.strip(), found + exits


def _exits(text: str) -> list[str]:
    """`  0  done    1  went wrong`: one entry for each number."""
    lines = [".SH EXIT STATUS"]
    for row in text.partition(":")[2].splitlines():
        parts = re.split(r"(?:^|\s{2,})(\d+)\s{2}", row)
        if len(parts) == 1 and row.strip():
            lines += _text(row.strip())
        for number, meaning in zip(parts[1::2], parts[2::2], strict=True):
            lines += [".TP", f".B {number}", *_text(meaning.strip())]
    return lines


def _text(text: str) -> list[str]:
    """Paragraphs."""
    out: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        if out:
            out.append(".PP")
        out.append(_escape(re.sub(r"\s+", " ", paragraph).strip()))
    return out


def _escape(text: str) -> str:
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{text}" if text.startswith((".", "'")) else text


def _page(lines: Iterable[str]) -> str:
    return "\n".join(line for line in lines if line) + "\n"


def main(words: Sequence[str]) -> int:
    """Write all pages into the folder that `words` name."""
    folder = Path(words[0])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
