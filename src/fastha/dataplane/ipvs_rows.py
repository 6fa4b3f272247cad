"""Rows of the table <-> the C structs of csrc/fha_ipvs.h, in bulk."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from fastha._ipvs import ffi
from fastha.dataplane.rows import Dest, DestKey, Forward, Service, ServiceKey, TunnelType

# struct fha_ipvs_dest and struct fha_ipvs_counters as bytes: a thousandfold unpacking is 10 times faster than cffi's
# attributes. The assertions compare the two with what the C compiler made of the header.
_DEST = struct.Struct("@HHIiIIHHB16s0I")
_COUNTERS = struct.Struct("@13Q")
assert _DEST.size == ffi.sizeof("struct fha_ipvs_dest")
assert [name for name, _ in ffi.typeof("struct fha_ipvs_dest").fields] == [
    *("family", "port", "forward", "weight", "uthreshold", "lthreshold"),
    *("tun_port", "tun_flags", "tun_type", "address"),
]
COUNTERS = tuple(name for name, _ in ffi.typeof("struct fha_ipvs_counters").fields)
assert _COUNTERS.size == ffi.sizeof("struct fha_ipvs_counters") == 8 * len(COUNTERS)


def family_of(ip: str) -> int:
    """AF_INET6 for an address with a colon, else AF_INET."""
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


@lru_cache(maxsize=1 << 16)
def packed(ip: str) -> bytes:
    """Sixteen bytes: an IPv4 address fills the first four (union nf_inet_addr)."""
    return socket.inet_pton(family_of(ip), ip).ljust(16, b"\0") if ip else bytes(16)


def address_text(family: int, address: bytes) -> str:
    """What `packed` was given, in its canonical form."""
    return socket.inet_ntop(family, address[: 4 if family == socket.AF_INET else 16])


def fill_service(c: Any, key: ServiceKey, service: Service) -> None:
    """Write one `struct fha_ipvs_service`."""
    c.family, c.protocol, c.port, c.fwmark = key.family, key.protocol, key.port, key.fwmark
    c.address = packed(key.ip)
    c.netmask, c.flags, c.timeout_s = service.netmask, service.flags, service.timeout_s
    c.scheduler, c.pe_name = service.scheduler.encode(), service.pe_name.encode()


def read_service(c: Any) -> tuple[ServiceKey, Service]:
    """One dumped service. A firewall mark has neither protocol nor address nor port."""
    if c.fwmark:
        key = ServiceKey(c.family, 0, fwmark=c.fwmark)
    else:
        key = ServiceKey(c.family, c.protocol, address_text(c.family, bytes(ffi.buffer(c.address))), c.port)
    scheduler, pe_name = ffi.string(c.scheduler).decode("latin-1"), ffi.string(c.pe_name).decode("latin-1")
    return key, Service(scheduler, c.flags, c.timeout_s, c.netmask, pe_name)


_FORWARD = {int(f): f for f in Forward}
_TUNNEL = {int(t): t for t in TunnelType}


@lru_cache(maxsize=1 << 16)
def _dest_key(family: int, address: bytes, port: int) -> DestKey:
    return DestKey(address_text(family, address), port)


@lru_cache(maxsize=1 << 16)
def _dest_name(family: int, address: bytes, port: int) -> str:
    return str(_dest_key(family, address, port))


@lru_cache(maxsize=1 << 12)
def _dest(forward: int, weight: int, upper: int, lower: int, tun_port: int, tun_flags: int, tun_type: int) -> Dest:
    """A forwarding method nobody knows can only be foreign; it reads as BYPASS, an unknown tunnel type as IPIP."""
    tunnel = _TUNNEL.get(tun_type, TunnelType.IPIP)
    return Dest(_FORWARD.get(forward, Forward.BYPASS), weight, upper, lower, tunnel, tun_port, tun_flags)


def read_dests(array: Any, count: int) -> Iterator[tuple[DestKey, Dest]]:
    """`count` dumped destinations from the start of a `struct fha_ipvs_dest[]`."""
    for family, port, *settable, tun_type, address in _DEST.iter_unpack(ffi.buffer(array, count * _DEST.size)):
        yield _dest_key(family, address, port), _dest(*settable, tun_type)


def read_dest_names(array: Any, count: int) -> list[str]:
    """The text of `count` destinations' keys."""
    rows = _DEST.iter_unpack(ffi.buffer(array, count * _DEST.size))
    return [_dest_name(row[0], row[-1], row[1]) for row in rows]


def read_counters(array: Any, count: int) -> list[dict[str, int]]:
    """`count` of `struct fha_ipvs_counters[]`: its fields by name."""
    rows = _COUNTERS.iter_unpack(ffi.buffer(array, count * _COUNTERS.size))
    return [dict(zip(COUNTERS, row, strict=True)) for row in rows]
