"""Which UDP flows are to be forgotten after a change."""

from __future__ import annotations

from socket import AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP

from fastha.dataplane.nft_conntrack import lost_flows
from fastha.dataplane.rows import Dest, DestKey, Forward, Service, ServiceKey, ServiceRow

DNS, WEB = (ServiceKey(AF_INET, protocol, "192.0.2.1", 53) for protocol in (IPPROTO_UDP, IPPROTO_TCP))
DNS6 = ServiceKey(AF_INET6, IPPROTO_UDP, "2001:db8::1", 53)
ONE, TWO = DestKey("198.51.100.1", 53), DestKey("198.51.100.2", 53)


def row(*keys: DestKey, weight: int = 1) -> ServiceRow:
    return ServiceRow(Service("rr"), {key: Dest(Forward.NAT, weight) for key in keys})


def test_only_destinations_that_are_gone_and_only_udp() -> None:
    before = {DNS: row(ONE, TWO), WEB: row(ONE, TWO)}
    assert lost_flows(before, {DNS: row(ONE), WEB: row(ONE)}) == {DNS: {TWO}}
    assert lost_flows(before, {DNS: row(ONE, TWO, weight=0), WEB: row()}) == {}  # weight 0 drains
    assert lost_flows(before, {WEB: row(ONE)}) == {DNS: {ONE, TWO}}


def test_nothing_where_our_table_goes() -> None:
    assert lost_flows({DNS: row(ONE)}, {}) == {}
    assert lost_flows({DNS: row(ONE), DNS6: row()}, {DNS6: row()}) == {}
