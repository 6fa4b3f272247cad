"""The IPVS binding's share of a change of 2 000 destinations, beside its twin; and the difference of two tables.

Encoding from operations includes reading the Python values; "bytes alone" is the C function on structs that are filled.
"""

from __future__ import annotations

import socket
from typing import Any

import pytest
from fastha._ipvs import ffi, lib

from fastha.dataplane.ipvs_rows import read_counters, read_dest_names, read_dests
from fastha.dataplane.reconcile import reconcile
from fastha.dataplane.rows import Dest, DestKey, Forward, Op, Service, ServiceKey, ServiceRow, Table, Verb
from oracles import ipvs_wire
from oracles.ipvs_structs import op_array

KEY = ServiceKey(socket.AF_INET, socket.IPPROTO_TCP, "10.0.0.1", 80)
DESTS = {DestKey(f"10.2.{i >> 8}.{i & 255}", 80): Dest(Forward.DR, 1 + i % 9) for i in range(2000)}
OPS = [Op(Verb.NEW_DEST, KEY, dest_key=key, dest=dest) for key, dest in DESTS.items()]
FAMILY, SEQ, SIZE = 29, 77, 1 << 20
BYTES = ipvs_wire.encode(OPS, FAMILY, SEQ)
DUMP = b"".join(ipvs_wire.encode([op], FAMILY, SEQ) for op in OPS)  # a dump has one sequence number


class Binding:
    """Buffers made once, as the socket's are."""

    def __init__(self) -> None:
        self.buf = ffi.new("uint8_t[]", SIZE)
        self.used, self.count = ffi.new("size_t *"), ffi.new("size_t *")
        self.out = ffi.new("struct fha_ipvs_dest[]", len(OPS))

    def encode_array(self, array: Any) -> None:
        lib.fha_ipvs_encode_ops(self.buf, SIZE, FAMILY, SEQ, array, len(array), self.used, self.count)

    def encode(self, ops: list[Op]) -> bytes:
        self.encode_array(op_array(ops))
        return bytes(ffi.buffer(self.buf, self.used[0]))

    def decode_dests(self, data: bytes) -> dict[DestKey, Dest]:
        self.count[0] = 0
        where = (self.out, ffi.NULL, len(self.out))
        lib.fha_ipvs_decode_dests(ffi.from_buffer(data), len(data), SEQ, *where, self.count)
        return dict(read_dests(self.out, self.count[0]))


@pytest.mark.parametrize("who", ["fastha", "python"])
@pytest.mark.benchmark(group="ipvs: encode 2 000 destinations")
def test_encode(benchmark: Any, who: str) -> None:
    def slow(ops: list[Op]) -> bytes:
        return ipvs_wire.encode(ops, FAMILY, SEQ)

    encode = Binding().encode if who == "fastha" else slow
    assert encode(OPS) == BYTES
    benchmark(encode, OPS)


@pytest.mark.benchmark(group="ipvs: encode 2 000 destinations")
def test_encode_bytes_alone(benchmark: Any) -> None:
    binding, array = Binding(), op_array(OPS)
    binding.encode_array(array)
    assert bytes(ffi.buffer(binding.buf, binding.used[0])) == BYTES
    benchmark(binding.encode_array, array)


@pytest.mark.parametrize("who", ["fastha", "python"])
@pytest.mark.benchmark(group="ipvs: decode 2 000 destinations")
def test_decode(benchmark: Any, who: str) -> None:
    decode = Binding().decode_dests if who == "fastha" else ipvs_wire.decode_dests
    assert decode(DUMP) == DESTS
    benchmark(decode, DUMP)


def tables() -> tuple[Table, Table]:
    """10 000 destinations in ten services; one of them has another weight."""
    keys = [ServiceKey(socket.AF_INET, socket.IPPROTO_TCP, f"10.0.0.{i}", 80) for i in range(10)]
    names = [DestKey(f"10.2.{i >> 8}.{i & 255}", 80) for i in range(1000)]
    wanted, actual = (
        {key: ServiceRow(Service("wlc"), {k: Dest(Forward.NAT, 1) for k in names}) for key in keys} for _ in range(2)
    )
    actual[keys[5]].dests[names[500]] = Dest(Forward.NAT, 2)
    return wanted, actual


@pytest.mark.benchmark(group="table: the difference of 10 000 destinations")
def test_reconcile(benchmark: Any) -> None:
    wanted, actual = tables()
    assert [op.verb for op in reconcile(wanted, actual, wanted)] == [Verb.SET_DEST]
    benchmark(reconcile, wanted, actual, wanted)


@pytest.mark.benchmark(group="ipvs: counters of 2 000 destinations")
def test_counters(benchmark: Any) -> None:
    """What `IpvsBackend.counters` adds to a dump: 13 numbers for each destination, by name."""
    binding = Binding()
    counters = ffi.new("struct fha_ipvs_counters[]", len(OPS))

    def read() -> dict[str, dict[str, int]]:
        binding.count[0] = 0
        where = (binding.out, counters, len(OPS))
        lib.fha_ipvs_decode_dests(ffi.from_buffer(DUMP), len(DUMP), SEQ, *where, binding.count)
        names = read_dest_names(binding.out, binding.count[0])
        return dict(zip(names, read_counters(counters, binding.count[0]), strict=True))

    assert read().keys() == {str(key) for key in DESTS}
    benchmark(read)
