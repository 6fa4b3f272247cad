"""Forgetting the UDP flows of destinations that are gone (shell).

Connection tracking keeps a flow on its destination as long as packets come. A TCP connection to a dead server ends
by itself, but a client that sends datagrams from one port (syslog, RADIUS, a resolver) would reach the removed
server for ever. IPVS lets such a flow expire; here its entry is deleted, and the next datagram is spread anew.
"""

from __future__ import annotations

import errno
from collections.abc import Collection
from socket import IPPROTO_UDP
from typing import Any

from fastha.dataplane.rows import DestKey, ServiceKey, Table

SEPARATELY = 8  # up to so many services the kernel is asked for each port's flows, beyond for all UDP flows at once

Flows = dict[ServiceKey, set[DestKey]]


def lost_flows(before: Table, after: Table) -> Flows:
    """Destinations of UDP services that `after` no longer has (core).

    None in a family that `after` leaves without rows: without our table nothing is translated any more.
    """
    families = {key.family for key in after}
    lost = {
        key: row.dests.keys() - (after[key].dests if key in after else {})
        for key, row in before.items()
        if key.protocol == IPPROTO_UDP and key.family in families
    }
    return {key: dests for key, dests in lost.items() if dests}


def forget(flows: Flows) -> int:
    """Delete the connection tracking entries of these flows in this thread's network namespace; returns how many.

    OSError or pyroute2's NetlinkError (has `code`) if the kernel refuses.
    """
    # 0.2 s to load; most directors never come here.
    from pyroute2.netlink.exceptions import NetlinkError
    from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple, NFCTSocket

    gone = 0
    for family in {key.family for key in flows}:
        keys = [key for key in flows if key.family == family]
        with NFCTSocket(nfgen_family=family) as socket:
            # Not by address: the kernel compares IPv6 addresses the wrong way round (ctnetlink_filter_match_tuple).
            ports = {key.port for key in keys} if len(keys) <= SEPARATELY else {None}
            filters = [NFCTAttrTuple(family=family, proto=IPPROTO_UDP, dport=port) for port in ports]
            for wanted in filters:
                for entry in list(socket.dump(tuple_orig=wanted)):
                    original = NFCTAttrTuple.from_netlink(family, entry.get_attr("CTA_TUPLE_ORIG"))
                    reply = NFCTAttrTuple.from_netlink(family, entry.get_attr("CTA_TUPLE_REPLY"))
                    if not _is_lost(flows, family, original, reply):  # kernels before 5.8 do not filter
                        continue
                    try:
                        socket.entry("del", tuple_orig=original)
                        gone += 1
                    except NetlinkError as error:
                        if error.code != errno.ENOENT:  # it expired meanwhile
                            raise
    return gone


def _is_lost(flows: Flows, family: int, original: Any, reply: Any) -> bool:
    if original.proto != IPPROTO_UDP:
        return False
    dests: Collection[DestKey] = flows.get(ServiceKey(family, IPPROTO_UDP, original.daddr, original.dport), ())
    return DestKey(reply.saddr, reply.sport) in dests
