"""Decoding what a kernel sends: a recorded dump, dumps written by pyroute2, acknowledgements; and garbage."""

from __future__ import annotations

import errno
import random
import socket
import struct
from pathlib import Path
from typing import Any

import pytest
from fastha._ipvs import ffi, lib
from pyroute2.netlink.generic.ipvs import ipvsmsg

from fastha.dataplane.ipvs_rows import read_counters, read_service
from fastha.dataplane.rows import Dest, DestKey, Forward, Service, ServiceKey
from oracles import ipvs_random
from oracles.ipvs_structs import read_dest

GOLDEN = Path(__file__).parent.parent / "golden"
SEQ = 77
FAMILY = 29
TCP, UDP, SCTP = socket.IPPROTO_TCP, socket.IPPROTO_UDP, socket.IPPROTO_SCTP
V4, V6 = socket.AF_INET, socket.AF_INET6
ERROR, DONE = 2, 3
MULTI, DUMP_INTR = 2, 16


def golden(name: str) -> list[bytes]:
    lines = (GOLDEN / name).read_text().splitlines()
    return [bytes.fromhex(line) for line in lines if not line.startswith("#")]


def control(kind: int, seq: int, code: int, flags: int = 0) -> bytes:
    """NLMSG_DONE or a capped NLMSG_ERROR."""
    body = struct.pack("=i", code) + (bytes(16) if kind == ERROR else b"")
    return struct.pack("=IHHII", 16 + len(body), kind, flags, seq, 0) + body


def decode(kind: str, data: bytes, cap: int = 64, counters: Any = None) -> tuple[int, list[Any], int]:
    """(return value, rows, count) of fha_ipvs_decode_services or _dests; `data` lies exactly in its own memory."""
    out, count = ffi.new(f"struct fha_ipvs_{kind}[]", cap or 1), ffi.new("size_t *")
    function = getattr(lib, f"fha_ipvs_decode_{kind}s")
    rc = function(ffi.new("uint8_t[]", data), len(data), SEQ, out, counters or ffi.NULL, cap, count)
    # rows that own themselves: out[i] does not keep `out` alive
    rows = [ffi.new(f"struct fha_ipvs_{kind} *", out[i])[0] for i in range(min(count[0], cap))]
    return rc, rows, count[0]


def test_recorded_services() -> None:
    first, last = golden("ipvs_services.hex")
    rc, rows, count = decode("service", first)
    assert (rc, count) == (0, 6)
    assert dict(map(read_service, rows)) == {
        ServiceKey(V4, TCP, "10.0.0.1", 80): Service("sh", 0x13, 300, 24),
        ServiceKey(V4, UDP, "10.0.0.1", 53): Service("rr", 0x06),
        ServiceKey(V4, SCTP, "10.0.0.2", 9): Service("wlc", 0x02),
        ServiceKey(V6, TCP, "2001:db8::1", 443): Service("mh", 0x1A, netmask=128),
        ServiceKey(V4, 0, fwmark=7): Service("wrr", 0x02),
        ServiceKey(V6, 0, fwmark=7): Service("lc", 0x03, 60, 64),
    }
    assert decode("service", last)[0] == 1


def test_recorded_dests() -> None:
    first, last = golden("ipvs_dests.hex")
    rc, rows, _ = decode("dest", first)
    assert rc == 0
    assert dict(map(read_dest, rows)) == {
        DestKey("10.2.0.1", 8080): Dest(Forward.NAT, 5, 100, 50),
        DestKey("10.2.0.2", 80): Dest(Forward.DR, 0),
        DestKey("10.2.0.3", 80): Dest(Forward.TUN, 1),
    }
    assert decode("dest", last)[0] == 1
    rc, rows, _ = decode("dest", b"".join(golden("ipvs_dests6.hex")))
    assert (rc, list(map(read_dest, rows))) == (1, [(DestKey("2001:db8:2::1", 8443), Dest(Forward.NAT, 7))])


class Message(ipvsmsg):  # type: ignore[misc]
    """pyroute2's message, with addresses of 16 bytes whatever the family, as the kernel sends them."""

    class dest(ipvsmsg.dest):  # type: ignore[misc]  # noqa: N801  (nla_map names it so)
        nla_map = tuple((n, "cdata" if n == "IPVS_DEST_ATTR_ADDR" else t) for n, t in ipvsmsg.dest.nla_map)


def pyroute2_message(cmd: int, attr: str, attrs: list[tuple[str, Any]]) -> bytes:
    message = Message()
    message["cmd"], message["version"] = cmd, 1
    message["attrs"] = [(attr, {"attrs": attrs})]
    message["header"].update({"type": FAMILY, "flags": MULTI, "sequence_number": SEQ, "pid": 0})
    message.encode()
    return bytes(message.data)


STATS = ("CONNS", "INPKTS", "OUTPKTS", "INBYTES", "OUTBYTES", "CPS", "INPPS", "OUTPPS", "INBPS", "OUTBPS")


def stats64(first: int) -> dict[str, Any]:
    """Ten 64-bit numbers from `first` up, in the order of the kernel's enumeration."""
    return {"attrs": [(f"IPVS_STATS_ATTR_{name}", first + i) for i, name in enumerate(STATS)]}


def tunnel_attrs(dest: Dest) -> list[tuple[str, Any]]:
    """As the kernel sends them: always, and with what somebody once set even where it means nothing."""
    if dest.forward == Forward.TUN:
        values = (int(dest.tun_type), socket.htons(dest.tun_port), dest.tun_flags)  # pyroute2 writes the host's order
    else:
        values = (1, 6080, 2)
    return [(f"IPVS_DEST_ATTR_TUN_{n}", v) for n, v in zip(("TYPE", "PORT", "FLAGS"), values, strict=True)]


@pytest.mark.parametrize("seed", range(5))
def test_dests_written_by_pyroute2(seed: int) -> None:
    print("seed", seed)
    rng = random.Random(seed)
    key = ipvs_random.KEYS[seed % 6]
    wanted, data = [], b""
    for i in range(20):
        dest_key, dest = ipvs_random.dest_key(rng, key), ipvs_random.dest(rng)
        wanted.append((dest_key, dest))
        attrs = [
            ("IPVS_DEST_ATTR_ADDR_FAMILY", key.family),
            ("IPVS_DEST_ATTR_ADDR", socket.inet_pton(key.family, dest_key.ip).ljust(16, b"\0")),
            ("IPVS_DEST_ATTR_PORT", dest_key.port),
            ("IPVS_DEST_ATTR_FWD_METHOD", int(dest.forward) | 0x100),  # IP_VS_CONN_F_INACTIVE is not ours
            ("IPVS_DEST_ATTR_WEIGHT", dest.weight),
            ("IPVS_DEST_ATTR_U_THRESH", dest.uthreshold),
            ("IPVS_DEST_ATTR_L_THRESH", dest.lthreshold),
            ("IPVS_DEST_ATTR_ACTIVE_CONNS", i),
            ("IPVS_DEST_ATTR_INACT_CONNS", 2 * i),
            ("IPVS_DEST_ATTR_PERSIST_CONNS", 3 * i),
            ("IPVS_DEST_ATTR_STATS64", stats64(i << 40)),
            *tunnel_attrs(dest),
        ]
        rng.shuffle(attrs)
        data += pyroute2_message(5, "IPVS_CMD_ATTR_DEST", attrs)
    counters = ffi.new("struct fha_ipvs_counters[]", 64)
    rc, rows, count = decode("dest", data, counters=counters)
    assert (rc, count) == (0, 20)
    assert list(map(read_dest, rows)) == wanted
    assert [list(row.values()) for row in read_counters(counters, 20)] == [
        [i, 2 * i, 3 * i, *range(i << 40, (i << 40) + 10)] for i in range(20)
    ]
    assert [row["connections"] for row in read_counters(counters, 20)] == [i << 40 for i in range(20)]
    assert decode("dest", data)[0] == 0  # nobody wants them


def test_a_netmask_that_is_no_prefix_equals_none() -> None:
    attrs = [("IPVS_SVC_ATTR_NETMASK", "255.0.255.0"), ("IPVS_SVC_ATTR_AF", 2), ("IPVS_SVC_ATTR_FWMARK", 1)]
    _, (row,), _ = decode("service", pyroute2_message(1, "IPVS_CMD_ATTR_SERVICE", attrs))
    assert row.netmask == lib.FHA_IPVS_NETMASK_ODD
    for prefix in range(33):
        mask = socket.inet_ntoa(struct.pack("!I", 0xFFFFFFFF << (32 - prefix) & 0xFFFFFFFF))
        attrs[0] = ("IPVS_SVC_ATTR_NETMASK", mask)
        _, (row,), _ = decode("service", pyroute2_message(1, "IPVS_CMD_ATTR_SERVICE", attrs))
        assert row.netmask == prefix


def test_more_rows_than_room_are_counted() -> None:
    rc, rows, count = decode("service", golden("ipvs_services.hex")[0], cap=2)
    assert (rc, len(rows), count) == (0, 2, 6)
    assert decode("service", golden("ipvs_services.hex")[0], cap=0)[2] == 6


def test_how_a_dump_ends() -> None:
    assert decode("dest", control(DONE, SEQ, 0))[0] == 1
    assert decode("dest", control(ERROR, SEQ, 0))[0] == -errno.EBADMSG  # an acknowledgement is no end
    assert decode("dest", control(DONE, SEQ, -errno.ENOMEM))[0] == -errno.ENOMEM
    assert decode("dest", control(ERROR, SEQ, -errno.EPERM))[0] == -errno.EPERM
    assert decode("dest", control(DONE, SEQ, 0, DUMP_INTR))[0] == -errno.EINTR
    assert decode("dest", control(DONE, SEQ - 1, 0))[0] == 0  # an older one's
    assert decode("dest", control(DONE, SEQ + 1, 0))[0] == -errno.EBADMSG  # of one that was never begun


def acks(data: bytes, count: int, seq: int = SEQ) -> tuple[int, list[int], int]:
    results, answered = ffi.new("int32_t[]", [lib.FHA_IPVS_UNKNOWN] * count), ffi.new("size_t *")
    rc = lib.fha_ipvs_decode_acks(ffi.new("uint8_t[]", data), len(data), seq, results, count, answered)
    return rc, ffi.unpack(results, count), answered[0]


def test_acks_are_matched_by_sequence() -> None:
    data = control(ERROR, SEQ + 2, -errno.EEXIST) + control(ERROR, SEQ, 0) + control(ERROR, SEQ + 9, 0)
    assert acks(data, 3) == (0, [0, lib.FHA_IPVS_UNKNOWN, errno.EEXIST], 2)
    assert acks(control(ERROR, 1, 0) + control(ERROR, 0xFFFFFFFF, -errno.ESRCH), 3, seq=0xFFFFFFFF) == (
        0,
        [errno.ESRCH, lib.FHA_IPVS_UNKNOWN, 0],
        2,
    )
    assert acks(control(ERROR, SEQ, 0) * 2, 2)[2] == 1  # an answer said twice answers one operation


def single(kind: str, data: bytes) -> tuple[int, Any]:
    if kind == "family":
        out = ffi.new("uint16_t *")
        return lib.fha_ipvs_decode_family(ffi.new("uint8_t[]", data), len(data), SEQ, out), out[0]
    version, size = ffi.new("uint32_t *"), ffi.new("uint32_t *")
    rc = lib.fha_ipvs_decode_info(ffi.new("uint8_t[]", data), len(data), SEQ, version, size)
    return rc, (version[0], size[0])


def generic(kind: int, cmd: int, attrs: bytes) -> bytes:
    return struct.pack("=IHHII BBH", 20 + len(attrs), kind, 0, SEQ, 0, cmd, 1, 0) + attrs


def test_family_and_info() -> None:
    family = generic(16, 1, struct.pack("=HH5s3x", 9, 2, b"IPVS") + struct.pack("=HHH2x", 6, 1, 31))
    assert single("family", family) == (1, 31)
    assert single("family", control(ERROR, SEQ, -errno.ENOENT))[0] == -errno.ENOENT
    assert single("family", generic(16, 1, b""))[0] == -errno.EBADMSG
    info = generic(FAMILY, 14, struct.pack("=HHI", 8, 1, 0x010201) + struct.pack("=HHI", 8, 2, 4096))
    assert single("info", info) == (1, (0x010201, 4096))
    assert single("info", control(ERROR, SEQ, -errno.EPERM))[0] == -errno.EPERM


CORPUS = {
    "service": b"".join(golden("ipvs_services.hex")),
    "dest": b"".join(golden("ipvs_dests.hex")),
}


@pytest.mark.parametrize("kind", CORPUS)
def test_every_truncation_is_bad_or_unfinished(kind: str) -> None:
    data = CORPUS[kind]
    for size in range(len(data)):
        rc, _, _ = decode(kind, data[:size])
        assert rc in (0, -errno.EBADMSG), size
    assert decode(kind, data)[0] == 1


@pytest.mark.parametrize("seed", range(4))
def test_garbage_never_crashes(seed: int) -> None:
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(4000):
        kind = rng.choice(list(CORPUS))
        data = bytearray(CORPUS[kind])
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(len(data))] = rng.choice((0, 1, 4, 255, rng.randrange(256)))
        data = data[: rng.choice((len(data), rng.randrange(len(data))))]
        rc, rows, count = decode(kind, bytes(data))
        assert rc == 1 or -4096 < rc <= 0
        assert count <= len(data)
        for row in rows if rc >= 0 else []:
            read_service(row) if kind == "service" else read_dest(row)
        rc, _, answered = acks(bytes(data), 4)
        assert rc in (0, -errno.EBADMSG)
        assert answered <= 4
        single("family", bytes(data))
        single("info", bytes(data))
