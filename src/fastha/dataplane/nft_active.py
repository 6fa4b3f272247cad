"""Live connections of the nft dataplane's destinations, counted in connection tracking (shell)."""

from __future__ import annotations

from collections.abc import Iterable
from socket import IPPROTO_TCP
from typing import Any

from fastha.dataplane.rows import DestKey, ServiceKey, Table

ESTABLISHED = 3  # TCP_CONNTRACK_ESTABLISHED, linux/netfilter/nf_conntrack_tcp.h


def active(table: Table) -> dict[tuple[ServiceKey, str], dict[str, int]]:
    """{"active": n} for every destination of these services: established TCP connections, tracked UDP flows, in this
    thread's network namespace. OSError if the kernel does not answer."""
    found = {(key, str(dest)): {"active": 0} for key, row in table.items() for dest in row.dests}
    if not found:
        return found
    # 0.2 s to load; most directors never come here.
    from pyroute2.netlink.exceptions import NetlinkError
    from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple, NFCTSocket

    try:
        for family in {key.family for key in table}:
            with NFCTSocket(nfgen_family=family) as socket:
                for protocol, port in {(key.protocol, key.port) for key in table if key.family == family}:
                    wanted = NFCTAttrTuple(family=family, proto=protocol, dport=port)
                    # One port after another, by its own filter; kernels before 5.8 do not filter, so look again.
                    _count(found, family, protocol, port, socket.dump(tuple_orig=wanted), NFCTAttrTuple)
    except NetlinkError as error:
        raise OSError(error.code, str(error)) from None
    return found


def _count(
    found: dict[tuple[ServiceKey, str], dict[str, int]],
    family: int,
    protocol: int,
    port: int,
    entries: Iterable[Any],
    attr_tuple: Any,
) -> None:
    for entry in entries:
        original = attr_tuple.from_netlink(family, entry.get_attr("CTA_TUPLE_ORIG"))
        if (original.proto, original.dport) != (protocol, port):
            continue
        if protocol == IPPROTO_TCP and _tcp_state(entry) != ESTABLISHED:
            continue
        reply = attr_tuple.from_netlink(family, entry.get_attr("CTA_TUPLE_REPLY"))
        key = ServiceKey(family, protocol, original.daddr, original.dport)
        if (counts := found.get((key, str(DestKey(reply.saddr, reply.sport))))) is not None:
            counts["active"] += 1


def _tcp_state(entry: Any) -> int | None:
    info = entry.get_attr("CTA_PROTOINFO")
    tcp = info.get_attr("CTA_PROTOINFO_TCP") if info is not None else None
    return tcp.get_attr("CTA_PROTOINFO_TCP_STATE") if tcp is not None else None
