"""The words after a keyword against the value column of the keyword table: kind, unit, range, choice.

Builders read the values of keywords that have an effect. This is for all others: a mistake is found today, not on the
day the keyword gets its meaning. A kind is the capital word of the table's value column (`N`, `SEC`, `ADDR` ...).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

from fastha.config import values
from fastha.config.item import Item
from fastha.config.keywords.table import CHOICE, Slot
from fastha.config.near import meant
from fastha.config.tree import Faults, shown

Check = Callable[[Item, int, Faults], None]


def check_words(item: Item, faults: Faults) -> None:
    """Faults for the words of a statement whose number already fits its keyword."""
    words = item.statement.words
    at = 1
    for slot in item.keyword.slots:
        if at >= len(words):
            if not slot.optional:  # the optional word before it was there: `garp_extra_if all`
                faults.error(
                    item.statement.place(at), f"{item.keyword.word} needs a value",
                    f"{item.keyword.word} {item.keyword.value}",
                )  # fmt: skip
            return
        if slot.kind in LISTS:
            LISTS[slot.kind](item, faults)
            return
        if slot.many:
            for index in range(at, len(words)):
                _check(slot, item, index, faults)
            return
        last = slot is item.keyword.slots[-1]
        if slot.optional and slot.kind == CHOICE and words[at] not in slot.choices and not last:
            continue  # `[all] s`: the first word may be left out
        _check(slot, item, at, faults)
        at += 1


def _check(slot: Slot, item: Item, index: int, faults: Faults) -> None:
    if slot.kind == CHOICE:
        _choice(slot, item, index, faults)
    elif slot.kind in KINDS:
        KINDS[slot.kind](item, index, faults)


def _choice(slot: Slot, item: Item, index: int, faults: Faults) -> None:
    word = item.statement.words[index]
    if word in slot.choices:
        return
    if "N" in slot.choices:  # MTU|ADVERT|N, in any case
        if word.upper() in slot.choices:
            return
        if values.INTEGER.fullmatch(word):
            values.number(item, faults, index)
            return
    wanted = f"{', '.join(slot.choices[:-1])} or {slot.choices[-1]}" if len(slot.choices) > 1 else slot.choices[0]
    faults.error(
        item.statement.place(index), f"{item.keyword.word}: '{shown(word)}' is not {wanted}",
        meant(word[:40], slot.choices),
    )  # fmt: skip


def _number(item: Item, index: int, faults: Faults) -> None:
    values.number(item, faults, index)


def _seconds(item: Item, index: int, faults: Faults) -> None:
    values.seconds_ns(item, faults, index=index)


def _boolean(item: Item, index: int, faults: Faults) -> None:
    values.boolean(item, faults)


def _address(item: Item, index: int, faults: Faults) -> None:
    values.address(item.statement, index, faults)


def _group4(item: Item, index: int, faults: Faults) -> None:
    found = values.address(item.statement, index, faults)
    if found is not None and not (isinstance(found, IPv4Address) and found.is_multicast):
        faults.error(item.statement.place(index), f"{item.keyword.word}: {found} is not an IPv4 multicast address")


def _group6(item: Item, index: int, faults: Faults) -> None:
    found = values.address(item.statement, index, faults)
    if found is not None and not (isinstance(found, IPv6Address) and found.is_multicast):
        faults.error(item.statement.place(index), f"{item.keyword.word}: {found} is not an IPv6 multicast address")


def _interface(item: Item, index: int, faults: Faults) -> None:
    values.interface(item.statement, index, faults)


def _port(item: Item, index: int, faults: Faults) -> None:
    values.port(item.statement, index, faults)


def _command(item: Item, index: int, faults: Faults) -> None:
    values.script(item, faults)


def _comm(item: Item, index: int, faults: Faults) -> None:
    word = item.statement.words[index]
    if len(word.encode("utf-8", "replace")) > COMM:
        faults.warning(item.statement.place(index), f"{item.keyword.word}: only the first {COMM} bytes count")


def _mask(item: Item, faults: Faults) -> None:
    """A number up to 0777 as C writes it (22 is 026), or the names of bits of sys/stat.h joined by |."""
    words = item.statement.words[1:]
    names = [name for word in words for name in word.split("|") if name]
    if words[0][:1].isdigit():
        if len(words) > 1 or c_number(words[0]) not in range(0o1000):
            hint = "an octal number begins with 0"
            faults.error(item.statement.place(1), f"umask: '{shown(' '.join(words))}' is not 0 to 0777", hint)
        return
    for name in names:
        if name not in BITS:
            faults.error(item.statement.place(1), f"umask: '{shown(name)}' is no bit", "such as IRWXG|IRWXO")
            return


def c_number(word: str) -> int | None:
    """0x1f, 037 or 31, as strtol with base 0 reads it; None if it is none of them."""
    found = C_NUMBER.fullmatch(word[:20])
    if found is None:
        return None
    return int(found["x"], 16) if found["x"] else int(found["o"] or "0", 8) if found["d"] is None else int(found["d"])


def _include_check(item: Item, faults: Faults) -> None:
    """[+|-] TYPE...; a sign may stand by itself. A second type without a sign replaces nothing: a mistake."""
    bare = 0
    for index, word in enumerate(item.statement.words[1:], 1):
        name = word.removeprefix("+") if word[:1] == "+" else word.removeprefix("-")
        signed = name != word
        if not name and signed:
            continue
        if name not in CHECKS:
            faults.error(item.statement.place(index), f"include_check: '{shown(name)}' is not {', '.join(CHECKS)}")
        bare += not signed and item.statement.words[index - 1] not in ("+", "-")
        if bare > 1 and not signed:
            faults.warning(
                item.statement.place(index), f"include_check: '{shown(word)}' replaces the one before it", "+"
            )


def _vmac(item: Item, faults: Faults) -> None:
    """[[name] IF] [MAC] [netlink_notify_msg] [group G]."""
    _interface_words(item, faults, "MAC address", lambda word: ":" in word, _is_mac)
    for index, word in enumerate(item.statement.words):
        octets = [o.lower().zfill(2) for o in word.split(":")]
        if len(octets) == 6 and octets[:4] == ["00", "00", "5e", "00"]:  # RFC 9568 section 7.3
            faults.warning(
                item.statement.place(index), f"use_vmac: {shown(word)} is of the range of VRRP; it is ignored"
            )


def _ipvlan(item: Item, faults: Faults) -> None:
    """[[name] IF] [ADDR[/LEN]] [bridge|private|vepa] [group G]."""
    _interface_words(
        item, faults, "address", lambda word: values.parse_address(word.partition("/")[0]) is not None,
        lambda word: True,
    )  # fmt: skip


def _interface_words(
    item: Item, faults: Faults, what: str, looks: Callable[[str], bool], good: Callable[[str], bool]
) -> None:
    statement, words = item.statement, item.statement.words
    said: set[str] = set()
    index = 1
    while index < len(words):
        word, kind = words[index], ""
        if word in ("netlink_notify_msg", "bridge", "private", "vepa") and word in MODES[item.name]:
            kind = "mode"
        elif word in ("name", "group") and index + 1 < len(words):
            index += 1
            kind = "name" if word == "name" else "group"
        elif looks(word):
            kind = what
            if not good(word):
                faults.error(statement.place(index), f"{item.keyword.word}: '{shown(word)}' is not a {what}")
        else:
            kind = "name"
        if kind == "name":
            values.interface(statement, index, faults)
        if kind in said:
            faults.error(statement.place(index), f"{item.keyword.word}: a second {kind}, '{shown(words[index])}'")
        said.add(kind)
        index += 1


def _is_mac(word: str) -> bool:
    """Six octets, or five: the last one is then the VRID."""
    octets = word.split(":")
    return len(octets) in (5, 6) and all(OCTET.fullmatch(o) for o in octets)


COMM = 15  # linux/sched.h: TASK_COMM_LEN, without the ending NUL
C_NUMBER = re.compile(r"0[xX](?P<x>[0-9a-fA-F]+)|0(?P<o>[0-7]*)|(?P<d>[1-9][0-9]*)")
OCTET = re.compile(r"[0-9a-fA-F]{1,2}")
BITS = frozenset(f"I{right}{who}" for right in ("R", "W", "X") for who in ("USR", "GRP", "OTH")) | {
    "IRWXU", "IRWXG", "IRWXO",
}  # fmt: skip
CHECKS = ("read", "match", "wildcard_match", "brace_match", "all")
MODES = {"use_vmac": ("netlink_notify_msg",), "use_ipvlan": ("bridge", "private", "vepa")}
LISTS: dict[str, Callable[[Item, Faults], None]] = {
    "MASK": _mask,
    "CHECK": _include_check,
    "VMAC": _vmac,
    "IPVLAN": _ipvlan,
}
KINDS: dict[str, Check] = {
    "N": _number,
    "s": _number,
    "ms": _number,
    "us": _number,
    "SEC": _seconds,
    "BOOL": _boolean,
    "ADDR": _address,
    "GROUP4": _group4,
    "GROUP6": _group6,
    "IF": _interface,
    "PORT": _port,
    "CMD": _command,
    "COMM": _comm,
}
