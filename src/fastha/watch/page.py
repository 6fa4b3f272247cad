"""The status page: an unprivileged process that shows the daemon to browsers, live.

One look at the daemon per second, however many browsers; each gets a whole view first and then what changed
(server-sent events). Everything the page needs comes from here (`assets/`); its Content-Security-Policy allows nothing
else.

Read-only unless there is an admin token. Then the steward, which stays who it was, carries out `override`s that come
with the token; it compares the token itself, so whoever takes over the serving process has not got far. No cookie is
used, so no other page can act for a reader; requests under a foreign Host or Origin are refused all the same (DNS
rebinding).
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401  asyncio imports it late, when we may not read our own files any more
import hmac
import ipaddress
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import orjson
from aiohttp import web

from fastha.errors import FasthaError
from fastha.watch.apart import Steward, become
from fastha.watch.view import delta, past, real_servers, view

LOOK_S = 1.0
BEAT_S = 15.0  # a comment at least so often: proxies close what is silent
HISTORY = 5000  # changes of state that are remembered
FAILURES_PER_MINUTE = 10
MAX_READERS = 200
ASSETS = {"index.html": "text/html", "page.js": "text/javascript", "page.css": "text/css", "icon.svg": "image/svg+xml"}
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
FIELDS = {"action", "virtual_servers", "real_servers", "weight", "timeout_s", "force", "dry_run"}
Ask = Callable[..., dict[str, Any]]


def overrides(ask: Ask, token: str) -> Callable[[bytes], bytes]:
    """For the steward: {"token", "fields"} -> the daemon's answer, or {"ok": false, "code", "error"}."""

    def answer(question: bytes) -> bytes:
        asked = orjson.loads(question)
        if not token or not hmac.compare_digest(str(asked.get("token")).encode(), token.encode()):
            return orjson.dumps({"ok": False, "code": "denied", "error": "that is not the admin token"})
        fields = {key: value for key, value in asked["fields"].items() if key in FIELDS}
        try:
            return orjson.dumps(ask("override", 10.0, fields))
        except FasthaError as error:
            return orjson.dumps({"ok": False, "code": "refused", "error": str(error)})

    return answer


class Page:
    """`ask(command)`: the daemon. `hosts`: names besides loopback addresses under which the page is reached."""

    def __init__(
        self, ask: Ask, steward: Steward | None, assets: Mapping[str, bytes], hosts: tuple[str, ...] = ()
    ) -> None:
        self._ask, self._steward, self._hosts = ask, steward, hosts
        self._status: dict[str, Any] | None = None
        self._view = view(None)
        self._number = 0
        self._knows_past = False
        self._looked = asyncio.Condition()
        self._states: deque[list[Any]] = deque(maxlen=HISTORY)
        self._failures: deque[float] = deque(maxlen=FAILURES_PER_MINUTE)
        self._readers = 0
        self._carrying = asyncio.Lock()
        self._assets = assets

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._guarded], client_max_size=1 << 16)
        app.router.add_get("/", partial(self._asset, "index.html"))
        for name in ASSETS:
            app.router.add_get(f"/{name}", partial(self._asset, name))
        app.router.add_get("/events", self._events)
        app.router.add_post("/override", self._override)
        app.cleanup_ctx.append(self._looking)
        return app

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Any) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if not self._known(request.host) or (origin and not self._known(urlsplit(origin).netloc)):
            return web.Response(status=403, text="another host is meant\n")
        response: web.StreamResponse = await handler(request)
        return response

    def _known(self, netloc: str) -> bool:
        host = urlsplit(f"//{netloc}").hostname or ""
        if host == "localhost" or host in self._hosts:
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    async def _asset(self, name: str, _request: web.Request) -> web.Response:
        return web.Response(body=self._assets[name], content_type=ASSETS[name], charset="utf-8", headers=HEADERS)

    # -- looking at the daemon --

    async def _looking(self, _app: web.Application) -> Any:
        task = asyncio.create_task(self._look_on())
        yield
        task.cancel()

    async def _look_on(self) -> None:
        while True:
            try:
                status: dict[str, Any] | None = await asyncio.to_thread(self._ask, "status")
            except FasthaError:
                status = None
            new = view(status)
            before = {name: one.get("state") for name, one in self._view["instances"].items()}
            if status is not None and not self._knows_past:
                self._states.extend(await asyncio.to_thread(self._past))
                self._knows_past = True
                before = {name: state for name, _, state in self._states}
            for name, one in new["instances"].items():
                if one.get("state") != before.get(name):
                    self._states.append([name, one.get("since") or time.time(), one.get("state")])
            self._status, self._view = status, new
            self._number += 1
            async with self._looked:
                self._looked.notify_all()
            await asyncio.sleep(LOOK_S)

    def _past(self) -> list[list[Any]]:
        """What happened before we looked, as far as the daemon remembers it."""
        found: list[list[Any]] = []
        asked: dict[str, Any] = {"kinds": ["state"]}
        try:
            while True:
                answer = self._ask("events", 5.0, asked)
                found += past(answer["events"])
                if not answer["more"]:
                    return found
                asked |= {"stream": answer["stream"], "since": answer["last"]}
        except (FasthaError, KeyError):  # the page is there for the present
            return found

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """`open`: the virtual server whose real servers are wanted whole."""
        if self._readers >= MAX_READERS:
            return web.Response(status=503, text="too many readers\n")
        key = request.query.get("open", "")
        response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream"})
        await response.prepare(request)
        self._readers += 1
        try:
            async with self._looked:
                await self._looked.wait_for(lambda: self._number > 0)  # the first look knows the past
            shown, reals, number = self._view, real_servers(self._status, key), self._number
            first = {"view": shown, "real": reals, "history": list(self._states), "admin": self._steward is not None}
            await _send(response, "whole", first)
            while True:
                try:
                    async with self._looked:
                        await asyncio.wait_for(self._looked.wait_for(partial(self._newer, number)), BEAT_S)
                except TimeoutError:
                    await response.write(b": still here\n\n")
                    continue
                number = self._number
                new, new_reals = self._view, real_servers(self._status, key)
                changes = {"view": delta(shown, new), "real": delta(reals, new_reals)}
                shown, reals = new, new_reals
                if changes["view"] or changes["real"]:
                    await _send(response, "change", changes)
                else:
                    await response.write(b": no change\n\n")
        except ConnectionResetError:
            return response
        finally:
            self._readers -= 1

    def _newer(self, number: int) -> bool:
        return self._number != number

    # -- acting --

    async def _override(self, request: web.Request) -> web.Response:
        """Authorization: Bearer TOKEN, and the fields of `override` as JSON (docs/control.md)."""
        if self._steward is None:
            return _refused(403, "this page is read-only")
        if request.content_type != "application/json":
            return _refused(415, "JSON is wanted")
        now = time.monotonic()
        if len(self._failures) == FAILURES_PER_MINUTE and now - self._failures[0] < 60:
            return _refused(429, "too many wrong tokens: wait a minute")
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            fields = orjson.loads(await request.read())
        except orjson.JSONDecodeError:
            fields = None
        if not isinstance(fields, dict):
            return _refused(400, "an object is wanted")
        question = orjson.dumps({"token": token, "fields": fields})
        async with self._carrying:
            answer = orjson.loads(await asyncio.to_thread(self._steward.ask, question))
        if answer.get("code") == "denied":
            self._failures.append(now)
        status = 200 if answer.get("ok") else 403 if answer.get("code") == "denied" else 409
        return web.Response(status=status, body=orjson.dumps(answer), content_type="application/json", headers=HEADERS)


def _refused(status: int, text: str) -> web.Response:
    body = orjson.dumps({"ok": False, "error": text})
    return web.Response(status=status, body=body, content_type="application/json", headers=HEADERS)


async def _send(response: web.StreamResponse, event: str, data: Any) -> None:
    await response.write(b"event: %s\ndata: %s\n\n" % (event.encode(), orjson.dumps(data)))


def serve(ask: Ask, sock: socket.socket, user: str = "", token: str = "", hosts: tuple[str, ...] = ()) -> None:
    """Until SIGTERM or SIGINT, as an ordinary user."""
    steward = Steward(lambda: overrides(ask, token), lambda: None) if token else None
    assets = {name: files("fastha.watch").joinpath("assets", name).read_bytes() for name in ASSETS}
    become(user)

    async def application() -> web.Application:
        return Page(ask, steward, assets, hosts).application()

    web.run_app(application(), sock=sock, print=None, access_log=None, shutdown_timeout=0.5)
    if steward is not None:
        steward.close()
