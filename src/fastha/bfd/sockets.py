"""The descriptors packets pass through.

- hear: one UDP socket for each family and kind of session, on its port; it says TTL and destination of each packet.
- speak: one connected UDP socket for each session, from a port of its own in 49152 to 65535 (RFC 5881 section 4).
"""

from __future__ import annotations

import random
import socket
from errno import EADDRINUSE

from fastha.bfd.rules import MULTI_PORT, SINGLE_PORT, port
from fastha.errors import SystemFault
from fastha.model import BfdInstance
from fastha.room import make_room

SOURCE_PORTS = 49152, 65535  # RFC 5881 section 4
TRIES = 64  # of ports that others may use
BUFFER = 8 << 20  # 1 000 sessions at 3.3 ms while we are off the CPU for 30 ms
IPV6_RECVHOPLIMIT, IPV6_RECVPKTINFO = 51, 49  # linux/in6.h
IP_PKTINFO, IP_RECVTTL = 8, 12  # linux/in.h
TOS_CS6 = 0xC0  # internetwork control
PRIORITY = 6  # SO_PRIORITY: the highest without CAP_NET_ADMIN


def family_of(bfd: BfdInstance) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in bfd.neighbor_ip else socket.AF_INET


def packed(ip: str) -> bytes:
    """4 or 16 bytes; none for no address."""
    return socket.inet_pton(socket.AF_INET6 if ":" in ip else socket.AF_INET, ip) if ip else b""


def open_receive(family: socket.AddressFamily, multihop: bool) -> socket.socket:
    """The socket that hears all sessions of one kind. SystemFault if somebody else has its port."""
    number = MULTI_PORT if multihop else SINGLE_PORT
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    except OSError as error:
        raise SystemFault(f"cannot open a socket for BFD: {error.strerror}") from None
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
            sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        make_room(sock, BUFFER)
        sock.bind(("::" if family == socket.AF_INET6 else "", number))
    except OSError as error:
        sock.close()
        who = ": another BFD daemon runs here" if error.errno == EADDRINUSE else ""
        raise SystemFault(f"cannot hear BFD on UDP port {number}: {error.strerror}{who}") from None
    return sock


def open_send(bfd: BfdInstance, prefer_port: int = 0) -> socket.socket:
    """The socket of one session, connected to its neighbour; from `prefer_port` if that is free. OSError, for example
    when the source address is not on this machine (yet)."""
    family = family_of(bfd)
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, bfd.ttl)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, TOS_CS6)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, bfd.ttl)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, TOS_CS6)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, PRIORITY)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # nobody answers here
        _bind(sock, bfd.source_ip or ("::" if family == socket.AF_INET6 else ""), prefer_port)
        sock.connect((bfd.neighbor_ip, port(bfd)))
    except OSError:
        sock.close()
        raise
    return sock


def _bind(sock: socket.socket, ip: str, prefer_port: int) -> None:
    for number in (*([prefer_port] if prefer_port else []), *(random.randint(*SOURCE_PORTS) for _ in range(TRIES))):
        try:
            sock.bind((ip, number))
        except OSError as error:
            if error.errno != EADDRINUSE:
                raise
        else:
            return
    raise OSError(EADDRINUSE, "no free source port")
