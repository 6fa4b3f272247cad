"""Words -> numbers, times, addresses. Each returns None after reporting a fault at the word."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

from fastha.config.item import Item
from fastha.config.lexer import LexError, split_command
from fastha.config.tree import Faults, Statement, shown
from fastha.model import Script
from fastha.model.units import NS_PER_S, NS_PER_US

INTEGER = re.compile(r"[+-]?\d{1,18}", re.A)
SECONDS = re.compile(r"\+?(\d{1,9})?(?:\.(\d*))?", re.A)
IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(?:\.(?!$)|$)){4}")
TRUE = frozenset({"on", "true", "yes"})
FALSE = frozenset({"off", "false", "no"})
US_LIMIT = (1 << 32) - 1  # most times are 32 bit microseconds in keepalived
USER = re.compile(r"[a-z_][a-z0-9_.-]*\$?", re.A)  # what useradd(8) takes, and dots
IFNAMSIZ = 16  # linux/if.h, with the ending NUL


def number(item: Item, faults: Faults, index: int = 1, low: int | None = None, high: int | None = None) -> int | None:
    """The integer at word `index`, in the keyword's range (or `low`..`high`)."""
    keyword = item.keyword
    low, high = (keyword.low, keyword.high) if low is None else (low, high)
    word = item.statement.words[index]
    if not INTEGER.fullmatch(word):
        faults.error(item.statement.place(index), f"{keyword.word}: '{shown(word)}' is not a whole number")
        return None
    value = int(word)
    if (low is None or value >= low) and (high is None or value <= high):
        return value
    place = item.statement.place(index)
    span = f"{low} to {high}" if high is not None else f"at least {low}"
    if keyword.clamps:
        value = low if low is not None and value < low else high  # type: ignore[assignment]  # one of them is crossed
        faults.warning(place, f"{keyword.word} must be {span}, not {shown(word)}; {value} is used")
        return value
    faults.error(place, f"{keyword.word} must be {span}, not {shown(word)}")
    return None


def parse_seconds_us(word: str) -> int | None:
    """Decimal seconds -> microseconds, rounded half up at the seventh decimal; None if it is no such number."""
    match = SECONDS.fullmatch(word)
    if match is None or not (match[1] or match[2]):
        return None
    decimals = (match[2] or "")[:7].ljust(7, "0")
    return int(match[1] or 0) * 1_000_000 + (int(decimals) + 5) // 10


def seconds_ns(
    item: Item, faults: Faults, low_us: int | None = None, high_us: int | None = None, span: str = "", index: int = 1
) -> int | None:
    """Decimal seconds at word `index`, as nanoseconds, in the keyword's range (or `low_us`..`high_us`); `span` says
    the limits in words."""
    low_us = (item.keyword.low or 0) if low_us is None else low_us
    high_us = (US_LIMIT if item.keyword.high is None else item.keyword.high) if high_us is None else high_us
    word = item.statement.words[index]
    us = parse_seconds_us(word)
    if us is not None and low_us <= us <= high_us:
        return us * NS_PER_US
    place = item.statement.place(index)
    if us is not None and item.keyword.clamps and not low_us <= us <= high_us:
        us = low_us if us < low_us else high_us
        faults.warning(place, f"{item.keyword.word}: {shown(word)} is out of range; {us / 1e6:g} s is used")
    if us is None:
        faults.error(place, f"{item.keyword.word}: '{shown(word)}' is not a number of seconds")
        return None
    if not low_us <= us <= high_us:
        lowest = "more than 0 and up" if low_us == 1 else f"{low_us / 1e6:g}"
        span = span or f"{lowest} to {high_us / 1e6:g} s"
        faults.error(place, f"{item.keyword.word} must be {span}, not {shown(word)}")
        return None
    return us * NS_PER_US


def whole_seconds_ns(item: Item, faults: Faults) -> int | None:
    """A whole number of seconds, as nanoseconds."""
    value = number(item, faults)
    return None if value is None else value * NS_PER_S


def boolean(item: Item, faults: Faults) -> bool | None:
    """[BOOL]: nothing after the keyword means true."""
    if len(item.statement.words) == 1:
        return True
    word = item.statement.words[1]
    if word in TRUE or word in FALSE:
        return word in TRUE
    faults.error(item.statement.place(1), f"{item.keyword.word}: '{shown(word)}' is neither on nor off")
    return None


def parse_address(word: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(word)
    except ValueError:
        return None
    # A zone (fe80::1%eth0) is no part of keepalived's grammar.
    return None if isinstance(address, IPv6Address) and address.scope_id else address


def address(statement: Statement, index: int, faults: Faults) -> IPv4Address | IPv6Address | None:
    """The address at word `index`."""
    found = parse_address(statement.words[index])
    if found is None:
        faults.error(statement.place(index), f"'{shown(statement.words[index])}' is not an IP address")
    return found


def address_text(statement: Statement, index: int, faults: Faults) -> str | None:
    """The address at word `index` in its shortest form."""
    word = statement.words[index]
    if IPV4.fullmatch(word):
        return word
    found = address(statement, index, faults)
    return None if found is None else str(found)


def port(statement: Statement, index: int, faults: Faults, low: int = 1) -> int | None:
    """The port at word `index`."""
    word = statement.words[index]
    if INTEGER.fullmatch(word) and low <= int(word) <= 65535:
        return int(word)
    faults.error(statement.place(index), f"'{shown(word)}' is not a port ({low} to 65535)")
    return None


def is_interface(word: str) -> bool:
    return 0 < len(word.encode("utf-8", "replace")) < IFNAMSIZ and "/" not in word and word not in (".", "..")


def interface(statement: Statement, index: int, faults: Faults) -> str | None:
    """The interface name at word `index`."""
    word = statement.words[index]
    if is_interface(word):
        return word
    faults.error(statement.place(index), f"'{shown(word)}' is not an interface name", f"at most {IFNAMSIZ - 1} bytes")
    return None


def script(item: Item, faults: Faults) -> Script | None:
    """CMD [USER [[:]GROUP]]. The first word after the keyword is the whole command line."""
    words, statement = item.statement.words, item.statement
    try:
        argv = split_command(words[1])
    except LexError as e:
        faults.error(statement.place(1), f"{item.keyword.word}: {e}")
        return None
    if not argv or not argv[0]:
        faults.error(statement.place(1), f"{item.keyword.word}: the command is empty")
        return None
    user, group, supplementary = owner_and_groups(words[2:])
    if user.startswith(("-", "/")) or 2 in statement.quoted:
        faults.error(
            statement.place(2),
            f"{item.keyword.word}: '{shown(words[2])}' would be the user that runs it",
            "quote the whole command to give it arguments",
            code="unquoted-arguments",
        )
        return None
    if user and not USER.fullmatch(user):
        faults.warning(
            statement.place(2), f"{item.keyword.word}: '{shown(user)}' is the user that runs it",
            "quote the whole command to give it arguments", code="unquoted-arguments",
        )  # fmt: skip
    return Script(argv=tuple(argv), user=user, group=group, supplementary=supplementary)


def owner(words: list[str]) -> tuple[str, str]:
    """`USER`, `USER GROUP`, `USER :GROUP`, `USER:GROUP` -> (user, group)."""
    user, group = (words[0] if words else ""), (words[1] if len(words) > 1 else "")
    if not group and ":" in user:
        user, _, group = user.partition(":")
    return user, group.lstrip(":")


def owner_and_groups(words: list[str]) -> tuple[str, str, bool]:
    """`owner`, and whether `:GROUP` as a word of its own asks for all groups of the user."""
    return *owner(words), len(words) > 1 and words[1].startswith(":")


def parse_unsigned(word: str, high: int = (1 << 32) - 1) -> int | None:
    """A whole number of 1 to `high`; None if it is none."""
    return int(word) if INTEGER.fullmatch(word) and 1 <= int(word) <= high else None
