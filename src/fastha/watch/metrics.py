"""The exporter: a process of its own that answers scrapes. Nothing of it runs on the daemon's loops: a scrape is one
`status` to the parent, answered from its picture, and one dump of IPVS through the steward's own netlink socket.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401  asyncio imports it late, when we may not read our own files any more
import gc
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
from aiohttp import web

from fastha.errors import FasthaError, SystemFault
from fastha.watch.apart import CAP_NET_ADMIN, Steward, become
from fastha.watch.everything import everything
from fastha.watch.exposition import text
from fastha.watch.traffic import Row, read

Ask = Callable[[], dict[str, Any]]
INDEX = b"<!doctype html><title>fastha</title><p>fastha: <a href=/metrics>metrics</a></p>\n"


def ipvs_counters() -> Callable[[bytes], bytes]:
    """For a steward: the table's counters as JSON, `null` where they cannot be read."""
    try:
        from fastha.dataplane.ipvs import IpvsBackend

        backend = IpvsBackend()
    except (SystemFault, ImportError):
        return lambda _question: b"null"

    def answer(_question: bytes) -> bytes:
        try:
            return orjson.dumps(read(backend))
        except OSError:
            return b"null"

    return answer


def scrape(ask: Ask, steward: Steward, accept: str = "") -> tuple[bytes, str]:
    """The text of all families and its content type. A daemon that does not answer is keepalived_up 0."""
    try:
        status: dict[str, Any] | None = ask()
    except FasthaError:
        status = None
    try:
        rows: list[Row] | None = orjson.loads(steward.ask(b"counters"))
    except OSError:
        rows = None
    return text(everything(status, rows), accept)


def once(ask: Ask, accept: str = "") -> bytes:
    """One scrape, with what this user may see."""
    steward = Steward(ipvs_counters, lambda: None)
    try:
        return scrape(ask, steward, accept)[0]
    finally:
        steward.close()


def serve(ask: Ask, sock: socket.socket, user: str = "") -> None:
    """Answer GET /metrics on `sock` until SIGTERM or SIGINT, as an ordinary user."""
    steward = Steward(ipvs_counters, partial(become, user, (CAP_NET_ADMIN,)))
    become(user)
    gc.freeze()
    gc.disable()  # what a scrape makes has no cycles, and is much: looking for some would double its time
    one_at_a_time = asyncio.Lock()

    async def metrics(request: web.Request) -> web.Response:
        async with one_at_a_time:
            accept = request.headers.get("Accept", "")
            body, content_type = await asyncio.to_thread(scrape, ask, steward, accept)
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def index(_request: web.Request) -> web.Response:
        return web.Response(body=INDEX, content_type="text/html")

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/", index)
    web.run_app(app, sock=sock, print=None, access_log=None, shutdown_timeout=1)
    steward.close()


def say(line: str) -> None:
    """One line for people on stderr; the journal has it under systemd."""
    print(f"fastha: {line}", file=sys.stderr, flush=True)
