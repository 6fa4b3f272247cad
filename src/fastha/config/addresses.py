"""Blocks of addresses: `virtual_ipaddress` and `unicast_peer`."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from ipaddress import IPv4Address

from fastha.config import values
from fastha.config.keywords import TABLE
from fastha.config.tree import Faults, Statement, shown
from fastha.model import VirtualAddress

# Kernel rtm_scope, linux/rtnetlink.h; the names are those of iproute2.
SCOPES = {"global": 0, "universe": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255}
# Options that are known and have no effect yet: word -> how many words follow.
LATER = {
    "brd": 1, "broadcast": 1, "peer": 1, "home": 0, "-nodad": 0, "mngtmpaddr": 0, "noprefixroute": 0, "autojoin": 0,
    "preferred_lft": 1, "no_track": 0, "track_group": 1, "use_vmac": 0,
}  # fmt: skip
OPTIONS = ("dev", "label", "scope", *LATER)


def entries(block: list[Statement], faults: Faults) -> Iterator[Statement]:
    """One statement per address. On a line with braces several may follow one another: { 10.0.0.1 10.0.0.2 }."""
    for statement in block:
        if statement.block is not None:
            faults.error(statement.place(), f"'{shown(statement.words[0])}': no block can stand here")
            continue
        while statement.inline:
            again = next((i for i in range(1, len(statement.words)) if _begins(statement.words, i)), 0)
            if not again:
                break
            rest = statement.cut(again)
            yield statement
            statement = rest
        yield statement


def _begins(words: list[str], i: int) -> bool:
    takes_value = words[i - 1] in ("dev", "label", "scope", "min_ttl", "max_ttl") or LATER.get(words[i - 1], 0)
    return not takes_value and values.parse_address(words[i].partition("/")[0]) is not None


def build_addresses(block: list[Statement], faults: Faults) -> list[VirtualAddress]:
    """The addresses of a `virtual_ipaddress`; IPv6 is an error, for half an instance must never run."""
    out: list[VirtualAddress] = []
    seen: dict[tuple[str, int, str], Statement] = {}
    for statement in entries(block, faults):
        built = _address(statement, faults)
        if built is None:
            continue
        key = (built.ip, built.prefixlen, built.dev)
        if key in seen:
            faults.warning(statement.place(), f"{built} is there already", f"line {seen[key].line}")
            continue
        seen[key] = statement
        out.append(built)
    return out


def _address(statement: Statement, faults: Faults) -> VirtualAddress | None:
    words = statement.words
    text, slash, length = words[0].partition("/")
    ip = values.parse_address(text)
    if ip is None:
        faults.error(statement.place(), f"'{shown(text)}' is not an IP address", _why(text))
        return None
    if not isinstance(ip, IPv4Address):
        faults.error(statement.place(), "VRRP over IPv6 is not supported yet")
        return None
    if slash and not (length.isascii() and length.isdigit() and int(length) <= 32):
        faults.error(statement.place(), f"'{shown(length)}' is not a prefix length (0 to 32)")
        return None
    if ip.is_multicast or ip.is_unspecified:
        faults.error(statement.place(), f"{ip} cannot be the address of a router")
        return None
    dev = label = ""
    scope = 0
    i = 1
    while i < len(words):
        word = words[i]
        needs = LATER.get(word, 1 if word in OPTIONS else 0)
        if word not in OPTIONS:
            close = get_close_matches(word[:40], OPTIONS, n=1)
            faults.error(
                statement.place(i), f"'{shown(word)}' is no option of an address",
                f"did you mean {close[0]}?" if close else "one address per line",
            )  # fmt: skip
            return None
        if i + needs >= len(words):
            faults.error(statement.place(i), f"{word} needs a value")
            return None
        if word == "dev":
            dev = values.interface(statement, i + 1, faults) or ""
        elif word == "label":
            label = values.interface(statement, i + 1, faults) or ""  # the kernel's limit is that of names
        elif word == "scope":
            scope = _scope(statement, i + 1, faults)
        else:
            faults.not_supported(statement.place(i), f"address option {word} has no effect")
        i += 1 + needs
    return VirtualAddress(ip=str(ip), prefixlen=int(length) if slash else 32, dev=dev, label=label, scope=scope)


def _why(word: str) -> str:
    """A keyword among addresses: the block before it was not closed."""
    return "is a } missing before this line?" if any(word in known for known in TABLE.values()) else ""


def _scope(statement: Statement, index: int, faults: Faults) -> int:
    word = statement.words[index]
    if word in SCOPES:
        return SCOPES[word]
    if word.isascii() and word.isdigit() and len(word) < 4 and int(word) <= 255:
        return int(word)
    faults.error(statement.place(index), f"'{shown(word)}' is not a scope", "global, site, link, host or 0 to 255")
    return 0


def build_peers(block: list[Statement], faults: Faults) -> list[str]:
    """The addresses of a `unicast_peer`."""
    out: dict[str, Statement] = {}
    for statement in entries(block, faults):
        ip = values.address(statement, 0, faults)
        if ip is None:
            continue
        if not isinstance(ip, IPv4Address):
            faults.error(statement.place(), "VRRP over IPv6 is not supported yet")
            continue
        if str(ip) in out:
            faults.warning(statement.place(), f"{ip} is there already", f"line {out[str(ip)].line}")
            continue
        out[str(ip)] = statement
        for i, word in enumerate(statement.words[1:], 1):
            if word in ("min_ttl", "max_ttl"):
                faults.not_supported(statement.place(i), f"{word} has no effect")
            elif statement.words[i - 1] not in ("min_ttl", "max_ttl"):
                faults.error(statement.place(i), f"'{shown(word)}' is no option of a peer", "one address per line")
    return list(out)
