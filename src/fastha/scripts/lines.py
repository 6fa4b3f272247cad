"""The lines that go into notify FIFOs, byte for byte as keepalived writes them. Pure.

A consumer of keepalived's FIFO must not notice the difference: lines about servers end with a newline and a NUL byte,
lines about instances and groups with a newline.
"""

from __future__ import annotations

from fastha.model import RealServer, VirtualServer

# {which FIFO besides the one that gets everything: end of a line}
ENDS = {"lvs": b"\n\0", "vrrp": b"\n"}
FIFO_OF = {"checker": "lvs", "vrrp": "vrrp"}  # which child says lines of which kind


def virtual_server(server: VirtualServer, up: bool) -> str:
    """`VS [10.0.0.1]:tcp:80 UP`."""
    return f"VS {of_virtual(server)} {_word(up)}"


def real_server(server: VirtualServer, real: RealServer, up: bool) -> str:
    """`RS [10.2.0.11]:tcp:80 [10.0.0.1]:tcp:80 DOWN`."""
    return f"RS {of_real(server, real)} {of_virtual(server)} {_word(up)}"


def instance(name: str, state: str, priority: int) -> str:
    """`INSTANCE "VI_1" MASTER 150`. `state`: MASTER, BACKUP, FAULT, STOP or DELETED."""
    return f'INSTANCE "{name}" {state} {priority}'


def group(name: str, state: str) -> str:
    """`GROUP "VG_1" MASTER 0`."""
    return f'GROUP "{name}" {state} 0'


def encode(line: str, what: str) -> bytes:
    """The bytes of a line for the FIFO. `what`: "lvs" or "vrrp"."""
    return line.encode("utf-8", "surrogateescape") + ENDS[what]


def of_real(server: VirtualServer, real: RealServer) -> str:
    """`[10.2.0.11]:tcp:80`."""
    return _trio(real.ip, real.port, server)


def of_virtual(server: VirtualServer) -> str:
    """`[10.0.0.1]:tcp:80`, `FWM 7`, `[GROUP]:80`."""
    if server.group:
        return f"[{server.group}]:{server.port}"
    if server.fwmark:
        return f"FWM {server.fwmark}"
    return _trio(server.ip, server.port, server)


def _trio(ip: str, port: int, server: VirtualServer) -> str:
    protocol = "none" if server.fwmark else server.protocol.lower()
    return f"[{ip}]:{protocol}:{port}"


def _word(up: bool) -> str:
    return "UP" if up else "DOWN"
