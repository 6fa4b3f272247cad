"""`url` of HTTP_GET and SSL_GET -> HttpUrl."""

from __future__ import annotations

import re

from fastha.config import values
from fastha.config.item import Item
from fastha.config.near import meant
from fastha.config.shape import items
from fastha.config.tree import Faults, Statement, shown
from fastha.lean import dataclass, field
from fastha.model import HttpUrl, Regex
from fastha.pcre2 import OPTIONS, Expression

DIGEST = re.compile(r"[0-9a-fA-F]{32}", re.A)
STATUS = re.compile(r"(\d{3})(?:-(\d{3}))?", re.A)


@dataclass(slots=True)
class _Regex:
    """The words about an expression; `at`: the first of them."""

    at: Statement | None = None
    pattern_at: Statement | None = None
    negated: bool = False
    options: set[str] = field(default_factory=set)
    min_offset: int = 0
    max_offset: int = 0


def build_url(statement: Statement, block: str, faults: Faults, compliant: bool = False) -> HttpUrl | None:
    """`block`: "url" or "ssl_url"; `compliant`: what the check says about tls_compliant."""
    path = digest = virtualhost = ""
    status: list[tuple[int, int]] = []
    regex = _Regex()
    for item in items(statement.block or [], block, faults):
        word, place = item.statement.words[min(1, len(item.statement.words) - 1)], item.statement.place(1)
        match item.name:
            case "path":
                path = word
                if any(c <= " " or c == "\x7f" for c in word):
                    faults.error(place, "a path cannot hold blanks or control characters", "write them as %20")
            case "digest":
                digest = word.lower()
                if not DIGEST.fullmatch(word):
                    faults.error(place, f"digest '{shown(word)}' is not 32 hexadecimal digits")
            case "status_code":
                status += _status(item.statement, faults)
            case "virtualhost":
                virtualhost = word
            case "tls_compliant":
                compliant = bool(values.boolean(item, faults))
            case _:
                _regex_word(item, regex, faults)
    if not path:
        faults.error(statement.place(), "url without a path", "path /")
        return None
    ranges = tuple(sorted(set(status))) or ((200, 299),)
    return HttpUrl(
        path=path, status=ranges, digest=digest, virtualhost=virtualhost, regex=_regex(regex, faults),
        tls_compliant=compliant,
    )  # fmt: skip


def _status(statement: Statement, faults: Faults) -> list[tuple[int, int]]:
    out = []
    for i, word in enumerate(statement.words[1:], 1):
        match = STATUS.fullmatch(word)
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 100 <= low <= high <= 599:
            faults.error(
                statement.place(i), f"'{shown(word)}' is not a status code or range", "100 to 599: 200 301-303"
            )
            continue
        out.append((low, high))
    return out


def _regex_word(item: Item, regex: _Regex, faults: Faults) -> None:
    statement = item.statement
    regex.at = regex.at or statement
    match item.name:
        case "regex":
            if regex.pattern_at is not None:
                faults.warning(statement.place(), "a url has one regex: this one is used")
            if len(statement.words) > 2:
                faults.error(statement.place(2), "regex takes one expression", "quote the whole of it")
            regex.pattern_at = statement
        case "regex_no_match":
            regex.negated = True
        case "regex_options":
            for i, word in enumerate(statement.words[1:], 1):
                if word in OPTIONS:
                    regex.options.add(word)
                    continue
                faults.error(
                    statement.place(i), f"'{shown(word)}' is not an option of regex",
                    meant(word, OPTIONS) or "words of pcre2api(3): caseless dotall multiline utf ...",
                )  # fmt: skip
        case "regex_min_offset":
            regex.min_offset = values.number(item, faults) or 0
        case "regex_max_offset":
            regex.max_offset = values.number(item, faults) or 0
        case "regex_stack":
            faults.warning(statement.place(), "regex_stack has no effect: no stack is set aside for expressions")


def _regex(regex: _Regex, faults: Faults) -> Regex | None:
    """The expression, compiled once to see that it can be."""
    at = regex.pattern_at
    if at is None:
        if regex.at is not None:
            faults.error(regex.at.place(), f"{regex.at.words[0]} without a regex")
        return None
    if regex.max_offset and regex.min_offset > regex.max_offset:
        faults.error(at.place(), f"regex_min_offset {regex.min_offset} is above regex_max_offset {regex.max_offset}")
    try:
        Expression(at.words[1], regex.options)
    except ValueError as error:
        faults.error(at.place(1), f"regex '{shown(at.words[1])}': {error}")
    except OSError as error:
        faults.error(at.place(1), f"regex: this machine has no PCRE2 ({error})", "install libpcre2-8-0")
    return Regex(
        pattern=at.words[1], negated=regex.negated, options=tuple(sorted(regex.options)),
        min_offset=regex.min_offset, max_offset=regex.max_offset,
    )  # fmt: skip
