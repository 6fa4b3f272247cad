"""The lines of `static_routes` and `virtual_routes`: [TYPE] [to] DEST [OPTION...], in free order."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

from fastha.config import values
from fastha.config.line import U32, Line, Wrong
from fastha.config.tree import shown
from fastha.model.routes import Encap, Metric, Nexthop, Route

# rtnetlink(7) RTN_*, as iproute2 spells them.
TYPES = (
    "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit", "throw", "nat",
    "xresolve",
)  # fmt: skip
DESTINATIONS = ("default", "default6", "any", "all")
TIME = re.compile(r"\d{1,10}(?:\.\d+)?(?:s|ms)?", re.A)  # no unit: the kernel's own, milliseconds times 8 or 4
MPLS = re.compile(r"\d{1,7}(?:/\d{1,7})*", re.A)
ILA = re.compile(r"[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){3}")
LABEL_LIMIT = 1 << 20  # RFC 3032 section 2.1: labels have 20 bits

# option -> (lowest, highest)
NUMBERS = {
    "metric": (0, U32), "priority": (0, U32), "preference": (0, U32), "hoplimit": (0, 255), "window": (0, U32),
    "initcwnd": (0, U32), "initrwnd": (0, U32), "quickack": (0, 1), "fastopen_no_cookie": (0, 1), "expires": (0, U32),
}  # fmt: skip
METRICS = ("mtu", "advmss", "reordering", "cwnd", "ssthresh")  # each may have `lock` before its number
TIMES = {"rtt": 8, "rttvar": 4, "rto_min": 1}  # the kernel's units in a millisecond
BARE = ("onlink", "no_track", "add", "append", "prepend")
# encap -> option -> (lowest, highest), None for an address of that family
ENCAP: dict[str, dict[str, tuple[int, int] | int]] = {
    "ip": {"id": (0, (1 << 64) - 1), "dst": 4, "src": 4, "tos": (0, 255), "ttl": (0, 255), "flags": (0, 65535)},
    "ip6": {"id": (0, (1 << 64) - 1), "dst": 6, "src": 6, "tc": (0, 255), "hoplimit": (0, 255), "flags": (0, 65535)},
}
ENCAP_FIELDS = {"id": "tunnel_id", "tc": "tos", "hoplimit": "ttl"}
OPTIONS = (
    *NUMBERS, *METRICS, *TIMES, *BARE, "inet", "inet6", "to", "src", "via", "gw", "from", "tos", "dsfield", "table",
    "protocol", "scope", "dev", "oif", "vrf", "congctl", "features", "realms", "pref", "ttl-propagate", "encap",
    "nexthop", "or", "as", "track_group",
)  # fmt: skip


class RouteLine:
    """What a line has said so far: `fields` of Route, or of the Nexthop that is being read (`into`)."""

    def __init__(self, line: Line, groups: bool) -> None:
        self.line = line
        self.groups = groups  # track_group may be said: static routes
        self.fields: dict[str, Any] = {}
        self.into = self.fields
        self.metrics: dict[str, Metric] = {}
        self.hops: list[Nexthop] = []
        self.others: list[str] = []  # `or ADDR`
        self.dest = ""

    def read(self) -> Route:
        line = self.line
        if line.peek in TYPES:
            self.fields["kind"] = line.take("")
        while line.more:
            word = line.peek
            if word in DESTINATIONS or _is_prefix(word):
                if self.dest:
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
        if not self.dest:
            raise Wrong(0, "the route has no destination")
        if self.fields.get("tracked", True) and (not self.fields.get("dev") or self.hops):
            # Watched is what has a device of its own, as keepalived says.
            line.warn("a route without dev is not watched", "dev IF, or no_track")
        return self.made()

    def made(self) -> Route:
        family = self.line.family or (6 if self.dest == "default6" else 4)
        if self.others:
            first = Nexthop(via=self.fields.pop("via", ""), dev=self.fields.get("dev", ""))
            self.hops = [first, *(Nexthop(via=via, dev=first.dev) for via in self.others)]
        nowhere = "0.0.0.0/0" if family == 4 else "::/0"
        return Route(
            family=family,
            dest=nowhere if self.dest in DESTINATIONS else _network(self.dest),
            metrics=tuple(self.metrics.values()),
            nexthops=tuple(self.hops),
            **self.fields,
        )

    def to(self) -> None:
        self.line.prefix("to", DESTINATIONS)
        self.dest = self.said

    @property
    def said(self) -> str:
        """The word that was taken last."""
        return self.line.words[self.line.at - 1]

    def option(self) -> None:
        line = self.line
        word = line.peek
        if word not in OPTIONS or (word == "track_group" and not self.groups):
            raise line.unknown("a route", OPTIONS)
        line.at += 1
        if word in NUMBERS:
            self.number(word, line.number(word, *NUMBERS[word]))
        elif word in METRICS:
            lock = bool(line.accept("lock"))
            self.metrics[word] = Metric(word, line.number(word), lock)
        elif word in TIMES:
            self.time(word)
        elif word in BARE:
            if word in ("onlink", "no_track"):
                self.into["tracked" if word == "no_track" else word] = word == "onlink"
            else:
                self.fields["operation"] = word
        else:
            MORE[word](self, word)
        if word in ("expires", "pref") and line.family == 4:
            raise line.wrong(f"{word} is for IPv6 routes")
        if word == "realms" and line.family == 6:
            raise line.wrong("realms is for IPv4 routes")

    def number(self, word: str, value: int) -> None:
        if word in ("metric", "priority", "preference"):
            self.fields["metric"] = value
        elif word == "expires":
            self.fields["expires_s"] = value
        else:
            self.metrics[word] = Metric(word, value)

    def time(self, word: str) -> None:
        line = self.line
        lock = bool(line.accept("lock"))
        if not TIME.fullmatch(line.take(word)):
            raise line.wrong(f"{word}: '{shown(self.said)}' is not a time", "N, Nms or Ns")
        text = self.said.removesuffix("s").removesuffix("m")
        ms = float(text) if self.said.endswith("ms") else float(text) * 1000
        value = round(ms * TIMES[word]) if text != self.said else int(float(text))
        if value > U32:
            raise line.wrong(f"{word}: '{shown(self.said)}' is too long")
        self.metrics[word] = Metric(word, value, lock)

    def via(self, word: str) -> None:
        if word == "gw":
            self.line.warn("gw is an older spelling of via")
        wanted = {"": 0, "inet": 4, "inet6": 6}[self.line.accept("inet", "inet6")]
        # `via inet6 ADDR` of an IPv4 route is what RFC 8950 needs; IPv6 has nothing like it.
        other = wanted == 6 and (self.line.family == 4 or (self.dest and "." in self.dest))
        self.line.address(word, wanted)
        if wanted and not other:
            self.line.settle(wanted, 0)
        self.into["via"] = _plain(self.said)

    def source(self, word: str) -> None:
        self.line.address(word)
        self.fields["src"] = _plain(self.said)

    def other(self, word: str) -> None:
        self.line.warn("or is an older spelling of nexthop")
        self.line.address(word)
        self.others.append(_plain(self.said))

    def from_(self, word: str) -> None:
        family = self.line.prefix(word, DESTINATIONS)
        if family == 4:
            raise self.line.wrong("from is for IPv6 routes")
        if family:
            self.fields["source"] = _network(self.said)

    def dev(self, word: str) -> None:
        self.into["dev"] = self.line.interface(word)

    def protocol(self, word: str) -> None:
        self.fields["protocol"] = self.line.named(word, "protos", 255)
        if self.said not in ("18", "keepalived"):
            self.line.warn("a route of another protocol is not watched", "no_track")

    def scope(self, word: str) -> None:
        self.fields["scope"] = self.line.scope(word)

    def table(self, word: str) -> None:
        self.fields["table"] = self.line.named(word, "tables", U32)

    def tos(self, word: str) -> None:
        self.fields["tos"] = self.line.unsigned(word, 255)

    def congctl(self, word: str) -> None:
        self.fields["congctl_lock"] = bool(self.line.accept("lock"))
        self.fields["congctl"] = self.line.take(word)

    def features(self, word: str) -> None:
        self.line.either(word, ("ecn",))
        self.metrics["features"] = Metric("features", 1)

    def realms(self, word: str) -> None:
        self.into["realms"] = self.line.realms(word)

    def pref(self, word: str) -> None:
        self.fields["pref"] = self.line.either(word, ("low", "medium", "high"))

    def propagate(self, word: str) -> None:
        self.fields["ttl_propagate"] = self.line.either(word, ("enabled", "disabled"))

    def vrf(self, word: str) -> None:
        self.fields["vrf"] = self.line.interface(word)

    def group(self, word: str) -> None:
        self.fields["track_group"] = self.line.take(word)

    def family(self, word: str) -> None:
        self.line.settle(4 if word == "inet" else 6, 0)

    def as_(self, word: str) -> None:
        self.line.accept("to")
        self.line.address("as to")
        self.line.warn("as to is for MPLS; it is ignored")

    def encap(self, word: str) -> None:
        line = self.line
        kind = line.either(word, ("ip", "ip6", "mpls", "ila"))
        fields: dict[str, Any] = {}
        if kind in ENCAP:
            while line.peek in ENCAP[kind]:
                option = line.take(kind)
                what = ENCAP[kind][option]
                if isinstance(what, int):
                    line.address(option, what)
                    fields[option] = _plain(self.said)
                else:
                    fields[ENCAP_FIELDS.get(option, option)] = line.unsigned(option, what[1])
            self.into["encap"] = Encap(kind, **fields)
            return
        text = line.take(kind)
        if kind == "mpls" and not (MPLS.fullmatch(text) and all(int(p) < LABEL_LIMIT for p in text.split("/"))):
            raise line.wrong(f"'{shown(text)}' is not a list of MPLS labels", "N/N/...")
        if kind == "ila" and not ILA.fullmatch(text):
            raise line.wrong(f"'{shown(text)}' is not an ILA locator", "H:H:H:H")
        self.into["encap"] = (
            Encap(kind, labels=tuple(map(int, text.split("/")))) if kind == "mpls" else Encap(kind, locator=text)
        )

    def nexthops(self) -> None:
        """`nexthop OPTION...`, several; they end the line."""
        line = self.line
        while line.accept("nexthop"):
            if not line.more:
                raise line.wrong("nexthop needs via or dev")
            self.into = {}
            while line.more and line.peek != "nexthop":
                word = line.peek
                if word not in NEXTHOP:
                    raise line.unknown("a nexthop", NEXTHOP)
                line.at += 1
                if word == "weight":
                    self.into["weight"] = line.number(word, 1, 256)
                elif word == "onlink":
                    self.into["onlink"] = True
                else:
                    MORE[word](self, word)
            self.hops.append(Nexthop(**self.into))
        self.into = self.fields


NEXTHOP = ("via", "gw", "dev", "oif", "weight", "onlink", "encap", "realms", "as")
MORE: dict[str, Callable[[RouteLine, str], None]] = {
    "via": RouteLine.via, "gw": RouteLine.via, "or": RouteLine.other, "from": RouteLine.from_,
    "dev": RouteLine.dev, "oif": RouteLine.dev, "src": RouteLine.source, "to": lambda route, word: route.to(),
    "protocol": RouteLine.protocol, "scope": RouteLine.scope, "table": RouteLine.table, "tos": RouteLine.tos,
    "dsfield": RouteLine.tos, "vrf": RouteLine.vrf, "congctl": RouteLine.congctl, "features": RouteLine.features,
    "realms": RouteLine.realms, "pref": RouteLine.pref, "ttl-propagate": RouteLine.propagate,
    "encap": RouteLine.encap, "as": RouteLine.as_, "inet": RouteLine.family, "inet6": RouteLine.family,
    "track_group": RouteLine.group,
}  # fmt: skip


def _is_prefix(word: str) -> bool:
    """Whether a word can only be a destination: it begins like an address."""
    return bool(re.match(r"[0-9a-fA-F]{0,4}[:.]|\d+/", word)) and word not in OPTIONS


def _network(word: str) -> str:
    """ADDR[/LEN], checked, in canonical form; bits beyond the length are dropped, as the kernel wants it."""
    return str(ip_network(word, strict=False))


def _plain(word: str) -> str:
    return str(values.parse_address(word))
