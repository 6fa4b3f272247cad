"""The lines of `virtual_ipaddress`, `virtual_ipaddress_excluded` and `static_ipaddress`: ADDR[/LEN] [OPTION...]."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

from fastha.config import values
from fastha.config.line import Line, Wrong
from fastha.config.tree import shown
from fastha.lean import dataclass
from fastha.model.vrrp import FOREVER, NOT_SAID, VirtualAddress

FLAGS = {"home": "home", "-nodad": "nodad", "mngtmpaddr": "mngtmpaddr", "noprefixroute": "noprefixroute",
    "autojoin": "autojoin"}  # fmt: skip
WITH_VALUE = ("dev", "label", "scope", "brd", "broadcast", "peer", "preferred_lft", "track_group")
OPTIONS = (*WITH_VALUE, *FLAGS, "no_track", "use_vmac")


@dataclass(slots=True)
class AddressLine:
    """What a line says."""

    ip: IPv4Address | IPv6Address
    prefixlen: int
    dev: str = ""
    label: str = ""
    scope: int = 0
    broadcast: str = ""
    peer: str = ""
    flags: tuple[str, ...] = ()
    preferred_s: int = NOT_SAID
    tracked: bool = True
    track_group: str = ""
    vmac: bool = False

    def value(self) -> VirtualAddress:
        return VirtualAddress(
            str(self.ip), self.prefixlen, self.dev, self.label, self.scope, self.broadcast, self.peer, self.flags,
            self.preferred_s, self.tracked, self.track_group, self.vmac,
        )  # fmt: skip


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
                out.broadcast = _broadcast(line, option, out)
            case "peer":
                if slash:
                    raise line.wrong("an address with a peer has no prefix length of its own")
                line.prefix(option)
                line.settle(4 if ":" not in line.words[line.at - 1] else 6, 4 if four else 6)
                out.peer, out.prefixlen = _peer(line.words[line.at - 1])
            case "preferred_lft":
                out.preferred_s = FOREVER if line.accept("forever") else line.number(option)
            case "track_group":
                out.track_group = line.take(option)
            case "no_track":
                out.tracked = False
            case "use_vmac":
                out.vmac = True
            case flag if flag in FLAGS:
                out.flags += (FLAGS[flag],)
    return out


def _peer(word: str) -> tuple[str, int]:
    text, slash, length = word.partition("/")
    peer = ip_address(text)
    return str(peer), int(length) if slash else peer.max_prefixlen


def _broadcast(line: Line, option: str, out: AddressLine) -> str:
    """An address; + is the last one of the network, - the first."""
    if not isinstance(out.ip, IPv4Address):
        raise line.wrong("an IPv6 address has no broadcast address")
    if sign := line.accept("+", "-"):
        if out.prefixlen > 30:
            raise line.wrong(f"{option}: a network of /{out.prefixlen} has no broadcast address")
        network = IPv4Network((out.ip, out.prefixlen), strict=False)
        return str(network.broadcast_address if sign == "+" else network.network_address)
    line.address(option, 4)
    return line.words[line.at - 1]
