"""A damaged service is taken away piece by piece and written anew; the others are not named."""

from __future__ import annotations

from socket import AF_INET, IPPROTO_TCP, IPPROTO_UDP

from fastha.dataplane.nft_mend import Remains, mend_family
from fastha.dataplane.rows import Dest, DestKey, Forward, Service, ServiceKey, ServiceRow

KEY = ServiceKey(AF_INET, IPPROTO_TCP, "192.0.2.1", 80)
OTHER = ServiceKey(AF_INET, IPPROTO_UDP, "192.0.2.1", 53)
TO, STRAY = DestKey("198.51.100.1", 8080), DestKey("198.51.100.9", 8080)
ROW = ServiceRow(Service("rr"), {TO: Dest(Forward.NAT, 1)})
BEGIN = [
    "add chain ip fastha svc_tcp_192.0.2.1_80",
    "add rule ip fastha svc_tcp_192.0.2.1_80",
    "add rule ip fastha svc_tcp_192.0.2.1_80 drop",
    "add element ip fastha dests",
    "add element ip fastha addresses",
    "add element ip fastha services",
]


def lines(after: dict[ServiceKey, ServiceRow], left: Remains) -> list[str]:
    text = mend_family(AF_INET, {KEY: ROW, OTHER: ROW}, after | {OTHER: ROW}, {KEY: left})
    assert "udp" not in text
    return [line.split(" { ")[0].split(" meta ")[0] for line in text.splitlines() if line]


def test_nothing_left() -> None:
    assert lines({KEY: ROW}, Remains(False, False, False, frozenset())) == BEGIN


def test_everything_left() -> None:
    assert lines({KEY: ROW}, Remains(True, True, True, frozenset({TO, STRAY}))) == [
        "delete element ip fastha services",
        "delete element ip fastha addresses",
        "delete element ip fastha dests",
        "flush chain ip fastha svc_tcp_192.0.2.1_80",
        *BEGIN,
    ]


def test_not_wanted_any_more() -> None:
    assert lines({}, Remains(False, True, True, frozenset())) == [
        "delete element ip fastha addresses",
        "flush chain ip fastha svc_tcp_192.0.2.1_80",
        "delete chain ip fastha svc_tcp_192.0.2.1_80",
    ]
