"""Whether a configuration can be run, before anybody commits to it: the first half of a reload."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from fastha.checker import plan
from fastha.checker.engine import way
from fastha.checker.native import talk
from fastha.checker.talk.context import Contexts
from fastha.checker.talk.engine import WAYS
from fastha.checker.talk.recipe import validate
from fastha.child.work import PIECE, pieces
from fastha.dataplane.backend import Backend
from fastha.model import (
    Check,
    DnsCheck,
    HttpCheck,
    Networked,
    PingCheck,
    RealServer,
    SslCheck,
    TcpCheck,
    UdpCheck,
    VirtualServer,
)


def refusing(server: VirtualServer, backend: Backend, tried: Iterable[RealServer] = ()) -> Iterator[str]:
    """Why this virtual server cannot be run here, in one line that names it, after any number of empty ones, which are
    places to pause; it ends without one if it can. `tried`: real servers that run, by identity: they are not tried
    again."""
    known: set[int] = set()
    for some in pieces(tuple(tried)):
        known.update(map(id, some))
        yield ""
    fresh: list[RealServer] = []
    for some in pieces(server.real_servers):
        fresh += [rs for rs in some if id(rs) not in known]
        yield ""
    # How many destinations there are matters for mh, which does not take tens of thousands.
    at_once = server.scheduler == "mh" or len(server.real_servers) <= PIECE
    for some in (server.real_servers,) if at_once else pieces(server.real_servers):
        if reason := backend.refuse(replace(server, real_servers=tuple(some))):
            yield f"virtual server {server.key}: {reason}"
            return
        yield ""
    contexts = Contexts()
    for some in pieces(fresh) if fresh else ((),):  # without one it is still to be built
        if reason := _unbuildable(replace(server, real_servers=tuple(some)), contexts):
            yield f"virtual server {server.key}: {reason}"
            return
        yield ""


def fitted(server: VirtualServer, backend: Backend) -> VirtualServer:
    """`server` without what this backend gives no choice in: `masquerade` (IPVS never does, nft may)."""
    if server.masquerade or getattr(backend, "masquerades", False):
        return server
    return replace(server, masquerade=True)


def _unbuildable(server: VirtualServer, contexts: Contexts) -> str:
    """Build everything once that a commit will build; what cannot be is the reason."""
    try:
        plan.row(plan.start(server, [True] * len(server.real_servers)))
        plan.keys(server, mark=1)
    except KeyError as error:
        return f"{error} is not known"
    for rs in server.real_servers:
        for check in rs.checks:
            try:
                _try(check, contexts)
            except (ValueError, OSError) as error:
                return f"real server {rs.key}: {check.kind}: {error}"
    return ""


def _try(check: Check, contexts: Contexts) -> None:
    if check.delay_ns <= 0:
        raise ValueError("delay_loop is more than 0")
    if isinstance(check, Networked):
        _try_connection(check)
    if isinstance(check, TcpCheck | UdpCheck | DnsCheck):
        talk(check)
    if isinstance(check, HttpCheck | SslCheck):
        _try_urls(check)
    if way(check) in WAYS:
        validate(check, contexts)


def _try_connection(check: Networked) -> None:
    if not 0 < check.port < 65536 and not isinstance(check, PingCheck):
        raise ValueError("which port to connect to? (connect_port)")
    if check.timeout_ns <= 0:
        raise ValueError("connect_timeout is more than 0")
    if check.bind_ip and (":" in check.bind_ip) != (":" in check.ip):
        raise ValueError(f"cannot bind to {check.bind_ip} and connect to {check.ip}")


def _try_urls(check: HttpCheck | SslCheck) -> None:
    if not check.urls:
        raise ValueError("no url")
    if isinstance(check, HttpCheck):
        talk(check)
    for url in check.urls:
        if len(bytes.fromhex(url.digest)) not in (0, 16):
            raise ValueError(f"digest {url.digest!r} is not 32 hexadecimal digits")
        if not all(100 <= low <= high <= 599 for low, high in url.status):
            raise ValueError(f"statuses are within 100-599, not {url.status}")
