"""The descriptors adverts pass through. Every failure is one clear SystemFault.

- receive: one raw socket (protocol 112) per interface, bound to it and a member of the group there; where an instance
  has `auth_type AH`, another one for protocol 51.
- multicast out: one packet socket that only sends. Protocol 0: a *receiving* one would be shown every packet.
- unicast out: one raw socket with IP_HDRINCL; the kernel routes.
"""

from __future__ import annotations

import socket
import struct

from fastha.errors import SystemFault

VRRP = 112  # RFC 9568 section 5.1.1.4
AH = 51  # RFC 2402 section 2
GROUP = "224.0.0.18"  # RFC 9568 section 5.1.1.2
PRIORITY = 7  # SO_PRIORITY: the highest a process may ask for; ahead of traffic in a pfifo_fast queue
BUFFER = 1 << 20
SO_RCVBUFFORCE = 33
IP_MULTICAST_ALL = 49  # linux/in.h
ETH_P_IP, ETH_P_ARP = 0x0800, 0x0806


def open_receive(interface: str, index: int, protocol: int = VRRP) -> socket.socket:
    """The raw socket that hears `interface`, multicast and unicast."""
    sock = _open(socket.AF_INET, socket.SOCK_RAW, protocol, f"to hear VRRP on {interface}")
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
        sock.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
        request = struct.pack("4s4si", socket.inet_aton(GROUP), bytes(4), index)  # struct ip_mreqn
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        try:
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
        except PermissionError:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    except OSError as error:
        sock.close()
        raise SystemFault(f"cannot hear VRRP on {interface}: {error.strerror}") from None
    return sock


def open_packet() -> socket.socket:
    """Sends whole Ethernet frames on any interface."""
    sock = _open(socket.AF_PACKET, socket.SOCK_RAW, 0, "to send frames")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, PRIORITY)
    return sock


def open_unicast() -> socket.socket:
    """Sends whole IP packets to unicast peers. Hears nothing (IPPROTO_RAW is never received)."""
    sock = _open(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW, "to send unicast adverts")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, PRIORITY)
    return sock


def frame_address(index: int, protocol: int, mac: bytes) -> bytes:
    """struct sockaddr_ll, packet(7)."""
    return struct.pack("=H2siHBB8s", socket.AF_PACKET, protocol.to_bytes(2, "big"), index, 0, 0, len(mac), mac)


def packet_address(ip: str) -> bytes:
    """struct sockaddr_in, ip(7)."""
    return struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(ip))


def _open(family: int, kind: int, protocol: int, why: str) -> socket.socket:
    try:
        return socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
    except PermissionError:
        raise SystemFault(f"no permission to open a raw socket {why}: run as root or with CAP_NET_RAW") from None
    except OSError as error:
        raise SystemFault(f"cannot open a socket {why}: {error.strerror}") from None
