"""Configurations that say one small thing very often: every keyword of every block, every list, every kind of block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from fastha.config.keywords import FREE, TABLE, Keyword
from fastha.config.keywords.table import CHOICE, ROOT

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class Shape(NamedTuple):
    """`head`, then `one` very often: in it %n is a short name, %a an IPv4 address, %b a number of 1 to 255."""

    name: str
    head: str
    one: str

    def text(self, size: int) -> bytes:
        """About `size` bytes; blocks that are open at the end are closed."""
        out, room, number = [self.head], size - len(self.head), 0
        while room > 0:
            line = self.one
            if "%" in line:
                ip = f"{10 + (number >> 24)}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
                line = line.replace("%n", short(number)).replace("%a", ip).replace("%b", str(1 + number % 255))
            out.append(line)
            room -= len(line)
            number += 1
        text = "".join(out)
        return (text + "}" * (self.head.count("{") - self.head.count("}")) + "\n").encode()


class One:
    """The one file there is."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    def read(self, path: str) -> bytes:
        return self.text

    def glob(self, pattern: str) -> list[str]:
        return [pattern]


def short(number: int) -> str:
    """a, b ... z, 1a, 1b ..."""
    out = DIGITS[10 + number % 26]
    number //= 26
    while number:
        out, number = DIGITS[number % 36] + out, number // 36
    return out


WORDS = {
    "ADDR": "%a", "IF": "%n", "PORT": "%b", "N": "1", "SEC": "1", "s": "1", "ms": "1000", "us": "1", "BOOL": "on",
    "CMD": "a", "NAME": "%n", "PATH": "/%n", "USER": "a", "GROUP4": "224.0.0.18", "GROUP6": "ff02::12",
    "VS": "10.0.0.1", "REGEX": "a",
}  # fmt: skip
LINES = {
    "addresses": "%a", "static_addresses": "%a dev a", "routes": "%a dev a", "virtual_routes": "%a dev a",
    "rules": "from %a table 1", "virtual_rules": "from %a table 1", "peers": "%a", "track_virtual": "fwmark 1",
    "instances": "%n", "interfaces": "%n", "interface_delays": "%n 1", "linkbeat": "%n", "trackers": "%n",
    "emails": "%n", "members": "%a 1",
}  # fmt: skip
# What a block needs, so that it comes to something.
NEEDED = {
    "vrrp_script": "script a", "vrrp_track_process": "process a", "track_file": "file a",
    "bfd_instance": "neighbor_ip %a", "vrrp_instance": "interface %n\nvirtual_router_id %b",
    "virtual_server": "real_server %a 1{\n}", "virtual_server_group": "fwmark 1", "HTTP_GET": "url{\npath a\n}",
    "url": "path a", "MISC_CHECK": "misc_path a", "auth_hmac": "key 1 " + "a" * 64,
}  # fmt: skip


def value(keyword: Keyword) -> str:
    """The words that a keyword cannot do without."""
    words = [s.choices[0] if s.kind == CHOICE else WORDS.get(s.kind, "%n") for s in keyword.slots if not s.optional]
    if "N" in keyword.value.split() and (keyword.low or 1) > 1:
        words = [str(keyword.low) if w == "1" else w for w in words]
    return "".join(f" {w}" for w in words[: max(keyword.least, 0)])


def opening(keyword: Keyword) -> str:
    """Its line, and the { of its block."""
    line = {"virtual_server": "virtual_server %a 1", "real_server": "real_server %a 1"}.get(keyword.word)
    return (line or keyword.word + value(keyword)) + "{\n"


def filled(text: str) -> str:
    return text.replace("%n", "x").replace("%a", "10.9.9.9").replace("%b", "9")


def heads() -> dict[str, str]:
    """Block -> the lines that open it, from the top level."""
    out = {ROOT: ""}
    queue = [ROOT]
    for block in queue:
        for keyword in TABLE[block].values():
            if keyword.opens and keyword.opens not in out and not keyword.alias_of:
                needed = ""
                if block in NEEDED and not NEEDED[block].startswith(keyword.word):
                    needed = filled(NEEDED[block]) + "\n"
                out[keyword.opens] = out[block] + needed + filled(opening(keyword))
                if keyword.opens in TABLE:
                    queue.append(keyword.opens)
    return out


def blocks() -> Iterator[Shape]:
    """Every keyword that opens a block, empty and with what it needs; every list, one line after another."""
    for block, head in heads().items():
        if block in FREE:
            yield Shape(f"{block}", head, LINES.get(block, "%n") + "\n")
            continue
        for word, keyword in TABLE[block].items():
            if keyword.opens and not keyword.alias_of:
                yield Shape(f"{block}: {word} {{}}", head, opening(keyword) + "}\n")
                if keyword.opens in NEEDED:
                    yield Shape(f"{block}: {word}", head, opening(keyword) + NEEDED[keyword.opens] + "\n}\n")
                elif keyword.opens in FREE:
                    yield Shape(f"{block}: {word}", head, opening(keyword) + LINES.get(keyword.opens, "%n") + "\n}\n")


def keywords() -> Iterator[Shape]:
    """Every keyword without a block: as it should be, with a word that it cannot take, and with a block."""
    for block, head in heads().items():
        for word, keyword in TABLE[block].items() if block in TABLE else ():
            if not keyword.opens and not keyword.alias_of:
                yield Shape(f"{block}: {word}", head, f"{word}{value(keyword)}\n")
                yield Shape(f"{block}: {word} ?", head, f"{word} ?\n")
                yield Shape(f"{block}: {word} {{}}", head, f"{word}{value(keyword)}{{}}\n")


def lists() -> Iterator[Shape]:
    """Lines of lists that are wrong."""
    for block, head in heads().items():
        if block in FREE:
            yield Shape(f"{block} ?", head, "?\n")
            yield Shape(f"{block} {{}}", head, "a{}\n")


MEMBERS = "vrrp_instance %n{\ninterface a\nvirtual_router_id %b\n}\nvrrp_sync_group %n{\ngroup{\n%n\n}\n}\n"
# What is no line after another of one block, and text that is no configuration.
OTHERS = [
    Shape("whole instances", "", f"vrrp_instance %n{{\n{NEEDED['vrrp_instance']}\nvirtual_ipaddress{{\n%a\n}}\n}}\n"),
    Shape("instances and groups", "", MEMBERS),
    Shape("names on a line", "vrrp_instance x{\ntrack_interface{", "%n "),
    Shape("addresses on a line", "vrrp_instance x{\nvirtual_ipaddress{", "%a "),
    Shape("blocks on a line", "", "a{b}\n"),
    Shape("blocks on one line", "", "a{b}"),
    Shape("a list, often", "", "~LST(a,b,c)\n"),
    Shape("a list of lines", "", "~LST(a,b,c) d $a\n"),
    Shape("a long list", "~LST(a", ",b"),
    Shape("definitions", "", "$%n=a\n"),
    Shape("definitions in use", "$a=b\n", "$a\n"),
    Shape("a long definition", "$a=\\\n", "b\\\n"),
    Shape("conditions", "", "@a b\n"),
    Shape("letters", "", "a\n"),
    Shape("letters in a block", "global_defs {\n", "a\n"),
    Shape("words", "x ", "ab "),
    Shape("quotes", "", '"" "a"\n'),
    Shape("opened", "", "a{\n"),
    Shape("braces", "", "{"),
    Shape("NULs", "", "\0\n"),
]  # fmt: skip


def all_shapes() -> list[Shape]:
    return [*blocks(), *keywords(), *lists(), *OTHERS]
