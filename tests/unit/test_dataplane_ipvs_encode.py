"""Our C's bytes against an independent reader: pyroute2 decodes each message to what was meant, field by field."""

from __future__ import annotations

import errno
import random
import socket
import struct
from typing import Any

import pytest
from fastha._ipvs import ffi, lib
from pyroute2.netlink.generic.ipvs import ipvsmsg

from fastha.dataplane.ipvs_rows import fill_service
from fastha.dataplane.rows import (
    OUR_FLAGS,
    Dest,
    DestKey,
    Forward,
    Op,
    Service,
    ServiceFlag,
    ServiceKey,
    TunnelType,
    Verb,
)
from oracles import ipvs_random
from oracles.ipvs_structs import op_array, slow_fill_ops

FAMILY = 29  # any genl family id
REQUEST, ACK, DUMP = 1, 4, 0x300
KEY4 = ServiceKey(socket.AF_INET, socket.IPPROTO_TCP, "10.0.0.1", 80)


def encode(ops: list[Op], size: int = 1 << 20, seq: int = 1000) -> tuple[int, bytes, int]:
    """(return value, bytes, messages that fit) of fha_ipvs_encode_ops."""
    buf, used, encoded = ffi.new("uint8_t[]", size), ffi.new("size_t *"), ffi.new("size_t *")
    rc = lib.fha_ipvs_encode_ops(buf, size, FAMILY, seq, op_array(ops), len(ops), used, encoded)
    return rc, bytes(ffi.buffer(buf, used[0])), encoded[0]


def messages(data: bytes) -> list[Any]:
    found = []
    while data:
        message = ipvsmsg(data)
        message.decode()
        found.append(message)
        assert message["header"]["length"] % 4 == 0
        data = data[message["header"]["length"] :]
    return found


def expected_service(op: Op) -> dict[str, Any]:
    """The attributes a message should have, in the shape pyroute2 reads."""
    key, service = op.key, op.service
    out: dict[str, Any] = {"AF": key.family}
    if key.fwmark:
        out["FWMARK"] = key.fwmark
    else:
        out |= {"PROTOCOL": key.protocol, "ADDR": key.ip, "PORT": key.port}
    if service is None:
        return out
    if key.family == socket.AF_INET:
        mask = socket.inet_ntoa(struct.pack("!I", 0xFFFFFFFF << (32 - service.netmask) & 0xFFFFFFFF))
    else:
        mask = socket.inet_ntoa(struct.pack("=I", service.netmask))  # a number in host order, read as an address
    out |= {
        "SCHED_NAME": service.scheduler,
        "FLAGS": {"flags": service.flags & OUR_FLAGS, "mask": OUR_FLAGS},
        "TIMEOUT": service.timeout_s,
        "NETMASK": mask,
    }
    return out | ({"PE_NAME": service.pe_name} if service.pe_name else {})


def expected_dest(op: Op) -> dict[str, Any]:
    assert op.dest_key
    family = socket.AF_INET6 if ":" in op.dest_key.ip else socket.AF_INET
    out: dict[str, Any] = {"ADDR_FAMILY": family, "ADDR": op.dest_key.ip, "PORT": op.dest_key.port}
    if op.dest:
        out |= {
            "FWD_METHOD": int(op.dest.forward),
            "WEIGHT": op.dest.weight & 0xFFFFFFFF,
            "U_THRESH": op.dest.uthreshold,
            "L_THRESH": op.dest.lthreshold,
        }
        if op.dest.forward == Forward.TUN and (op.dest.tun_type or op.dest.tun_port or op.dest.tun_flags):
            # pyroute2 reads the port as a number of the host; the kernel's is in network order (nla_get_be16)
            out |= {
                "TUN_TYPE": int(op.dest.tun_type),
                "TUN_PORT": socket.htons(op.dest.tun_port),
                "TUN_FLAGS": op.dest.tun_flags,
            }
    return out


def attributes(message: Any, name: str, prefix: str) -> dict[str, Any]:
    nest = message.get_attr(name)
    found = [(a[0].removeprefix(prefix), a[1]) for a in nest["attrs"]]
    assert len(dict(found)) == len(found), "an attribute twice"
    return dict(found)


def check(op: Op, message: Any, seq: int) -> None:
    head = message["header"]
    assert (head["type"], head["flags"], head["sequence_number"]) == (FAMILY, REQUEST | ACK, seq)
    assert (message["cmd"], message["version"]) == (int(op.verb), 1)
    assert attributes(message, "IPVS_CMD_ATTR_SERVICE", "IPVS_SVC_ATTR_") == expected_service(op)
    if op.dest_key:
        assert attributes(message, "IPVS_CMD_ATTR_DEST", "IPVS_DEST_ATTR_") == expected_dest(op)
    else:
        assert message.get_attr("IPVS_CMD_ATTR_DEST") is None


@pytest.mark.parametrize("seed", range(5))
def test_random_operations(seed: int) -> None:
    print("seed", seed)
    rng = random.Random(seed)
    ops = [ipvs_random.op(rng) for _ in range(100)]
    rc, data, encoded = encode(ops)
    assert (rc, encoded) == (0, len(ops))
    for i, (op, message) in enumerate(zip(ops, messages(data), strict=True)):
        check(op, message, 1000 + i)


EXTREMES = [
    Op(Verb.NEW_SERVICE, KEY4, Service("a" * 15, 0x2 | ServiceFlag.SCHED3, 0xFFFFFFFF, 1, "b" * 15)),
    Op(Verb.SET_SERVICE, KEY4, Service("rr", netmask=32)),
    Op(Verb.NEW_SERVICE, ServiceKey(socket.AF_INET, 0, fwmark=0xFFFFFFFF), Service("rr", netmask=0)),
    Op(Verb.NEW_SERVICE, ServiceKey(socket.AF_INET6, 17, "ffff::ffff", 65535), Service("rr", 0x3D, 1, 128, "sip")),
    Op(Verb.DEL_SERVICE, KEY4),
    Op(Verb.NEW_DEST, KEY4, dest_key=DestKey("2001:db8::2", 0), dest=Dest(Forward.TUN, 65535, 0xFFFFFFFF, 0xFFFFFFFF)),
    Op(
        Verb.NEW_DEST,
        ServiceKey(socket.AF_INET6, 17, "ffff::ffff", 65535),
        dest_key=DestKey("2001:db8::2", 65535),
        dest=Dest(Forward.TUN, 1, 2, 1, TunnelType.GUE, 65535, 65535),
    ),
    Op(Verb.SET_DEST, KEY4, dest_key=DestKey("10.2.0.1", 80), dest=Dest(Forward.DR, 1, 0, 0, TunnelType.GUE, 6080, 1)),
    Op(Verb.SET_DEST, KEY4, dest_key=DestKey("255.255.255.255", 65535), dest=Dest(Forward.DR, -1)),
    Op(Verb.DEL_DEST, KEY4, dest_key=DestKey("0.0.0.0", 1)),
]


@pytest.mark.parametrize("op", EXTREMES, ids=lambda op: op.verb.name)
def test_extremes(op: Op) -> None:
    rc, data, _ = encode([op])
    assert rc == 0
    assert len(data) <= lib.FHA_IPVS_MESSAGE_SIZE
    check(op, messages(data)[0], 1000)


def test_a_message_of_a_dest_names_its_service_by_identity_alone() -> None:
    _, data, _ = encode([Op(Verb.NEW_DEST, KEY4, dest_key=DestKey("10.2.0.1", 80), dest=Dest(Forward.NAT, 1))])
    attrs = attributes(messages(data)[0], "IPVS_CMD_ATTR_SERVICE", "IPVS_SVC_ATTR_")
    assert attrs.keys() == {"AF", "PROTOCOL", "ADDR", "PORT"}


def test_sequence_numbers_wrap() -> None:
    _, data, _ = encode(EXTREMES[:3], seq=0xFFFFFFFF)
    assert [m["header"]["sequence_number"] for m in messages(data)] == [0xFFFFFFFF, 0, 1]


def test_only_whole_messages_are_encoded() -> None:
    """Every buffer size: as many whole messages as fit, -EMSGSIZE when none does, and nothing behind the end."""
    ops = EXTREMES[:3]
    _, whole, _ = encode(ops)
    ends = [0]
    for message in messages(whole):
        ends.append(ends[-1] + message["header"]["length"])
    for size in range(1, len(whole) + 8):
        rc, data, encoded = encode(ops, size)
        assert encoded == max(i for i, end in enumerate(ends) if end <= size)
        assert data == whole[: ends[encoded]]
        assert rc == (0 if encoded else -errno.EMSGSIZE)


def test_a_verb_that_is_none() -> None:
    array, used, encoded = op_array(EXTREMES[:1]), ffi.new("size_t *"), ffi.new("size_t *")
    array[0].verb = 4
    assert lib.fha_ipvs_encode_ops(ffi.new("uint8_t[]", 999), 999, FAMILY, 1, array, 1, used, encoded) == -errno.EINVAL


def test_dump_requests() -> None:
    buf, used = ffi.new("uint8_t[]", 4096), ffi.new("size_t *")
    assert lib.fha_ipvs_encode_dump(buf, 4096, FAMILY, 5, ffi.NULL, used) == 0
    (services,) = messages(bytes(ffi.buffer(buf, used[0])))
    assert (services["cmd"], services["header"]["flags"], services["attrs"]) == (4, REQUEST | DUMP, [])
    identity = ffi.new("struct fha_ipvs_service *")
    fill_service(identity, KEY4, Service("rr"))
    assert lib.fha_ipvs_encode_dump(buf, 4096, FAMILY, 6, identity, used) == 0
    (dests,) = messages(bytes(ffi.buffer(buf, used[0])))
    assert (dests["cmd"], dests["header"]["sequence_number"]) == (8, 6)
    assert attributes(dests, "IPVS_CMD_ATTR_SERVICE", "IPVS_SVC_ATTR_") == expected_service(Op(Verb.DEL_SERVICE, KEY4))


def test_family_and_info_requests() -> None:
    buf, used = ffi.new("uint8_t[]", 4096), ffi.new("size_t *")
    assert lib.fha_ipvs_encode_family(buf, 4096, 7, used) == 0
    # nlmsghdr, genlmsghdr(CTRL_CMD_GETFAMILY, version 1), nlattr(CTRL_ATTR_FAMILY_NAME "IPVS"): linux/genetlink.h
    wanted = struct.pack("=IHHII BBH HH 5s3x", 32, 16, REQUEST, 7, 0, 3, 1, 0, 9, 2, b"IPVS")
    assert bytes(ffi.buffer(buf, used[0])) == wanted
    assert lib.fha_ipvs_encode_bare(buf, 4096, FAMILY, 8, 15, used) == 0
    assert bytes(ffi.buffer(buf, used[0])) == struct.pack("=IHHII BBH", 20, FAMILY, REQUEST, 8, 0, 15, 1, 0)


@pytest.mark.parametrize("seed", range(5))
def test_packing_is_what_python_packs(seed: int) -> None:
    rng = random.Random(seed)
    ops = [ipvs_random.op(rng) for _ in range(300)] + EXTREMES
    rng.shuffle(ops)
    slow = ffi.new("struct fha_ipvs_op[]", len(ops))
    slow_fill_ops(slow, ops)
    assert bytes(ffi.buffer(op_array(ops))) == bytes(ffi.buffer(slow))


@pytest.mark.parametrize(
    ("op", "error"),
    [
        (Op(Verb.NEW_DEST, KEY4, None, DestKey("10.0.0.256", 80), Dest(Forward.NAT, 1)), ValueError),
        (Op(Verb.NEW_DEST, KEY4, None, DestKey("10.0.0.2", 65536), Dest(Forward.NAT, 1)), OverflowError),
        (Op(Verb.NEW_DEST, KEY4, None, DestKey("10.0.0.2", 80), Dest(Forward.NAT, 1 << 31)), OverflowError),
        (Op(Verb.NEW_SERVICE, KEY4, Service("sixteen-letters!")), ValueError),
    ],
)
def test_what_no_struct_can_hold_is_refused(op: Op, error: type[Exception]) -> None:
    with pytest.raises(error):
        op_array([op])
