"""Values as words of keepalived.conf, written so that reading gives the same value back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network

from fastha.config.keywords import TABLE, Status
from fastha.config.keywords.table import ROOT
from fastha.model import Script, Tunnel
from fastha.model.units import NS_PER_US

BARE = re.compile(r"[^ \t\r\f\v\"{}#!$\\~@]+")
HIDDEN = "********"
# What the lexer, the expander or a terminal would take for something else inside a quoted command.
RISKY = re.compile(r"[\x00-\x1f\x7f-\x9f\"#!$\\]")
SPECIAL = re.compile(r"[\x00-\x20\x7f-\xa0\"'\\]")  # what keeps an argument from standing without quotes
RISKY_BARE = re.compile(r"[\x00-\x20\x7f-\xa0\"'#!$\\{}]")


def word(text: str) -> str:
    """`text` as one word of a plain keyword, in quotes if need be. Nothing can stand for a quote: such a word cannot
    have been read."""
    return text if BARE.fullmatch(text) else f'"{text}"'


def seconds(ns: int) -> str:
    """Decimal seconds, exact to the microsecond: `5`, `0.25`."""
    whole, us = divmod(ns // NS_PER_US, 1_000_000)
    return f"{whole}.{us:06}".rstrip("0") if us else str(whole)


def command(argv: tuple[str, ...]) -> str:
    """The quoted argument of a script keyword: a command line in quotes, its own words quoted where they need it."""
    return f'"{_escaped(" ".join(map(_argument, argv)))}"'


def quoted(text: str) -> str:
    """`text` as one word of a keyword that is quoted like a command."""
    return f'"{_escaped(text)}"'


def script(value: Script) -> str:
    """`"COMMAND" [USER [GROUP]]`."""
    user = RISKY_BARE.sub(_octal, value.user)
    group = RISKY_BARE.sub(_octal, value.group)
    return f"{command(value.argv)} {owner(user, group, value.supplementary)}".rstrip()


def owner(user: str, group: str, supplementary: bool = False) -> str:
    """`USER [GROUP]`; `supplementary`: `USER :GROUP`, which asks for all groups of the user."""
    if user and group:
        return f"{user} :{group}" if supplementary else f"{user} {group}"
    return f":{group}" if group else user


def _argument(text: str) -> str:
    if text and not SPECIAL.search(text):
        return text
    return "'" + _escaped(text).replace("'", "\\047") + "'"


def _escaped(text: str) -> str:
    return RISKY.sub(lambda m: "\\\\" if m[0] == "\\" else _octal(m), text)


def _octal(match: re.Match[str]) -> str:
    return f"\\{ord(match[0]):03o}"


def method(forward: str, tunnel: Tunnel) -> str:
    """`NAT`, `TUN type gue port 6080 csum`."""
    if tunnel == Tunnel():
        return forward
    port = f" port {tunnel.port}" if tunnel.port else ""
    checksum = "" if tunnel.checksum == "nocsum" else f" {tunnel.checksum}"
    return f"{forward} type {tunnel.kind}{port}{checksum}"


def granularity(prefix: int, family: str) -> str:
    """A netmask for IPv4, a prefix length for IPv6; 0 is the whole address."""
    if family == "inet6":
        return str(prefix or 128)
    return str(IPv4Network((0, prefix or 32)).netmask)


class Page:
    """Lines of a configuration. `full`: also what is as it would be without the line."""

    def __init__(self, full: bool = False, secrets: bool = True, block: str = ROOT) -> None:
        self.full, self.secrets = full, secrets
        self.ca = ""  # what the block `SSL` says for all checks
        self.lines: list[str] = []
        self._indent = ""
        self._block = block

    def say(self, keyword: str, *values: object) -> None:
        """One statement."""
        self.lines.append(self._indent + " ".join([keyword, *map(str, values)]).rstrip())

    def unless(self, default: object, keyword: str, value: object, text: object = None) -> None:
        """A statement, if `value` is not what holds without it. `text`: how the value is written."""
        if value != default or self._in_full(keyword):
            self.say(keyword, value if text is None else text)

    def flag(self, keyword: str, value: bool, default: bool = False) -> None:
        """[BOOL]."""
        if value != default or self._in_full(keyword):
            self.say(keyword, "on" if value else "off")

    def _in_full(self, keyword: str) -> bool:
        """Whether a default is to be said: it is wanted, and the keyword has its meaning here."""
        known = TABLE.get(self._block, {}).get(keyword)
        return self.full and known is not None and known.status is Status.SUPPORTED

    def secret(self, keyword: str, value: str) -> None:
        """A password, readable only if it is wanted."""
        self.say(keyword, word(value) if self.secrets else HIDDEN)

    @contextmanager
    def block(self, *head: object) -> Iterator[None]:
        """The statements inside go into the block that `head` opens."""
        self.lines.append(self._indent + " ".join([*map(str, head), "{"]))
        before = self._indent, self._block
        opener = TABLE.get(self._block, {}).get(str(head[0]))
        self._indent, self._block = self._indent + "    ", opener.opens if opener else ""
        yield
        self._indent, self._block = before
        self.lines.append(self._indent + "}")

    def gap(self) -> None:
        if self.lines:
            self.lines.append("")
