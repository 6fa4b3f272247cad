"""`fastha genhash`: the digest of a page, for `digest` of HTTP_GET and SSL_GET. Options as keepalived's genhash has.

It holds the conversation that the check holds (fastha.checker.talk), over a blocking socket.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import socket
import sys
import time
from typing import Any, NoReturn

from fastha.channel.status import Exit
from fastha.checker.ending import GOOD, Ending, describe
from fastha.checker.request import request
from fastha.checker.talk.body import Judge
from fastha.checker.talk.context import build_context
from fastha.checker.talk.http1 import Http1
from fastha.checker.talk.recipe import bare_host
from fastha.checker.talk.sockets import SO_MARK
from fastha.checker.talk.talk import Talk, Verdict
from fastha.checker.talk.tls import Terms, TlsTalk
from fastha.cli.screen import json_text
from fastha.errors import FasthaError
from fastha.model import HttpCheck, HttpUrl, Tls
from fastha.model.units import NS_PER_MS

READ = 65536
MOST_BYTES = 64 << 20
ROW = 16  # bytes in a line of a dump
Address = Any  # what getaddrinfo calls one
PROTOCOLS = {"1.0": "1.0", "1.0c": "1.0C", "1.1": "1.1"}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-s", "--server", metavar="ADDR", required=True, help="the server's address")
    parser.add_argument("-p", "--port", type=int, help="its port (default: 80, with -S 443)")
    parser.add_argument("-u", "--url", metavar="PATH", required=True, help="path of the page")
    parser.add_argument("-S", "--use-ssl", action="store_true", help="over TLS")
    parser.add_argument("-I", "--use-sni", action="store_true", help="send the virtual host's name in TLS")
    parser.add_argument("-V", "--use-virtualhost", metavar="HOST", default="", help="the Host header")
    parser.add_argument("-P", "--protocol", metavar="1.0|1.0c|1.1", default="1.0", help="HTTP version (default: 1.0)")
    parser.add_argument("-t", "--timeout", metavar="SEC", type=float, default=5.0, help="of the whole (default: 5)")
    parser.add_argument("-m", "--fwmark", metavar="N", type=int, default=0, help="mark on the packets")
    parser.add_argument("-v", "--verbose", action="store_true", help="print the header and the body too")
    parser.add_argument("--json", action="store_true", help="digest, status, sizes and time as one JSON object")


class Page(Judge):
    """Takes every reply, and keeps it."""

    def __init__(self) -> None:
        super().__init__(HttpUrl())
        self.content = bytearray()
        self.raw = bytearray()  # with the header

    def status(self, code: int) -> Verdict | None:
        self.code = code
        return None

    def body(self, data: bytes) -> Verdict | None:
        self.content += data
        return None


class Recorder(Http1):
    """Http1 that shows its page what the server said, as it was said."""

    def __init__(self, data: bytes, page: Page) -> None:
        super().__init__(data, page)
        self.page = page

    def receive(self, data: bytes) -> bytes:
        self.page.raw += data
        if len(self.page.raw) > MOST_BYTES:
            self.verdict = Verdict(Ending.TOO_LONG, 0, f"more than {MOST_BYTES >> 20} MiB")
            return b""
        return super().receive(data)


def main(options: argparse.Namespace) -> int:
    page = Page()
    began_ns = time.monotonic_ns()
    verdict = _fetch(options, page)
    if verdict.ending not in GOOD:
        text = describe(verdict.ending, verdict.detail) + (f": {verdict.text}" if verdict.text else "")
        raise FasthaError(f"genhash: {options.server}: {text}")
    digest = hashlib.md5(page.content, usedforsecurity=False).hexdigest()
    size = len(page.raw) - len(page.content)
    if options.json:
        facts = {
            "server": options.server, "url": options.url, "status": page.code, "header_bytes": size,
            "body_bytes": len(page.content), "took_ns": time.monotonic_ns() - began_ns, "digest": digest,
        }  # fmt: skip
        sys.stdout.write(json_text(facts))
        return Exit.OK
    if options.verbose:
        print(f"-- header, {size} bytes\n{dump(page.raw[:size])}\n-- body, {len(page.content)} bytes")
        print(dump(page.content))
        print(f"-- status {page.code}, {(time.monotonic_ns() - began_ns) / NS_PER_MS:.1f} ms; digest of the body:")
    print(digest)
    return Exit.OK


def _fetch(options: argparse.Namespace, page: Page) -> Verdict:
    """The whole exchange. FasthaError if it cannot be begun."""
    if options.protocol.lower() not in PROTOCOLS:
        _refuse(f"'{options.protocol}' is not an HTTP version: 1.0, 1.0c, 1.1")
    port = options.port if options.port is not None else 443 if options.use_ssl else 80
    if not 0 < port < 65536:
        _refuse(f"{port} is not a port")
    if options.timeout <= 0:
        _refuse("the timeout is more than 0")
    try:
        family, _, _, _, address = socket.getaddrinfo(options.server, port, type=socket.SOCK_STREAM)[0]
        ip = str(address[0])
        url = HttpUrl(path=options.url, virtualhost=options.use_virtualhost)
        check = HttpCheck(ip=ip, port=port, urls=(url,), http_protocol=PROTOCOLS[options.protocol.lower()])
        talk: Talk = Recorder(request(check, url), page)
        if options.use_ssl:
            sni = bare_host(options.use_virtualhost) if options.use_sni else ""
            talk = TlsTalk(build_context(Tls()), Terms(sni), talk)
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            return _converse(sock, address, talk, options)
    except (OSError, ValueError) as error:
        raise FasthaError(f"genhash: {options.server}: {getattr(error, 'strerror', None) or error}") from None


def _converse(sock: socket.socket, address: Address, talk: Talk, options: argparse.Namespace) -> Verdict:
    end_s = time.monotonic() + options.timeout

    def patience() -> None:
        left_s = end_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(errno.ETIMEDOUT, "no whole reply in time")
        sock.settimeout(left_s)

    if options.fwmark:
        sock.setsockopt(socket.SOL_SOCKET, SO_MARK, options.fwmark)
    patience()
    sock.connect(address)
    sock.sendall(talk.begin())
    while talk.verdict is None:
        patience()
        data = sock.recv(READ)
        answer = talk.receive(data) if data else talk.end()
        if talk.verdict is None and answer:
            sock.sendall(answer)
    return talk.verdict


def dump(data: bytes | bytearray) -> str:
    """Offset, bytes, and what can be printed of them; 16 in a row."""
    rows = []
    for at in range(0, len(data), ROW):
        row = data[at : at + ROW]
        text = "".join(chr(c) if 32 <= c < 127 else "." for c in row)
        rows.append(f"{at:06x}  {row.hex(' '):{3 * ROW - 1}}  {text}")
    return "\n".join(rows)


def _refuse(text: str) -> NoReturn:
    print(f"fastha genhash: {text}", file=sys.stderr)
    sys.exit(Exit.REFUSED)
