"""What the nft dataplane cannot carry, and what it carries differently (core). docs/dataplanes.md tells the user."""

from __future__ import annotations

import errno
from ipaddress import ip_address

from fastha.dataplane.nft_rules import PROTOCOLS, WORDS
from fastha.dataplane.nft_slots import APPROXIMATED, SCHEDULERS
from fastha.dataplane.rows import Forward, Op, ServiceFlag, ServiceKey, Verb
from fastha.model import RealServer, SorryServer, VirtualServer

FLAGS = frozenset({"sh-port", "sh-fallback", "mh-port", "mh-fallback"})


def refuse(server: VirtualServer) -> str:
    """The first reason why nftables cannot carry `server`, or ""."""
    if server.fwmark or any(m.fwmark for m in server.members):
        return "the nft dataplane cannot balance a firewall mark"
    if server.protocol not in ("TCP", "UDP"):
        return f"the nft dataplane cannot balance {server.protocol}"
    if not all([m.port for m in server.members] or [server.port]):
        return "the nft dataplane cannot balance all ports of an address (port 0)"
    if server.scheduler not in SCHEDULERS:
        return f"the nft dataplane has no scheduler {server.scheduler!r} (it has {' '.join(sorted(SCHEDULERS))})"
    if unknown := [flag for flag in server.scheduler_flags if flag not in FLAGS]:
        return f"the nft dataplane cannot do {unknown[0]}"
    if server.persistence_timeout_s or server.persistence_engine:
        return "the nft dataplane has no persistence (scheduler sh keeps a client on one server)"
    if server.forward != "NAT":
        return f"the nft dataplane cannot forward by {server.forward}, only by NAT"
    for real in server.real_servers:
        if reason := _refuse_real(server, real):
            return f"{real.key}: {reason}"
        if real.uthreshold or real.lthreshold:
            return f"{real.key}: the nft dataplane cannot count connections (uthreshold, lthreshold)"
    if server.sorry_server and (reason := _refuse_real(server, server.sorry_server)):
        return f"{server.sorry_server.key}: {reason}"
    return ""


def _refuse_real(server: VirtualServer, real: RealServer | SorryServer) -> str:
    if real.forward != "NAT":
        return f"the nft dataplane cannot forward by {real.forward}, only by NAT"
    families = {m.family for m in server.members} or {"inet6" if ":" in server.ip else "inet"}
    if families != {"inet6" if ":" in real.ip else "inet"}:
        return "the nft dataplane cannot forward to another address family"
    if not real.port:
        return "the nft dataplane needs the real server's port"
    if ip_address(real.ip).is_loopback:
        return "the nft dataplane cannot forward to a loopback address; use another address of this director"
    return ""


def notes(server: VirtualServer) -> str:
    """What a carried server does differently from IPVS, in one line; "" if nothing."""
    if server.scheduler not in APPROXIMATED:
        return ""
    name = "rr (weights ignored)" if APPROXIMATED[server.scheduler] == "rr" else "wrr (round robin by weight)"
    return f"{server.key}: scheduler {server.scheduler} acts as {name}: nftables cannot count live connections"


def refuse_key(key: ServiceKey) -> int:
    """errno for a service the backend can never hold; 0 otherwise."""
    carried = key.family in WORDS and key.protocol in PROTOCOLS and key.port and not key.fwmark
    return 0 if carried else errno.EOPNOTSUPP


def refuse_op(op: Op) -> int:
    """errno for an operation whose values nftables cannot hold; 0 otherwise."""
    if code := refuse_key(op.key):
        return code
    if op.verb in (Verb.NEW_SERVICE, Verb.SET_SERVICE):
        assert op.service is not None, op
        if op.service.scheduler not in SCHEDULERS:
            return errno.ENOENT  # as ip_vs_ctl.c: no such scheduler
        if op.service.flags & ~(ServiceFlag.SCHED1 | ServiceFlag.SCHED2) or op.service.pe_name:
            return errno.EOPNOTSUPP
    if op.verb in (Verb.NEW_DEST, Verb.SET_DEST):
        assert op.dest is not None, op
        assert op.dest_key is not None, op
        if op.dest.weight < 0 or op.dest.lthreshold > op.dest.uthreshold:  # as ip_vs_ctl.c, ip_vs_add_dest
            return errno.ERANGE
        if op.dest.forward is not Forward.NAT or op.dest.uthreshold or not op.dest_key.port:
            return errno.EOPNOTSUPP
        if (":" in op.dest_key.ip) != (":" in op.key.ip):
            return errno.EAFNOSUPPORT
    return 0
