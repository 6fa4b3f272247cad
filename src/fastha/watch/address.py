"""Where a watching process listens: a loopback address with a port, or a Unix socket."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import stat
from dataclasses import dataclass

from fastha.errors import SystemFault


@dataclass(frozen=True, slots=True)
class Address:
    """`path` of a Unix socket, or else `ip` and `port`."""

    path: str = ""
    ip: str = ""
    port: int = 0

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"http://[{self.ip}]:{self.port}/" if ":" in self.ip else f"http://{self.ip}:{self.port}/"


def parse(text: str) -> Address:
    """`127.0.0.1:9650`, `[::1]:9650`, `:9650` (127.0.0.1), `unix:/run/x.sock`. ValueError in one line for people."""
    if text.startswith("unix:"):
        if not text.startswith("unix:/"):
            raise ValueError("unix: wants an absolute path")
        return Address(path=text.removeprefix("unix:"))
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ValueError("an address is IP:PORT or unix:/PATH")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    try:
        ip = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise ValueError(f"{host} is no address") from None
    if not ip.is_loopback:
        raise ValueError(f"{ip} is not loopback: others reach it through a proxy that knows them (TLS, passwords)")
    return Address(ip=str(ip), port=int(port))


def listen(address: Address) -> socket.socket:
    """A listening socket; a dead one at `path` is replaced. SystemFault in one clear line."""
    try:
        if address.path:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        else:
            sock = socket.socket(socket.AF_INET6 if ":" in address.ip else socket.AF_INET, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            if address.path:
                _remove_stale(address.path)
                sock.bind(address.path)
                os.chmod(address.path, 0o666)  # what is told is told to all: `status` is as well
            else:
                sock.bind((address.ip, address.port))
            sock.listen(64)
        except BaseException:
            sock.close()
            raise
    except OSError as error:
        raise SystemFault(f"{address}: {error.strerror or error}") from None
    return sock


def _remove_stale(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise SystemFault(f"{path}: there is something else of that name")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            if probe.connect_ex(path) == 0:
                raise SystemFault(f"{path}: somebody listens there already")
        os.unlink(path)
