"""The descriptors adverts pass through. Every failure is one clear SystemFault.

- receive: one raw socket (protocol 112) per interface and family, bound to it and a member of the groups there;
  where an instance has `auth_type AH`, another one for protocol 51.
- multicast out: one packet socket that only sends. Protocol 0: a *receiving* one would be shown every packet.
- unicast out: one raw socket per family that is given whole packets (IP_HDRINCL); the kernel routes.
"""

from __future__ import annotations

import socket
import struct
from array import array
from collections.abc import Iterable
from functools import lru_cache

from fastha.errors import SystemFault
from fastha.model import ReceiveBuffer
from fastha.room import make_room

VRRP = 112  # RFC 9568 section 5.1.1.4
AH = 51  # RFC 2402 section 2
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
PRIORITY = 7  # SO_PRIORITY: the highest a process may ask for; ahead of traffic in a pfifo_fast queue
BUFFER = 1 << 20
IP_MULTICAST_ALL = 49  # linux/in.h
SO_ATTACH_FILTER = 26
SKF_LL_OFF = 0xFFE00000  # linux/filter.h: -0x200000, the link layer's header
BPF_LD_W_ABS, BPF_LD_H_ABS, BPF_JEQ, BPF_RET = 0x20, 0x28, 0x15, 0x06
IPV6_JOIN_GROUP, IPV6_MULTICAST_ALL, IPV6_RECVPKTINFO, IPV6_RECVHOPLIMIT = 20, 29, 49, 51  # linux/in6.h
ETH_P_IP, ETH_P_ARP, ETH_P_IPV6 = 0x0800, 0x0806, 0x86DD


def open_receive(
    interface: str,
    index: int,
    family: int = 4,
    protocol: int = VRRP,
    buffer: ReceiveBuffer | None = None,
) -> socket.socket:
    """The raw socket that hears `interface`, unicast and what `join` adds."""
    sock = _open(FAMILIES[family], socket.SOCK_RAW, protocol, f"to hear VRRP on {interface}")
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
        if family == 4:
            sock.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0)
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1)
        make_room(sock, BUFFER, buffer)
    except OSError as error:
        sock.close()
        raise SystemFault(f"cannot hear VRRP on {interface}: {error.strerror}") from None
    return sock


def join(sock: socket.socket, interface: str, index: int, group: str) -> None:
    """Become a member of a multicast group on this interface."""
    try:
        if ":" in group:
            request = struct.pack("16sI", socket.inet_pton(socket.AF_INET6, group), index)  # struct ipv6_mreq
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_JOIN_GROUP, request)
        else:
            request = struct.pack("4s4si", socket.inet_aton(group), bytes(4), index)  # struct ip_mreqn
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
    except OSError as error:
        raise SystemFault(f"cannot join {group} on {interface}: {error.strerror}") from None


def hear_only(sock: socket.socket, mac: bytes) -> None:
    """Only what comes from this address; the kernel drops the rest before it wakes us (classic BPF, filter.txt)."""
    high, low = struct.unpack("!IH", mac)
    program = [
        (BPF_LD_W_ABS, 0, 0, SKF_LL_OFF + 6),  # of the source address in the Ethernet header: four bytes
        (BPF_JEQ, 0, 3, high),
        (BPF_LD_H_ABS, 0, 0, SKF_LL_OFF + 10),  # and two
        (BPF_JEQ, 0, 1, low),
        (BPF_RET, 0, 0, 0xFFFF),
        (BPF_RET, 0, 0, 0),
    ]
    code = array("B", b"".join(struct.pack("=HBBI", *one) for one in program))
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(program), code.buffer_info()[0]))
    except OSError as error:
        sock.close()
        raise SystemFault(f"cannot filter a socket: {error.strerror}") from None


def open_packet() -> socket.socket:
    """Sends whole Ethernet frames on any interface."""
    sock = _open(socket.AF_PACKET, socket.SOCK_RAW, 0, "to send frames")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, PRIORITY)
    return sock


def open_unicast(family: int = 4, device: str = "") -> socket.socket:
    """Sends whole IP packets to unicast peers, by `device` if there is one. Hears nothing (IPPROTO_RAW is never
    received)."""
    sock = _open(FAMILIES[family], socket.SOCK_RAW, socket.IPPROTO_RAW, "to send unicast adverts")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, PRIORITY)
    if device:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode() + b"\0")
        except OSError as error:
            sock.close()
            raise SystemFault(f"cannot send unicast adverts on {device}: {error.strerror}") from None
    return sock


def forwarding(interfaces: Iterable[str]) -> set[str]:
    """Those on which this host is an IPv6 router."""
    found = set()
    for name in interfaces:
        try:
            with open(f"/proc/sys/net/ipv6/conf/{name}/forwarding") as file:
                if file.read().strip() != "0":
                    found.add(name)
        except OSError:  # gone, or a kernel without IPv6
            continue
    return found


@lru_cache
def frame_address(index: int, protocol: int, mac: bytes) -> bytes:
    """struct sockaddr_ll, packet(7)."""
    return struct.pack("=H2siHBB8s", socket.AF_PACKET, protocol.to_bytes(2, "big"), index, 0, 0, len(mac), mac)


def packet_address(ip: str, index: int = 0) -> bytes:
    """struct sockaddr_in, ip(7), or sockaddr_in6, ipv6(7), where `index` is the link of a link-local address."""
    if ":" in ip:
        return struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, socket.inet_pton(socket.AF_INET6, ip), index)
    return struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(ip))


def _open(family: int, kind: int, protocol: int, why: str) -> socket.socket:
    try:
        return socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
    except PermissionError:
        raise SystemFault(f"no permission to open a raw socket {why}: run as root or with CAP_NET_RAW") from None
    except OSError as error:
        raise SystemFault(f"cannot open a socket {why}: {error.strerror}") from None
