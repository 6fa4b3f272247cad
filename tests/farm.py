"""A client, a director and three real servers in namespaces, for tests of a dataplane that forwards by NAT.

    client 10.1.0.10..29, fd01::10   --front--   director 10.1.0.1, VIPs 10.1.0.100, fd01::100
                                                 director 10.2.0.1, fd02::1   --back--   s1..s3 10.2.0.11.., fd02::11..

The real servers have no route to the client. Each answers every line (TCP) and datagram (UDP) on PORT with its
name and the address it was asked from; a line that begins with GET gets an HTTP response.
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections import Counter
from socket import AF_INET, AF_INET6, SOCK_DGRAM, SOCK_STREAM

from fastha.lab.netns import Namespace
from fastha.lab.network import Network

PORT = 8080
VIP = {AF_INET: "10.1.0.100", AF_INET6: "fd01::100"}
REAL = {AF_INET: "10.2.0.1{}", AF_INET6: "fd02::1{}"}
CLIENT = {AF_INET: "10.1.0.{}", AF_INET6: "fd01::{}"}
CLIENTS = range(10, 30)
TIMEOUT_S = 5


class Farm:
    """Use as a context manager: the servers' thread and sockets end with it, the namespaces with `network`."""

    def __init__(self, network: Network) -> None:
        self.client = network.namespace("client")
        self.director = network.namespace("director")
        clients = [CLIENT[f].format(i) + mask for f, mask in ((AF_INET, "/24"), (AF_INET6, "/64")) for i in CLIENTS]
        network.attach("front", self.client, "eth0", *clients)
        vips = (f"{VIP[AF_INET]}/32", f"{VIP[AF_INET6]}/128")
        network.attach("front", self.director, "front", "10.1.0.1/24", "fd01::1/64", *vips)
        network.attach("back", self.director, "back", "10.2.0.1/24", "fd02::1/64")
        self.director.sysctl("net.ipv4.ip_forward", 1)
        self.director.sysctl("net.ipv6.conf.all.forwarding", 1)
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        self.servers = [network.namespace(f"s{i}") for i in (1, 2, 3)]
        for i, server in enumerate(self.servers, 1):
            network.attach("back", server, "eth0", f"{REAL[AF_INET].format(i)}/24", f"{REAL[AF_INET6].format(i)}/64")
            for family in VIP:
                for kind in (SOCK_STREAM, SOCK_DGRAM):
                    self._listen(server, family, kind, f"s{i}")
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Farm:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wake.send(b"x")
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()
        self._wake.close()

    def connect(self, family: int = AF_INET, port: int = 80, source: int = CLIENTS[0]) -> socket.socket:
        """A TCP connection from client number `source` to the VIP; closing it is the caller's."""
        return self._open(self.client, family, SOCK_STREAM, port, CLIENT[family].format(source))

    def flow(self, family: int = AF_INET, port: int = 53, source: int = CLIENTS[0]) -> socket.socket:
        """A connected UDP socket; closing it is the caller's."""
        return self._open(self.client, family, SOCK_DGRAM, port, CLIENT[family].format(source))

    def ask(self, count: int = 1, family: int = AF_INET, port: int = 80, source: int = CLIENTS[0]) -> Counter[str]:
        """How often which server answered new TCP connections."""
        return Counter(self.answer(SOCK_STREAM, family, port, source)[0] for _ in range(count))

    def ask_udp(self, count: int = 1, family: int = AF_INET, port: int = 53, source: int = CLIENTS[0]) -> Counter[str]:
        """The same for datagrams, each from a new source port."""
        return Counter(self.answer(SOCK_DGRAM, family, port, source)[0] for _ in range(count))

    def answer(self, kind: int, family: int, port: int, source: int) -> list[str]:
        """[server's name, address it was asked from]."""
        with self._open(self.client, family, kind, port, CLIENT[family].format(source)) as sock:
            return say(sock)

    def from_director(self, family: int = AF_INET, port: int = 80) -> str:
        """Who answers the director itself."""
        with self._open(self.director, family, SOCK_STREAM, port) as sock:
            return say(sock)[0]

    def _open(self, where: Namespace, family: int, kind: int, port: int, source: str = "") -> socket.socket:
        sock = where.socket(family, kind)
        try:
            sock.settimeout(TIMEOUT_S)
            if source:
                sock.bind((source, 0))
            sock.connect((VIP[family], port))
        except BaseException:
            sock.close()
            raise
        return sock

    def _listen(self, server: Namespace, family: int, kind: int, name: str) -> None:
        sock = server.socket(family, kind)
        if family == AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(("::" if family == AF_INET6 else "0.0.0.0", PORT))
        if kind == SOCK_STREAM:
            sock.listen(256)
        self._selector.register(sock, selectors.EVENT_READ, (name, "listen" if kind == SOCK_STREAM else "udp"))

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                assert isinstance(key.fileobj, socket.socket)
                self._one(key.fileobj, *key.data)

    def _one(self, sock: socket.socket, name: str, role: str) -> None:
        if role == "listen":
            accepted, _ = sock.accept()
            self._selector.register(accepted, selectors.EVENT_READ, (name, "tcp"))
        elif role == "udp":
            _, source = sock.recvfrom(2048)
            sock.sendto(f"{name} {source[0]}\n".encode(), source)
        else:
            try:
                asked = sock.recv(2048)
                text = f"{name} {sock.getpeername()[0]}\n" if asked else ""
                http = asked.startswith(b"GET")
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n" if http else ""
                sock.sendall((head + text).encode())
            except OSError:
                asked, http = b"", False
            if not asked or http:
                self._selector.unregister(sock)
                sock.close()


def say(sock: socket.socket) -> list[str]:
    """Ask over an open connection: [server's name, address it was asked from]."""
    sock.sendall(b"who?\n")
    answer = sock.recv(2048)
    if not answer:
        raise ConnectionResetError("the server closed the connection")
    return answer.decode().split()
