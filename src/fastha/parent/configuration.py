"""A configuration as the parent holds it: parts, and what the parent itself has to know of them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from ipaddress import ip_address

import orjson

from fastha.model import Config, GlobalDefs, SyncGroup, TrackFile, VirtualServer, VrrpInstance, codec
from fastha.model.lvs import host_port
from fastha.model.parts import GLOBALS, Key, Part, brief, split
from fastha.model.parts import value as value_of

Facts = Mapping[str, object]


class Configuration:
    """Not modified after it was made: `parts` in the order of the file."""

    def __init__(self, parts: Iterable[Part] = ()) -> None:
        self.parts: dict[Key, Part] = {part.key: part for part in parts}

    @cached_property
    def globals(self) -> GlobalDefs:
        part = self.parts.get(GLOBALS)
        return codec.loads(GlobalDefs, part.head) if part is not None else GlobalDefs()

    @cached_property
    def track_files(self) -> tuple[TrackFile, ...]:
        return tuple(codec.loads(TrackFile, part.head) for part in self.of("track_file"))

    @cached_property
    def servers(self) -> Servers:
        return Servers(self)

    @cached_property
    def priorities(self) -> dict[str, int]:
        """Configured priorities by name of instance."""
        found = {}
        for part in self.of("instance"):
            value = value_of("instance", orjson.loads(part.head))
            assert isinstance(value, VrrpInstance)
            found[value.name] = value.priority
        return found

    @cached_property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Names of instances by name of sync group."""
        found = {}
        for part in self.of("sync_group"):
            value = value_of("sync_group", orjson.loads(part.head))
            assert isinstance(value, SyncGroup)
            found[value.name] = value.members
        return found

    def of(self, kind: str) -> Iterator[Part]:
        return (part for key, part in self.parts.items() if key[0] == kind)

    def has(self, kind: str) -> bool:
        return next(self.of(kind), None) is not None

    def same(self, other: Configuration | None, kinds: Iterable[str]) -> bool:
        """Whether both say the same about these kinds; order does not count."""
        wanted = frozenset(kinds)
        if other is None:
            return False
        mine = [key for key in self.parts if key[0] in wanted]
        if len(mine) != sum(key[0] in wanted for key in other.parts):
            return False
        return all((theirs := other.parts.get(key)) is self.parts[key] or theirs == self.parts[key] for key in mine)

    def counts(self) -> tuple[int, int, int]:
        """(instances, virtual servers, real servers)."""
        servers = list(self.of("virtual_server"))
        return sum(1 for _ in self.of("instance")), len(servers), sum(part.count for part in servers)

    def owned(self, kind: str, facts: Mapping[str, Mapping[str, object]]) -> frozenset[str]:
        """What parts of this kind put into the kernel. `facts`: what the checker reports of the virtual servers; only
        it knows the marks that nftables gives groups."""
        names = {name for part in self.of(kind) for name in part.owns}
        if kind == "virtual_server":
            for part in self.of(kind):
                if not part.owns:
                    server = value_of("virtual_server", orjson.loads(part.head))
                    assert isinstance(server, VirtualServer)
                    mark = facts.get(part.key[1], {}).get("mark", 0)
                    assert isinstance(mark, int)
                    names.update(service_names(server, mark))
        return frozenset(names)


def configured(config: Config) -> Configuration:
    """From a Config, for who has one."""
    return Configuration(split(config))


class Servers(Mapping[str, VirtualServer]):
    """Virtual servers by key with what operators' decisions need (`brief`), made when asked for; a few are kept."""

    KEPT = 128

    def __init__(self, configuration: Configuration) -> None:
        self._parts = {part.key[1]: part for part in configuration.of("virtual_server")}
        self._kept: dict[str, VirtualServer] = {}

    def __getitem__(self, key: str) -> VirtualServer:
        server = self._kept.get(key)
        if server is None:
            server = brief(self._parts[key])
            if len(self._kept) >= self.KEPT:
                self._kept.clear()
            self._kept[key] = server
        return server

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __contains__(self, key: object) -> bool:
        return key in self._parts


class RealKeys(Mapping[str, list[str]]):
    """Keys of real servers by key of virtual server, of those that are asked for."""

    def __init__(self, servers: Mapping[str, VirtualServer]) -> None:
        self._servers = servers

    def __getitem__(self, key: str) -> list[str]:
        return [rs.key for rs in self._servers[key].real_servers]

    def __iter__(self) -> Iterator[str]:
        return iter(self._servers)

    def __len__(self) -> int:
        return len(self._servers)


def service_names(server: VirtualServer, mark: int) -> Iterator[str]:
    """Key texts of the kernel's services of a virtual server (`10.0.0.1:80/tcp`, `fwmark 7/inet`)."""
    if not server.group:
        yield server.key
    for member in server.members:
        if member.fwmark or mark:
            yield f"fwmark {member.fwmark or mark}/{member.family}"
            continue
        first, last = ip_address(member.first_ip), ip_address(member.last_ip)
        build: Callable[[int], object] = type(first)
        for number in range(int(first), int(last) + 1):
            yield f"{host_port(str(build(number)), member.port)}/{server.protocol.lower()}"
