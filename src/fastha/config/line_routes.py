"""The lines of `static_routes` and `virtual_routes`: [TYPE] [to] DEST [OPTION...], in free order."""

from __future__ import annotations

import re
from collections.abc import Callable

from fastha.config.line import U32, Line, Wrong
from fastha.config.tree import shown

# rtnetlink(7) RTN_*, as iproute2 spells them.
TYPES = (
    "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit", "throw", "nat",
    "xresolve",
)  # fmt: skip
NOWHERE = ("blackhole", "unreachable", "prohibit", "throw")
DESTINATIONS = ("default", "default6", "any", "all")
TIME = re.compile(r"\d{1,10}(?:\.\d+)?(?:s|ms)?", re.A)  # no unit: the kernel's own, milliseconds times 8 or 4
MPLS = re.compile(r"\d{1,7}(?:/\d{1,7})*", re.A)
ILA = re.compile(r"[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){3}")
LABEL_LIMIT = 1 << 20  # RFC 3032 section 2.1: labels have 20 bits

# option -> (lowest, highest); of METRICS each may have `lock` before its number
NUMBERS = {
    "metric": (0, U32), "priority": (0, U32), "preference": (0, U32), "hoplimit": (0, 255), "window": (0, U32),
    "initcwnd": (0, U32), "initrwnd": (0, U32), "quickack": (0, 1), "fastopen_no_cookie": (0, 1), "expires": (0, U32),
}  # fmt: skip
METRICS = ("mtu", "advmss", "reordering", "cwnd", "ssthresh")
TIMES = ("rtt", "rttvar", "rto_min")
BARE = ("onlink", "no_track", "add", "append", "prepend")
# encap -> option -> (lowest, highest), None for an address of that family
ENCAP: dict[str, dict[str, tuple[int, int] | int]] = {
    "ip": {"id": (0, (1 << 64) - 1), "dst": 4, "src": 4, "tos": (0, 255), "ttl": (0, 255), "flags": (0, 65535)},
    "ip6": {"id": (0, (1 << 64) - 1), "dst": 6, "src": 6, "tc": (0, 255), "hoplimit": (0, 255), "flags": (0, 65535)},
}
OPTIONS = (
    *NUMBERS, *METRICS, *TIMES, *BARE, "inet", "inet6", "to", "src", "via", "gw", "from", "tos", "dsfield", "table",
    "protocol", "scope", "dev", "oif", "vrf", "congctl", "features", "realms", "pref", "ttl-propagate", "encap",
    "nexthop", "or", "as", "track_group",
)  # fmt: skip


class Route:
    """What a line has said so far."""

    def __init__(self, line: Line, groups: bool) -> None:
        self.line = line
        self.groups = groups  # track_group may be said: static routes
        self.destination = False
        self.kind = ""
        self.device = False
        self.tracked = True
        self.gateways = 0

    def read(self) -> None:
        line = self.line
        if line.peek in TYPES:
            self.kind = line.take("")
        while line.more:
            word = line.peek
            if word in DESTINATIONS or _is_prefix(word):
                if self.destination:
                    raise Wrong(line.at, "a second destination", "one route per line")
                self.to()
            elif word == "to":
                line.at += 1
                self.to()
            elif word == "nexthop":
                self.nexthops()
                break
            else:
                self.option()
        if not self.destination:
            raise Wrong(0, "the route has no destination")
        if self.tracked and not self.device:
            line.warn("a route without dev is not watched", "dev IF, or no_track")

    def to(self) -> None:
        self.line.prefix("to", DESTINATIONS)
        self.destination = True

    def option(self) -> None:
        line = self.line
        word = line.peek
        if word not in OPTIONS or (word == "track_group" and not self.groups):
            raise line.unknown("a route", OPTIONS)
        line.at += 1
        if word in NUMBERS:
            line.number(word, *NUMBERS[word])
        elif word in METRICS:
            line.accept("lock")
            line.number(word)
        elif word in TIMES:
            line.accept("lock")
            if not TIME.fullmatch(line.take(word)):
                raise line.wrong(f"{word}: '{shown(line.words[line.at - 1])}' is not a time", "N, Nms or Ns")
        elif word not in BARE:
            MORE[word](self, word)
        self.tracked = self.tracked and word != "no_track"
        if word in ("expires", "pref") and line.family == 4:
            raise line.wrong(f"{word} is for IPv6 routes")
        if word == "realms" and line.family == 6:
            raise line.wrong("realms is for IPv4 routes")

    def via(self, word: str) -> None:
        if word == "gw":
            self.line.warn("gw is an older spelling of via")
        wanted = {"": 0, "inet": 4, "inet6": 6}[self.line.accept("inet", "inet6")]
        self.line.address(word, wanted)
        if wanted:
            self.line.settle(wanted, 0)
        self.gateways += 1

    def source(self, word: str) -> None:
        self.line.address(word)

    def other(self, word: str) -> None:
        self.line.warn("or is an older spelling of nexthop")
        self.line.address(word)

    def from_(self, word: str) -> None:
        if self.line.prefix(word, DESTINATIONS) == 4:
            raise self.line.wrong("from is for IPv6 routes")

    def dev(self, word: str) -> None:
        self.line.interface(word)
        self.device = True

    def protocol(self, word: str) -> None:
        name = self.line.name_or_number(word, 255)
        if name not in ("18", "keepalived"):
            self.line.warn("a route of another protocol is not watched", "no_track")

    def scope(self, word: str) -> None:
        self.line.scope(word)

    def table(self, word: str) -> None:
        self.line.name_or_number(word, U32)

    def tos(self, word: str) -> None:
        self.line.unsigned(word, 255)

    def congctl(self, word: str) -> None:
        self.line.accept("lock")
        self.line.take(word)

    def features(self, word: str) -> None:
        self.line.either(word, ("ecn",))

    def realms(self, word: str) -> None:
        self.line.pair(word, "/", 0, 65535)

    def pref(self, word: str) -> None:
        self.line.either(word, ("low", "medium", "high"))

    def propagate(self, word: str) -> None:
        self.line.either(word, ("enabled", "disabled"))

    def name(self, word: str) -> None:
        self.line.take(word)

    def family(self, word: str) -> None:
        self.line.settle(4 if word == "inet" else 6, 0)

    def as_(self, word: str) -> None:
        self.line.accept("to")
        self.line.address("as to")
        self.line.warn("as to is for MPLS; it is ignored")

    def encap(self, word: str) -> None:
        line = self.line
        kind = line.either(word, ("ip", "ip6", "mpls", "ila"))
        if kind in ENCAP:
            while line.peek in ENCAP[kind]:
                option = line.take(kind)
                what = ENCAP[kind][option]
                if isinstance(what, int):
                    line.address(option, what)
                else:
                    line.unsigned(option, what[1])
            return
        text = line.take(kind)
        if kind == "mpls" and not (MPLS.fullmatch(text) and all(int(p) < LABEL_LIMIT for p in text.split("/"))):
            raise line.wrong(f"'{shown(text)}' is not a list of MPLS labels", "N/N/...")
        if kind == "ila" and not ILA.fullmatch(text):
            raise line.wrong(f"'{shown(text)}' is not an ILA locator", "H:H:H:H")

    def nexthops(self) -> None:
        """`nexthop OPTION...`, several; they end the line."""
        line = self.line
        while line.accept("nexthop"):
            if not line.more:
                raise line.wrong("nexthop needs via or dev")
            while line.more and line.peek != "nexthop":
                word = line.peek
                if word not in NEXTHOP:
                    raise line.unknown("a nexthop", NEXTHOP)
                line.at += 1
                if word == "weight":
                    line.number(word, 1, 256)
                elif word != "onlink":
                    MORE[word](self, word)
        # Watched is what has a device of its own, as keepalived says.
        self.device = False


NEXTHOP = ("via", "gw", "dev", "oif", "weight", "onlink", "encap", "realms", "as")
MORE: dict[str, Callable[[Route, str], None]] = {
    "via": Route.via, "gw": Route.via, "or": Route.other, "from": Route.from_, "dev": Route.dev, "oif": Route.dev,
    "src": Route.source, "to": lambda route, word: route.to(),
    "protocol": Route.protocol, "scope": Route.scope, "table": Route.table, "tos": Route.tos, "dsfield": Route.tos,
    "vrf": Route.name, "congctl": Route.congctl, "features": Route.features, "realms": Route.realms,
    "pref": Route.pref, "ttl-propagate": Route.propagate, "encap": Route.encap, "as": Route.as_,
    "inet": Route.family, "inet6": Route.family, "track_group": Route.name,
}  # fmt: skip


def _is_prefix(word: str) -> bool:
    """Whether a word can only be a destination: it begins like an address."""
    return bool(re.match(r"[0-9a-fA-F]{0,4}[:.]|\d+/", word)) and word not in OPTIONS
