"""The lines of `virtual_ipaddress`, `virtual_ipaddress_excluded` and `static_ipaddress`: ADDR[/LEN] [OPTION...]."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from fastha.config import values
from fastha.config.line import Line, Wrong
from fastha.config.tree import shown
from fastha.lean import dataclass

FLAGS = ("home", "-nodad", "mngtmpaddr", "noprefixroute", "autojoin", "no_track")
EFFECTIVE = ("dev", "label", "scope")
WITH_VALUE = (*EFFECTIVE, "brd", "broadcast", "peer", "preferred_lft", "track_group")
OPTIONS = (*WITH_VALUE, *FLAGS, "use_vmac")


@dataclass(slots=True)
class AddressLine:
    """What a line says. `without_effect`: (word index, option) of those that have none yet."""

    ip: IPv4Address | IPv6Address
    prefixlen: int
    dev: str = ""
    label: str = ""
    scope: int = 0
    without_effect: tuple[tuple[int, str], ...] = ()


def begins(words: list[str], i: int) -> bool:
    """Whether word `i` of a line can be the address of a further entry."""
    return words[i - 1] not in WITH_VALUE and values.parse_address(words[i].partition("/")[0]) is not None


def read_address(line: Line, static: bool = False) -> AddressLine:
    """Read one address. `static`: of static_ipaddress, which may name a track_group but no VMAC."""
    text, slash, length = line.take("").partition("/")
    ip = values.parse_address(text)
    if ip is None:
        raise line.wrong(f"'{shown(text)}' is not an IP address")
    if slash and not (length.isascii() and length.isdigit() and int(length[:4]) <= ip.max_prefixlen):
        raise line.wrong(f"'{shown(length)}' is not a prefix length (0 to {ip.max_prefixlen})")
    out = AddressLine(ip, int(length) if slash else ip.max_prefixlen)
    four = isinstance(ip, IPv4Address)
    said: set[str] = set()
    while line.more:
        option = line.peek
        if option not in OPTIONS or option == ("use_vmac" if static else "track_group"):
            wrong = line.unknown("an address", OPTIONS)
            raise Wrong(wrong.index, wrong.message, wrong.hint or "one address per line")
        line.at += 1
        at = line.at - 1
        if option in said:
            raise line.wrong(f"a second {option}")
        said.add(option)
        match option:
            case "dev":
                out.dev = line.interface(option)
            case "label":
                out.label = line.interface(option)  # the kernel's limit is that of names
                if not four:
                    raise line.wrong("an IPv6 address has no label")
            case "scope":
                out.scope = line.scope(option)
            case "brd" | "broadcast":
                _broadcast(line, option, four, out.prefixlen)
            case "peer":
                if slash:
                    raise line.wrong("an address with a peer has no prefix length of its own")
                line.address(option, 4 if four else 6)
            case "preferred_lft":
                if not line.accept("forever"):
                    line.number(option)
            case "track_group":
                line.take(option)
        if option not in EFFECTIVE:
            out.without_effect += ((at, option),)
    return out


def _broadcast(line: Line, option: str, four: bool, prefixlen: int) -> None:
    if not four:
        raise line.wrong("an IPv6 address has no broadcast address")
    if line.accept("+", "-"):
        if prefixlen > 30:
            raise line.wrong(f"{option}: a network of /{prefixlen} has no broadcast address")
        return
    line.address(option, 4)
