"""One line of a list, read word by word: what routes, rules, addresses and lists of names have in common.

A reader raises `Wrong` at the first word it cannot take; `lines.check_lines` makes that a fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from fastha.config import iproute, values
from fastha.config.near import meant
from fastha.config.tree import Faults, Statement, shown

UNSIGNED = re.compile(r"0[xX][0-9a-fA-F]{1,16}|\d{1,18}", re.A)  # as strtoul(3) with base 0, without octal's surprise
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
U32 = (1 << 32) - 1
# Kernel rtm_scope, linux/rtnetlink.h; the names are those of iproute2.
SCOPES = {"global": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255}


class Wrong(Exception):
    """The word at `index` is wrong."""

    def __init__(self, index: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.index, self.message, self.hint = index, message, hint


def as_number(word: str) -> int:
    """A word that UNSIGNED matches."""
    return int(word, 16 if word[:2] in ("0x", "0X") else 10)


def plain(block: Iterable[Statement], faults: Faults) -> Iterator[Statement]:
    """The statements of a list that are lines; a block among them is an error."""
    for statement in block:
        if statement.block is None:
            yield statement
        else:
            faults.error(statement.place(), f"'{shown(statement.words[0])}': no block can stand here")


class Line:
    """A cursor over the words of a statement. `family`: 4, 6, or 0 while no address has told it."""

    def __init__(self, statement: Statement, faults: Faults) -> None:
        self.statement = statement
        self.words = statement.words
        self.faults = faults
        self.at = 0
        self.family = 0

    @property
    def more(self) -> bool:
        return self.at < len(self.words)

    @property
    def peek(self) -> str:
        """The next word, "" at the end."""
        return self.words[self.at] if self.at < len(self.words) else ""

    def accept(self, *words: str) -> str:
        """Take the next word if it is one of these; "" if not."""
        if self.peek not in words or not self.more:
            return ""
        self.at += 1
        return self.words[self.at - 1]

    def take(self, option: str) -> str:
        """The next word, which is the value of `option`."""
        if not self.more:
            raise Wrong(self.at - 1, f"{option} needs a value")
        self.at += 1
        return self.words[self.at - 1]

    def wrong(self, message: str, hint: str = "") -> Wrong:
        """About the word that was taken last."""
        return Wrong(self.at - 1, message, hint)

    def warn(self, message: str, hint: str = "") -> None:
        """About the word that was taken last."""
        self.faults.warning(self.statement.place(max(self.at - 1, 0)), message, hint)

    def unknown(self, what: str, known: tuple[str, ...]) -> Wrong:
        """The next word is no option; the likeliest one is suggested."""
        return Wrong(self.at, f"'{shown(self.peek)}' is no option of {what}", meant(self.peek[:40], known))

    # -- values

    def number(self, option: str, low: int = 0, high: int = U32) -> int:
        """A decimal number."""
        word = self.take(option)
        if not values.INTEGER.fullmatch(word):
            raise self.wrong(f"{option}: '{shown(word)}' is not a whole number")
        if not low <= int(word) <= high:
            raise self.wrong(f"{option} must be {low} to {high}, not {shown(word)}")
        return int(word)

    def unsigned(self, option: str, high: int = U32) -> int:
        """A number, decimal or 0x..."""
        word = self.take(option)
        if not UNSIGNED.fullmatch(word):
            raise self.wrong(f"{option}: '{shown(word)}' is not a number")
        value = as_number(word)
        if value > high:
            raise self.wrong(f"{option} must be 0 to {high}, not {shown(word)}")
        return value

    def either(self, option: str, words: tuple[str, ...]) -> str:
        word = self.take(option)
        if word not in words:
            raise self.wrong(f"{option}: '{shown(word)}' is not {' or '.join(words)}")
        return word

    def named(self, option: str, kind: str, high: int) -> int:
        """A number, or a name that iproute2's files of this `kind` have."""
        word = self.take(option)
        if NAME.fullmatch(word):
            found = iproute.number(kind, word)
            if found is None:
                raise self.wrong(f"{option}: '{shown(word)}' is not in rt_{kind}", "/etc/iproute2 has the names")
            return found
        self.at -= 1
        return self.unsigned(option, high)

    def realms(self, option: str) -> int:
        """`[SOURCE/]DESTINATION`, as the kernel has it: (source << 16) | destination."""
        first, last = self.pair(option, "/", 0, 65535)
        return last if "/" not in self.words[self.at - 1] else first << 16 | last

    def address(self, option: str, family: int = 0) -> int:
        """An address; its family (4, 6), which is the line's from now on unless `family` says what it must be."""
        word = self.take(option)
        found = values.parse_address(word)
        if found is None:
            raise self.wrong(f"{option}: '{shown(word)}' is not an IP address")
        return self.settle(4 if isinstance(found, IPv4Address) else 6, family)

    def prefix(self, option: str, names: tuple[str, ...] = ()) -> int:
        """ADDR[/LEN] or one of `names`; its family, 0 for a name."""
        word = self.take(option)
        if word in names:
            return 0
        text, slash, length = word.partition("/")
        found = values.parse_address(text)
        if found is None:
            raise self.wrong(f"{option}: '{shown(text)}' is not an IP address")
        if slash and not (length.isascii() and length.isdigit() and int(length[:4]) <= found.max_prefixlen):
            raise self.wrong(f"{option}: '{shown(length)}' is not a prefix length (0 to {found.max_prefixlen})")
        return self.settle(4 if isinstance(found, IPv4Address) else 6, 0)

    def settle(self, found: int, wanted: int) -> int:
        """Both families in one line are a mistake."""
        if wanted:
            if found != wanted:
                raise self.wrong(f"'{shown(self.words[self.at - 1])}' is not an IPv{wanted} address")
            return found
        if self.family and found != self.family:
            raise self.wrong(f"IPv{found} and IPv{self.family} in one line")
        self.family = found
        return found

    def interface(self, option: str) -> str:
        word = self.take(option)
        if not values.is_interface(word):
            raise self.wrong(f"{option}: '{shown(word)}' is not an interface name")
        return word

    def scope(self, option: str) -> int:
        word = self.take(option)
        if word in SCOPES:
            return SCOPES[word]
        if not (UNSIGNED.fullmatch(word) and as_number(word) <= 255):
            raise self.wrong(f"'{shown(word)}' is not a scope", "global, site, link, host or 0 to 255")
        return as_number(word)

    def pair(self, option: str, between: str, low: int, high: int, both: bool = False) -> tuple[int, int]:
        """`A` or `A<between>B` (`both`: only that), each a number of low..high."""
        word = self.take(option)
        parts = word.split(between)
        good = all(UNSIGNED.fullmatch(p) and low <= as_number(p) <= high for p in parts)
        if not good or len(parts) > 2 or (both and len(parts) != 2):
            raise self.wrong(f"{option}: '{shown(word)}' is not {f'N{between}N' if both else f'[N{between}]N'}")
        return as_number(parts[0]), as_number(parts[-1])
