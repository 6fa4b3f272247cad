"""A non-blocking TCP socket as a check wants it, and what the errno of its calls mean."""

from __future__ import annotations

import errno
import socket
import struct

from fastha.checker.ending import Ending
from fastha.model import Networked

IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h
SO_BINDTODEVICE = 25  # asm-generic/socket.h
SO_MARK = 36
RESET = struct.pack("ii", 1, 0)  # struct linger

# As ending_of in outlet.pyx.
ENDINGS = {
    errno.ECONNREFUSED: Ending.REFUSED,
    errno.EHOSTUNREACH: Ending.UNREACHABLE,
    errno.ENETUNREACH: Ending.UNREACHABLE,
    errno.EHOSTDOWN: Ending.UNREACHABLE,
    errno.ENETDOWN: Ending.UNREACHABLE,
    errno.ECONNRESET: Ending.RESET,
    errno.EPIPE: Ending.RESET,
    errno.ETIMEDOUT: Ending.CONNECT_TIMEOUT,
    errno.EADDRNOTAVAIL: Ending.NO_PORT,
    errno.EADDRINUSE: Ending.NO_PORT,
    errno.EMFILE: Ending.NO_DESCRIPTOR,
    errno.ENFILE: Ending.NO_DESCRIPTOR,
    errno.ENOMEM: Ending.NO_MEMORY,
    errno.ENOBUFS: Ending.NO_MEMORY,
    errno.EACCES: Ending.DENIED,
    errno.EPERM: Ending.DENIED,
}


class SourceFault(OSError):
    """The address to bind to is not on this machine."""


def ending_of(error: OSError) -> Ending:
    """What an error of socket, bind, connect, send or recv means."""
    if isinstance(error, SourceFault):
        return Ending.NO_SOURCE
    return ENDINGS.get(error.errno or 0, Ending.ERROR)


def open_socket(check: Networked) -> socket.socket:
    """Bound and marked as configured, not connected. OSError."""
    family = socket.AF_INET6 if ":" in check.ip else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if check.fwmark:
            sock.setsockopt(socket.SOL_SOCKET, SO_MARK, check.fwmark)
        if check.bind_if:
            sock.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, check.bind_if.encode())
        if check.bind_ip or check.bind_port:
            _bind(sock, check)
    except BaseException:
        sock.close()
        raise
    return sock


def _bind(sock: socket.socket, check: Networked) -> None:
    # As bind_local in outlet.pyx: a port of its own is chosen at connect (ip(7), IP_BIND_ADDRESS_NO_PORT).
    if check.bind_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    any_address = "::" if sock.family == socket.AF_INET6 else "0.0.0.0"
    try:
        sock.bind(_address(check.bind_ip or any_address, check.bind_port, check.bind_if))
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise SourceFault(error.errno, error.strerror) from None
        raise


def connect(sock: socket.socket, check: Networked) -> None:
    """From now on it is under way, or there already. OSError."""
    result = sock.connect_ex(_address(check.ip, check.port, check.bind_if))
    if result not in (0, errno.EINPROGRESS):
        raise OSError(result, errno.errorcode.get(result, ""))


def _address(ip: str, port: int, interface: str) -> tuple[str, int] | tuple[str, int, int, int]:
    """A link-local address means one only together with its interface (RFC 4007 section 6)."""
    if ":" not in ip:
        return ip, port
    scope = socket.if_nametoindex(interface) if interface and ip.lower().startswith("fe80") else 0
    return ip, port, 0, scope


def close(sock: socket.socket, at_once: bool) -> None:
    """`at_once`: with a reset, so that no TIME_WAIT keeps the local port for a minute."""
    if at_once:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        except OSError:
            pass
    sock.close()
