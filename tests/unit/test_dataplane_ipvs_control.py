"""Timeouts, synchronisation daemons, flush on the wire: pyroute2 reads what our C writes, and writes what it reads."""

from __future__ import annotations

import errno
import random
import socket
import struct
from typing import Any

import pytest
from fastha._ipvs import ffi, lib
from pyroute2.netlink import nla
from pyroute2.netlink.generic.ipvs import ipvsmsg

from fastha.dataplane import ipvs
from fastha.dataplane.ipvs_control import daemon_struct, read_daemon, read_timeouts, timeouts_struct
from fastha.dataplane.rows import Daemon, Timeouts

FAMILY, SEQ = 29, 77
REQUEST, ACK, DUMP = 1, 4, 0x300
NEW_DAEMON, DEL_DAEMON, GET_DAEMON, SET_CONFIG, GET_CONFIG, FLUSH = 9, 10, 11, 12, 13, 17
TIMEOUT = "IPVS_CMD_ATTR_TIMEOUT_"


class Message(ipvsmsg):  # type: ignore[misc]
    """pyroute2's message, with the attributes it leaves as bytes: types are ip_vs_daemon_policy's of ip_vs_ctl.c."""

    nla_map = tuple(
        (name, "uint32" if name.startswith(TIMEOUT) else "daemon" if name.endswith("DAEMON") else kind)
        for name, kind in ipvsmsg.nla_map
    )

    class daemon(nla):  # type: ignore[misc]  # noqa: N801  (nla_map names it so)
        prefix = "IPVS_DAEMON_ATTR_"
        nla_map = (
            ("IPVS_DAEMON_ATTR_UNSPEC", "none"),
            ("IPVS_DAEMON_ATTR_STATE", "uint32"),
            ("IPVS_DAEMON_ATTR_MCAST_IFN", "asciiz"),
            ("IPVS_DAEMON_ATTR_SYNC_ID", "uint32"),
            ("IPVS_DAEMON_ATTR_SYNC_MAXLEN", "uint16"),
            ("IPVS_DAEMON_ATTR_MCAST_GROUP", "ip4addr"),
            ("IPVS_DAEMON_ATTR_MCAST_GROUP6", "ip6addr"),
            ("IPVS_DAEMON_ATTR_MCAST_PORT", "uint16"),
            ("IPVS_DAEMON_ATTR_MCAST_TTL", "uint8"),
        )


def written(cmd: int, flags: int, name: str, *words: Any) -> Any:
    """The one message that `fha_ipvs_encode_NAME` writes, decoded; no buffer that is too small is overrun."""
    encode = getattr(lib, f"fha_ipvs_encode_{name}")
    used = ffi.new("size_t *")
    buf = ffi.new("uint8_t[]", 512)
    assert encode(buf, 512, FAMILY, SEQ, *words, used) == 0
    data = bytes(ffi.buffer(buf, used[0]))
    for size in range(len(data)):
        assert encode(ffi.new("uint8_t[]", size or 1), size, FAMILY, SEQ, *words, used) == -errno.EMSGSIZE
        assert used[0] == 0
    message = Message(data)
    message.decode()
    header = message["header"]
    assert (header["length"], header["type"], header["flags"]) == (len(data), FAMILY, REQUEST | flags)
    assert (header["sequence_number"], message["cmd"], message["version"]) == (SEQ, cmd, 1)
    return message


def sent(cmd: int, attrs: list[Any]) -> bytes:
    """A message of the kernel, written by pyroute2."""
    message = Message()
    message["cmd"], message["version"], message["attrs"] = cmd, 1, attrs
    message["header"].update({"type": FAMILY, "flags": 0, "sequence_number": SEQ, "pid": 0})
    message.encode()
    return bytes(message.data)


@pytest.mark.parametrize(("cmd", "flags"), [(FLUSH, ACK), (GET_CONFIG, 0), (GET_DAEMON, DUMP)])
def test_bare_commands(cmd: int, flags: int) -> None:
    assert written(cmd, flags, "bare", cmd)["attrs"] == []


def test_a_command_that_is_not_bare() -> None:
    used = ffi.new("size_t *")
    assert lib.fha_ipvs_encode_bare(ffi.new("uint8_t[]", 99), 99, FAMILY, SEQ, NEW_DAEMON, used) == -errno.EINVAL
    daemon = daemon_struct(Daemon(1, "eth0"))
    assert lib.fha_ipvs_encode_daemon(ffi.new("uint8_t[]", 99), 99, FAMILY, SEQ, FLUSH, daemon, used) == -errno.EINVAL


@pytest.mark.parametrize("wanted", [Timeouts(), Timeouts(900, 120, 300), Timeouts(2**31 - 1, 2**32 - 1, 1)])
def test_timeouts(wanted: Timeouts) -> None:
    values = [("TCP", wanted.tcp_s), ("TCP_FIN", wanted.tcpfin_s), ("UDP", wanted.udp_s)]
    attrs = [(TIMEOUT + name, value) for name, value in values]
    message = written(SET_CONFIG, ACK, "timeouts", timeouts_struct(wanted))
    assert [tuple(attr) for attr in message["attrs"]] == attrs
    random.Random(1).shuffle(attrs)
    data, out = sent(SET_CONFIG, attrs), ffi.new("struct fha_ipvs_timeouts *")
    assert lib.fha_ipvs_decode_timeouts(ffi.new("uint8_t[]", data), len(data), SEQ, out) == 1
    assert read_timeouts(out) == wanted
    for size in range(1, len(data)):
        rc = lib.fha_ipvs_decode_timeouts(ffi.new("uint8_t[]", data[:size]), size, SEQ, out)
        assert rc == -errno.EBADMSG


DAEMONS = [
    Daemon(1, "eth0"),
    Daemon(2, "i" * 15, 255, 65535, 65535, 255, "239.255.255.255"),
    Daemon(1, "bond0.100", 1, 1, 1, 1, "ff02::81"),
    Daemon(2, "eth0", group="224.0.0.81"),
]


def attributes(daemon: Daemon) -> dict[str, Any]:
    """Those a message has: what is 0 or empty is left to the kernel."""
    group = {"MCAST_GROUP6" if ":" in daemon.group else "MCAST_GROUP": daemon.group} if daemon.group else {}
    some = {"SYNC_MAXLEN": daemon.maxlen, **group, "MCAST_PORT": daemon.port, "MCAST_TTL": daemon.ttl}
    always = {"STATE": daemon.state, "MCAST_IFN": daemon.interface, "SYNC_ID": daemon.sync_id}
    return always | {name: value for name, value in some.items() if value}


@pytest.mark.parametrize("daemon", DAEMONS)
def test_starting_and_stopping(daemon: Daemon) -> None:
    message = written(NEW_DAEMON, ACK, "daemon", NEW_DAEMON, daemon_struct(daemon))
    (nest,) = message.get_attrs("IPVS_CMD_ATTR_DAEMON")
    assert {name.removeprefix("IPVS_DAEMON_ATTR_"): value for name, value in nest["attrs"]} == attributes(daemon)
    message = written(DEL_DAEMON, ACK, "daemon", DEL_DAEMON, daemon_struct(daemon))
    (nest,) = message.get_attrs("IPVS_CMD_ATTR_DAEMON")
    assert [tuple(attr) for attr in nest["attrs"]] == [("IPVS_DAEMON_ATTR_STATE", daemon.state)]


@pytest.mark.parametrize("daemon", DAEMONS)
def test_reading(daemon: Daemon) -> None:
    attrs = [(f"IPVS_DAEMON_ATTR_{name}", value) for name, value in attributes(daemon).items()]
    random.Random(2).shuffle(attrs)
    data = sent(NEW_DAEMON, [("IPVS_CMD_ATTR_DAEMON", {"attrs": attrs})])
    data += struct.pack("=IHHIIi", 20, 3, 2, SEQ, 0, 0)  # NLMSG_DONE
    out, count = ffi.new("struct fha_ipvs_daemon[2]"), ffi.new("size_t *")
    assert lib.fha_ipvs_decode_daemons(ffi.new("uint8_t[]", data), len(data), SEQ, out, 2, count) == 1
    assert (count[0], read_daemon(out[0])) == (1, daemon)


@pytest.mark.parametrize(
    ("daemon", "code"),
    [
        (Daemon(1, "i" * 16), errno.ENODEV),
        (Daemon(1, "eth0", port=65536), errno.EINVAL),
        (Daemon(1, "eth0", maxlen=-1), errno.EINVAL),
        (Daemon(1, "eth0", ttl=256), errno.EINVAL),
        (Daemon(1, "eth0", sync_id=2**32), errno.EINVAL),
        (Daemon(-1, "eth0"), errno.EINVAL),
        (Daemon(1, "eth0", group="no address"), errno.EINVAL),
    ],
)
def test_what_a_message_cannot_hold_is_the_kernels_error(daemon: Daemon, code: int) -> None:
    with pytest.raises(OSError, match="ipvs: ") as fault:
        daemon_struct(daemon)
    assert fault.value.errno == code
    with pytest.raises(OSError, match="Invalid argument"):
        timeouts_struct(Timeouts(udp_s=-1))


class Silent:
    """Stands for `lib`: stopping a daemon is not answered; `running` is what is dumped then."""

    FHA_IPVS_NAME_SIZE = 16

    def __init__(self) -> None:
        self.running: list[Daemon] = []
        self.flushed = 0

    def fha_ipvs_open(self, s: Any) -> int:
        s.fd = 1000
        return 0

    def fha_ipvs_close(self, s: Any) -> None:
        s.fd = -1

    def fha_ipvs_stop_daemon(self, s: Any, state: int) -> int:
        return -errno.EINTR

    def fha_ipvs_dump_daemons(self, s: Any, out: Any, cap: int, count: Any) -> int:
        for i, daemon in enumerate(self.running):
            out[i] = daemon_struct(daemon)[0]
        count[0] = len(self.running)
        return 0

    def fha_ipvs_get_timeouts(self, s: Any, out: Any) -> int:
        return -errno.ETIMEDOUT

    def fha_ipvs_flush(self, s: Any) -> int:
        self.flushed += 1
        return 0 if self.flushed > 1 else -errno.ENOBUFS


def test_no_answer_to_a_stop_is_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Silent()
    monkeypatch.setattr(ipvs, "lib", kernel)
    backend = ipvs.IpvsBackend()
    kernel.running = [Daemon(2, "eth0", 1)]
    backend.stop_daemon(1)
    assert backend.daemons() == [Daemon(2, "eth0", 1)]
    with pytest.raises(InterruptedError):
        backend.stop_daemon(2)
    with pytest.raises(TimeoutError):
        backend.timeouts()
    with pytest.raises(OSError, match="No buffer space"):
        backend.flush()
    backend.flush()
    backend.close()
    for call in (backend.flush, backend.daemons, backend.timeouts):
        with pytest.raises(OSError, match="closed"):
            call()


def test_socket_families_of_groups() -> None:
    assert daemon_struct(Daemon(1, "eth0", group="ff02::1")).group_family == socket.AF_INET6
    assert daemon_struct(Daemon(1, "eth0", group="224.0.0.1")).group_family == socket.AF_INET
    assert daemon_struct(Daemon(1, "eth0")).group_family == 0
