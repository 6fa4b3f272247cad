"""The structs of csrc/fha_ipvs.h from Python, slowly: the twin of dataplane/ipvs_pack.pyx, and what tests of C need."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any

from fastha._ipvs import ffi

from fastha.dataplane.ipvs_pack import fill_ops
from fastha.dataplane.ipvs_rows import fill_service, read_dests
from fastha.dataplane.rows import Dest, DestKey, Forward, Op, Service, ServiceKey, Verb

_DEST = struct.Struct("@HHIiIIHHB16s0I")
_OP = struct.Struct(f"@I{ffi.sizeof('struct fha_ipvs_service')}s{_DEST.format[1:]}")
assert _OP.size == ffi.sizeof("struct fha_ipvs_op")
assert [name for name, _ in ffi.typeof("struct fha_ipvs_op").fields] == ["verb", "service", "dest"]
_DEST_VERBS = frozenset({Verb.NEW_DEST, Verb.SET_DEST, Verb.DEL_DEST})
_NO_SERVICE = Service("", netmask=0)


def op_array(ops: Sequence[Op]) -> Any:
    """`struct fha_ipvs_op[]` that says `ops`."""
    array = ffi.new("struct fha_ipvs_op[]", len(ops))
    if ops:
        fill_ops(ffi.buffer(array), list(ops))
    return array


def slow_fill_ops(array: Any, ops: Sequence[Op]) -> None:
    """Write `ops` over the first structs of a `struct fha_ipvs_op[]`; zeros where an operation says nothing."""
    room = ffi.buffer(array)
    pack, size = _OP.pack_into, _OP.size
    key: ServiceKey | None = None  # whose bytes `identity` holds: neighbours mostly share their service
    identity = b""
    at = 0
    for verb, service_key, service, dest_key, dest in ops:
        if verb in _DEST_VERBS:
            assert dest_key
            if service_key is not key:
                key, identity = service_key, _service_bytes(service_key, _NO_SERVICE)
            pack(room, at, verb, identity, *_dest_fields(dest_key, dest))
        else:
            pack(room, at, verb, _service_bytes(service_key, service or _NO_SERVICE), *_NO_DEST)
        at += size


def fill_dest(c: Any, key: DestKey, dest: Dest | None) -> None:
    """Write one `struct fha_ipvs_dest`; its identity alone without `dest`."""
    _DEST.pack_into(ffi.buffer(ffi.addressof(c)), 0, *_dest_fields(key, dest))


def _service_bytes(key: ServiceKey, service: Service) -> bytes:
    c = ffi.new("struct fha_ipvs_service *")
    fill_service(c, key, service)
    return bytes(ffi.buffer(c))


_NO_DEST = (*[0] * 9, b"")


def _dest_fields(key: DestKey, dest: Dest | None) -> tuple[Any, ...]:
    """The fields of `struct fha_ipvs_dest`, in order. Only a tunnel's destination has a tunnel."""
    ip = key.ip
    family = AF_INET6 if ":" in ip else AF_INET
    if dest is None:
        return (family, key.port, *_NO_DEST[2:-1], inet_pton(family, ip))
    tunnel = (dest.tun_port, dest.tun_flags, dest.tun_type) if dest.forward is Forward.TUN else _NO_TUNNEL
    settable = (dest.forward, dest.weight, dest.uthreshold, dest.lthreshold)
    return (family, key.port, *settable, *tunnel, inet_pton(family, ip))


_NO_TUNNEL = (0, 0, 0)


def read_dest(c: Any) -> tuple[DestKey, Dest]:
    """One dumped destination; `c` must own its memory or outlive the call."""
    return next(read_dests(ffi.addressof(c), 1))
