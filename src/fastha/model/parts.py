"""A configuration as parts: pieces of canonical JSON that are equal exactly when their values are.

A part is named by its kind and its key. The real servers of a virtual server are beside its head, in chunks: a chunk
ends behind a real server whose key says so, not at a number, so one that comes or goes changes its own chunk alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import orjson

from fastha.model.codec import Pool, dumps, read
from fastha.model.codec import loads as codec_loads
from fastha.model.config import Config, GlobalDefs
from fastha.model.group import SyncGroup
from fastha.model.lvs import RealServer, VirtualServer, host_port
from fastha.model.routes import Belonging, Route, Rule
from fastha.model.statics import Statics
from fastha.model.track import BfdInstance, TrackFile, TrackProcess, VrrpScript
from fastha.model.vrrp import VrrpInstance

CHUNK_MEAN = 16  # real servers; a power of two
CHUNK_MOST = 64

Key = tuple[str, str]  # kind, name
GLOBALS: Key = ("globals", "")
Value = (
    GlobalDefs
    | SyncGroup
    | VrrpInstance
    | VirtualServer
    | TrackFile
    | BfdInstance
    | VrrpScript
    | TrackProcess
    | Statics
)

# kind -> its class and the field of Config, in the order they are handed on
CLASSES: dict[str, tuple[type[Any], str]] = {
    "globals": (GlobalDefs, "globals"),
    "track_file": (TrackFile, "track_files"),
    "bfd": (BfdInstance, "bfds"),
    "vrrp_script": (VrrpScript, "vrrp_scripts"),
    "track_process": (TrackProcess, "processes"),
    "sync_group": (SyncGroup, "sync_groups"),
    "static": (Statics, "statics"),
    "instance": (VrrpInstance, "instances"),
    "virtual_server": (VirtualServer, "virtual_servers"),
}


@dataclass(frozen=True, slots=True)
class Part:
    """`head`: JSON of the value, without the real servers; `chunks`: JSON arrays of them, in order. `count`: how many
    real servers. `owns`: names of what it puts into the kernel (addresses `eth0 10.0.0.1/24`, services
    `10.0.0.1:80/tcp`; not those of a group, whose marks only the checker knows)."""

    key: Key
    head: bytes
    chunks: tuple[bytes, ...] = ()
    count: int = 0
    owns: tuple[str, ...] = ()


def split(config: Config) -> Iterator[Part]:
    """All parts of a configuration, in its order."""
    yield Part(GLOBALS, dumps(config.globals))
    for file in config.track_files:
        yield Part(("track_file", file.name), dumps(file))
    for bfd in config.bfds:
        yield Part(("bfd", bfd.name), dumps(bfd))
    for script in config.vrrp_scripts:
        yield Part(("vrrp_script", script.name), dumps(script))
    for process in config.processes:
        yield Part(("track_process", process.name), dumps(process))
    for group in config.sync_groups:
        yield Part(("sync_group", group.name), dumps(group))
    for static in config.statics:
        owns = tuple(f"{a.dev} {a}" for a in static.addresses)
        yield Part(("static", static.name), dumps(static), owns=owns + tuple(map(owned, static.belongings)))
    for instance in config.instances:
        owns = tuple(f"{a.dev or instance.carrier} {a}" for a in instance.carried)
        yield Part(("instance", instance.name), dumps(instance), owns=owns + tuple(map(owned, instance.belongings)))
    for server in config.virtual_servers:
        yield part_of(server)


def owned(one: Belonging) -> str:
    """How the state file names a route or rule; `disowned` reads it."""
    return f"{'route' if isinstance(one, Route) else 'rule'} {dumps(one).decode()}"


def disowned(text: str) -> Belonging | None:
    """None if the text names something else, or what another release wrote."""
    kind, _, plain = text.partition(" ")
    try:
        if kind == "route":
            return codec_loads(Route, plain.encode())
        return codec_loads(Rule, plain.encode()) if kind == "rule" else None
    except (TypeError, KeyError, ValueError):
        return None


def part_of(server: VirtualServer) -> Part:
    """One virtual server."""
    reals = server.real_servers
    owns = () if server.group else (server.key,)
    chunks = tuple(orjson.dumps(chunk) for chunk in chunked(reals))
    return Part(("virtual_server", server.key), dumps(replace(server, real_servers=())), chunks, len(reals), owns)


def chunked(servers: Iterable[RealServer]) -> Iterator[list[RealServer]]:
    """Consecutive runs of them."""
    chunk: list[RealServer] = []
    for server in servers:
        chunk.append(server)
        if not crc32(server.key.encode()) % CHUNK_MEAN or len(chunk) == CHUNK_MOST:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def value(kind: str, plain: Any, pool: Pool | None = None) -> Value:
    """The value of a head, from plain data; a virtual server has no real servers yet. `pool`: see codec.read."""
    built: Value = read(CLASSES[kind][0], plain, pool)
    return built


def name_of(kind: str, plain: Value) -> str:
    """The second half of a value's key."""
    if isinstance(plain, VirtualServer):
        return plain.key
    return "" if isinstance(plain, GlobalDefs) else plain.name


def brief(part: Part) -> VirtualServer:
    """A virtual server with no more than operators' decisions need: names, weights, alpha, quorum, members."""
    head = orjson.loads(part.head)
    head["members"] = ()
    head["real_servers"] = ()
    server = read(VirtualServer, head)
    reals = (plain for chunk in part.chunks for plain in orjson.loads(chunk))
    return replace(
        server,
        real_servers=tuple(RealServer(ip=r["ip"], port=r["port"], weight=r["weight"], alpha=r["alpha"]) for r in reals),
    )


def real_servers(part: Part, chunks: Iterable[bytes] | None = None) -> dict[str, Any]:
    """{key: plain data} of the real servers in some of its chunks (default: all)."""
    out = {}
    for chunk in part.chunks if chunks is None else chunks:
        for plain in orjson.loads(chunk):
            out[host_port(plain["ip"], plain["port"])] = plain
    return out
