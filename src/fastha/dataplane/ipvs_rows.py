"""Rows of the table <-> the C structs of csrc/fha_ipvs.h, in bulk."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from fastha._ipvs import ffi
from fastha.dataplane.rows import Dest, DestKey, Forward, Op, Service, ServiceKey, Verb

_DEST_VERBS = frozenset({Verb.NEW_DEST, Verb.SET_DEST, Verb.DEL_DEST})
_NO_SERVICE = Service("")


def family_of(ip: str) -> int:
    """AF_INET6 for an address with a colon, else AF_INET."""
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


@lru_cache(maxsize=1 << 16)
def _packed(ip: str) -> bytes:
    """Sixteen bytes: an IPv4 address fills the first four (union nf_inet_addr)."""
    return socket.inet_pton(family_of(ip), ip).ljust(16, b"\0") if ip else bytes(16)


def _text(family: int, address: Any) -> str:
    return socket.inet_ntop(family, bytes(ffi.buffer(address))[: 4 if family == socket.AF_INET else 16])


def fill_service(c: Any, key: ServiceKey, service: Service) -> None:
    """Write one `struct fha_ipvs_service`."""
    c.family, c.protocol, c.port, c.fwmark = key.family, key.protocol, key.port, key.fwmark
    c.address = _packed(key.ip)
    c.netmask, c.flags, c.timeout_s = service.netmask, service.flags, service.timeout_s
    c.scheduler, c.pe_name = service.scheduler.encode(), service.pe_name.encode()


def fill_dest(c: Any, key: DestKey, dest: Dest | None) -> None:
    """Write one `struct fha_ipvs_dest`; its identity alone without `dest`."""
    c.family, c.port = family_of(key.ip), key.port
    c.address = _packed(key.ip)
    if dest:
        c.forward, c.weight = int(dest.forward), dest.weight
        c.uthreshold, c.lthreshold = dest.uthreshold, dest.lthreshold


def op_array(ops: Sequence[Op]) -> Any:
    """`struct fha_ipvs_op[]`, zeroed where an operation says nothing."""
    array = ffi.new("struct fha_ipvs_op[]", len(ops))
    key: ServiceKey | None = None  # whose identity `identity` holds: neighbours mostly share their service
    identity = ffi.new("struct fha_ipvs_service *")
    for c, op in zip(array, ops, strict=True):
        c.verb = int(op.verb)
        if op.verb in _DEST_VERBS:
            if op.key != key:
                key = op.key
                fill_service(identity, key, _NO_SERVICE)
            c.service = identity[0]
            assert op.dest_key
            fill_dest(c.dest, op.dest_key, op.dest)
        else:
            fill_service(c.service, op.key, op.service or _NO_SERVICE)
    return array


def read_service(c: Any) -> tuple[ServiceKey, Service]:
    """One dumped service. A firewall mark has neither protocol nor address nor port."""
    if c.fwmark:
        key = ServiceKey(c.family, 0, fwmark=c.fwmark)
    else:
        key = ServiceKey(c.family, c.protocol, _text(c.family, c.address), c.port)
    scheduler, pe_name = ffi.string(c.scheduler).decode("latin-1"), ffi.string(c.pe_name).decode("latin-1")
    return key, Service(scheduler, c.flags, c.timeout_s, c.netmask, pe_name)


_FORWARD = {int(f): f for f in Forward}


def read_dest(c: Any) -> tuple[DestKey, Dest]:
    """One dumped destination. A forwarding method nobody knows can only be foreign; it reads as BYPASS."""
    forward = _FORWARD.get(c.forward, Forward.BYPASS)
    return DestKey(_text(c.family, c.address), c.port), Dest(forward, c.weight, c.uthreshold, c.lthreshold)
