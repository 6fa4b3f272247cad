"""How the guest's kernel is watched: a count that costs one system call, the whole table, and a tap on netlink."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Iterator

from fastha._ipvs import ffi, lib
from workload import KEY

from fastha.dataplane.rows import Verb

IP_VS_SO_GET_SERVICE = 64 + 1024 + 64 + 3  # linux/ip_vs.h
SERVICE_ENTRY = struct.Struct("=HxxIHxxI16sIIII56s")  # struct ip_vs_service_entry
NLMSG = struct.Struct("=IHHII")
NLM_F_REQUEST = 1
ETH_P_ALL = 3
WRITES = {int(v): v for v in Verb}


class Service:
    """The service under test, asked over the old socket option: no dump of 10 000 rows disturbs what is measured."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        address = int.from_bytes(socket.inet_aton(KEY.ip), "little")
        self._ask = SERVICE_ENTRY.pack(KEY.protocol, address, socket.htons(KEY.port), 0, b"", 0, 0, 0, 0, b"")

    def state(self) -> tuple[str, int]:
        """(scheduler, destinations); ("", 0) if there is no such service."""
        buf = ctypes.create_string_buffer(self._ask, len(self._ask))
        size = ctypes.c_uint32(len(self._ask))
        args = (self._sock.fileno(), socket.IPPROTO_IP, IP_VS_SO_GET_SERVICE, buf, ctypes.byref(size))
        if self._libc.getsockopt(*args):
            number = ctypes.get_errno()
            if number == 3:  # ESRCH
                return "", 0
            raise OSError(number, os.strerror(number))
        fields = SERVICE_ENTRY.unpack(buf.raw)
        return fields[4].split(b"\0")[0].decode(), fields[8]

    def wait(self, scheduler: str, count: int, deadline_s: float = 120) -> float:
        """When (time.monotonic) it was so; a look every 5 ms. TimeoutError after `deadline_s`."""
        end = time.monotonic() + deadline_s
        while (state := self.state()) != (scheduler, count):
            if time.monotonic() > end:
                raise TimeoutError(f"the kernel has {state} after {deadline_s} s, not {(scheduler, count)}")
            time.sleep(0.005)
        return time.monotonic()


def rules() -> list[str]:
    """The whole table in ipvsadm's words, sorted."""
    done = subprocess.run(["ipvsadm", "-Sn"], check=True, capture_output=True, text=True)
    return sorted(line.strip() for line in done.stdout.splitlines())


def clear() -> None:
    subprocess.run(["ipvsadm", "-C"], check=True)


class Tap:
    """Counts the IPVS operations anybody sends to the kernel while it is open (a monitor device, nlmon)."""

    def __init__(self) -> None:
        subprocess.run(["modprobe", "-q", "nlmon"], check=False)
        subprocess.run(["ip", "link", "add", "fha-tap", "type", "nlmon"], check=True)
        subprocess.run(["ip", "link", "set", "fha-tap", "up"], check=True)
        self._sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._sock.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        self._sock.bind(("fha-tap", ETH_P_ALL))
        self._sock.setblocking(False)
        self._family = family_id()

    def take(self) -> Counter[str]:
        """{name of the verb: messages} since the last time."""
        found: Counter[str] = Counter()
        while True:
            try:
                data = self._sock.recv(1 << 20)
            except BlockingIOError:
                return found
            found.update(self._verbs(data))

    def _verbs(self, data: bytes) -> Iterator[str]:
        at = 0
        while at + 20 <= len(data):
            length, kind, flags, *_ = NLMSG.unpack_from(data, at)
            # the kernel's dumps pass here too, in the same words but not as requests
            if kind == self._family and flags & NLM_F_REQUEST and data[at + 16] in WRITES:
                yield WRITES[data[at + 16]].name
            at += max(length + 3 & ~3, 16)

    def close(self) -> None:
        self._sock.close()
        subprocess.run(["ip", "link", "del", "fha-tap"], check=True)


def family_id() -> int:
    """The number generic netlink gave to IPVS."""
    opened = ffi.new("struct fha_ipvs_socket *")
    if rc := lib.fha_ipvs_open(opened):
        raise OSError(-rc, os.strerror(-rc))
    number = int(opened.family_id)
    lib.fha_ipvs_close(opened)
    return number
