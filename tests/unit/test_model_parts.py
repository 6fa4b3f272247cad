"""Parts are equal when values are; what goes over the channel rebuilds the configuration, and only differences go."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import replace
from typing import Any

import orjson
import pytest

from fastha.channel.frame import encode
from fastha.channel.messages import check
from fastha.channel.stream import Decoder, End
from fastha.channel.stream import encode as encode_item
from fastha.child.parts import Draft, Parts
from fastha.errors import Fault, Severity
from fastha.model import (
    BfdInstance,
    Config,
    GlobalDefs,
    HttpCheck,
    HttpUrl,
    RealServer,
    TcpCheck,
    TrackFile,
    VirtualAddress,
    VirtualServer,
    VrrpInstance,
)
from fastha.model.parts import CHUNK_MOST, Part, brief, chunked, real_servers, split
from fastha.parent import changes
from fastha.parent.changes import messages, previous_slices, summarize
from fastha.parent.configuration import Configuration, configured
from walk.seeds import walk

KINDS = frozenset(("globals", "instance", "virtual_server", "track_file", "bfd"))


def real(number: int, weight: int = 1) -> RealServer:
    ip = f"192.0.{number >> 8}.{number & 255}"
    return RealServer(ip=ip, port=80, weight=weight, checks=(TcpCheck(ip=ip, port=80),))


def server(number: int, reals: list[RealServer], **more: Any) -> VirtualServer:
    return VirtualServer(ip=f"10.0.0.{number}", port=80, real_servers=tuple(reals), **more)


def some_config(rng: random.Random) -> Config:
    http = HttpCheck(ip="192.0.2.1", port=8080, urls=(HttpUrl(path=rng.choice("abc")),))
    servers = [
        server(n, [real(i, rng.randint(1, 3)) for i in sorted(rng.sample(range(300), rng.randint(0, 150)))])
        for n in sorted(rng.sample(range(8), rng.randint(0, 6)))
    ]
    if servers:
        servers[0] = replace(servers[0], quorum=rng.randint(1, 3), real_servers=(*servers[0].real_servers[:5],))
        extra = RealServer(ip="198.51.100.1", port=81, checks=(http,))
        servers[-1] = replace(servers[-1], real_servers=(extra, *servers[-1].real_servers))
    return Config(
        globals=GlobalDefs(router_id=rng.choice(("a", "b"))),
        instances=tuple(
            VrrpInstance(f"VI_{n}", "eth0", n + 1, rng.randint(1, 3), addresses=(VirtualAddress(f"10.1.0.{n}"),))
            for n in range(rng.randint(0, 3))
        ),
        virtual_servers=tuple(servers),
        track_files=tuple(TrackFile(f"f{n}", f"/x/{n}") for n in range(rng.randint(0, 2))),
        bfds=tuple(BfdInstance(name=f"b{n}", neighbor_ip="192.0.2.9") for n in range(rng.randint(0, 2))),
    )


def as_sets(config: Config) -> tuple[Any, ...]:
    return config.globals, *(
        {str(one): one for one in field}
        for field in (config.instances, config.virtual_servers, config.track_files, config.bfds)
    )


def over_the_wire(message: dict[str, Any]) -> dict[str, Any]:
    check(message, "down")
    plain: dict[str, Any] = orjson.loads(encode(message)[4:])
    return plain


def take(parts: Parts, old: Configuration, new: Configuration, generation: int, base: int) -> Draft:
    for message in messages(old.parts, new.parts, KINDS, generation, base):
        parts.take_parts(over_the_wire(message))
        if generation % 2:
            deque(parts.digest(), maxlen=0)
    propose = {"type": "propose", "generation": generation, "config": None, "dataplane": "none", "previous": {}}
    draft, _previous = parts.built(over_the_wire(propose))
    return draft


@pytest.mark.parametrize("_run", range(20))
def test_a_child_that_is_sent_differences_has_the_whole(_run: int) -> None:
    rng = walk("parts")
    parts, runs, held = Parts(), Configuration(), Config()
    for generation in range(1, 8):
        wanted = some_config(rng)
        new = configured(wanted)
        draft = take(parts, runs, new, generation, parts.generation)
        assert as_sets(draft.config) == as_sets(wanted)
        before = {s.key: s for s in held.virtual_servers}
        assert {s.key for s in draft.virtual_servers} == {
            s.key for s in wanted.virtual_servers if before.get(s.key) != s
        }
        for s in draft.config.virtual_servers:
            if before.get(s.key) == s:
                assert before[s.key] is s  # unchanged: the very object
        if rng.random() < 0.3:  # abandoned: the next one starts from the same base
            continue
        list(parts.commit(draft))
        runs, held = new, draft.config


def test_one_of_fifty_thousand_costs_one_chunk() -> None:
    reals = [real(n) for n in range(50_000)]
    old = configured(Config(virtual_servers=(server(1, reals),)))
    reals[30_000] = replace(reals[30_000], weight=9)
    new = configured(Config(virtual_servers=(server(1, reals),)))
    sent = list(messages(old.parts, new.parts, KINDS, 2, 1))
    assert sum(len(encode(message)) for message in sent) < 64_000
    front = configured(Config(virtual_servers=(server(1, [real(60_000), *reals]),)))
    sent = list(messages(new.parts, front.parts, KINDS, 3, 2))
    assert sum(len(encode(message)) for message in sent) < 64_000  # one more in front moves nothing else
    whole = list(messages({}, new.parts, KINDS, 1, 0))
    assert max(len(encode(message)) for message in whole) < changes.SLICE_BYTES + 64_000


def test_chunks_are_bounded_and_whole() -> None:
    reals = [real(n) for n in range(1000)]
    chunks = list(chunked(reals))
    assert [rs for chunk in chunks for rs in chunk] == reals
    assert max(map(len, chunks)) <= CHUNK_MOST


def test_what_real_servers_have_in_common_is_one_object() -> None:
    """Of everything that is taken in pieces, and nothing of it is a text that was parsed with the rest."""
    parts = Parts()
    reals = [real(n) for n in range(500)]
    draft = take(
        parts,
        Configuration(),
        configured(Config(virtual_servers=(server(1, reals[:250]), server(2, reals[250:])))),
        1,
        0,
    )
    built = [rs for vs in draft.config.virtual_servers for rs in vs.real_servers]
    assert built == reals
    checks = [check for rs in built for check in rs.checks]
    assert len({id(rs._common) for rs in built}) == len({id(check._common) for check in checks}) == 1  # type: ignore[attr-defined]
    assert all(rs.ip is rs.checks[0].ip for rs in built)  # type: ignore[union-attr]
    assert len({id(rs.tunnel) for rs in built}) == 1


def test_changes_of_another_generation_are_refused() -> None:
    parts = Parts()
    new = configured(Config())
    draft = take(parts, Configuration(), new, 1, 0)
    list(parts.commit(draft))
    with pytest.raises(ValueError, match="generation 7"):
        take(parts, Configuration(), configured(Config(globals=GlobalDefs(router_id="x"))), 2, 7)


def test_a_new_generation_forgets_what_was_collected_for_another() -> None:
    parts = Parts()
    one = configured(Config(track_files=(TrackFile("gone", "/gone"),)))
    for message in messages({}, one.parts, KINDS, 1, 0):
        parts.take_parts(over_the_wire(message))
    draft = take(parts, Configuration(), configured(Config(track_files=(TrackFile("here", "/here"),))), 2, 0)
    assert [file.name for file in draft.config.track_files] == ["here"]
    parts.abandon(2)


def test_previous_comes_in_slices() -> None:
    facts = {"virtual_servers": {f"vs{n}": {"up": True, "n": n} for n in range(100)}, "died_ago_ns": 5, "empty": {}}
    parts = Parts()
    slices = list(previous_slices(facts, 3))
    assert len(slices) > 3
    for message in slices:
        parts.take_previous(over_the_wire(message))
    _draft, previous = parts.built(
        {"generation": 3, "config": None, "previous": {"owned_services": ["a"]}}  # type: ignore[dict-item]
    )
    assert previous == {**facts, "owned_services": ["a"]}


# -- what people are told --


def told(old: Config, new: Config) -> str:
    return str(list(summarize(configured(old).parts, configured(new).parts))[-1])


def test_summary() -> None:
    reals = [real(n) for n in range(100)]
    old = Config(virtual_servers=(server(1, reals), server(2, reals[:3])))
    other = [replace(rs, weight=5) if n in (3, 50, 99) else rs for n, rs in enumerate(reals)]
    assert told(old, old) == ""
    assert (
        told(old, replace(old, virtual_servers=(server(1, other), server(2, reals[:3])))) == "real servers: 3 changed"
    )
    assert (
        told(old, Config(virtual_servers=(server(1, reals[:-1], quorum=2), server(3, reals[:2]))))
        == "virtual servers: 1 added, 1 removed, 1 changed; real servers: 2 added, 4 removed"
    )
    assert told(old, replace(old, globals=GlobalDefs(router_id="x"))) == "global_defs: 1 changed"


def test_what_the_parent_knows_of_a_configuration() -> None:
    instance = VrrpInstance(
        "VI", "eth0", 1, addresses=(VirtualAddress("10.0.0.9", 24), VirtualAddress("10.0.1.9", dev="b"))
    )
    config = configured(Config(instances=(instance,), virtual_servers=(server(1, [real(1), real(2)]),)))
    assert config.counts() == (1, 1, 2)
    assert config.owned("instance", {}) == {"eth0 10.0.0.9/24", "b 10.0.1.9/32"}
    assert config.owned("virtual_server", {}) == {"10.0.0.1:80/tcp"}
    assert [rs.key for rs in config.servers["10.0.0.1:80/tcp"].real_servers] == ["192.0.0.1:80", "192.0.0.2:80"]
    assert config.same(config, KINDS)
    assert not config.same(None, KINDS)
    fewer = configured(Config(instances=(instance,)))
    assert fewer.same(config, {"instance", "globals"})
    assert not fewer.same(config, {"virtual_server"})


def test_brief_and_real_servers() -> None:
    (part,) = (p for p in split(Config(virtual_servers=(server(1, [real(1, 7)], quorum=4),))) if p.chunks)
    short = brief(part)
    assert (short.key, short.quorum, short.real_servers[0].weight) == ("10.0.0.1:80/tcp", 4, 7)
    assert list(real_servers(part)) == ["192.0.0.1:80"]


# -- from the reading process --


@pytest.mark.parametrize("_run", range(10))
def test_the_stream_arrives_however_it_is_cut(_run: int) -> None:
    rng = walk("stream")
    fault = Fault(Severity.WARNING, "a.conf", 3, 4, "so it is", "why?")
    items: list[Any] = [(fault,), *split(some_config(rng)), End(True, 0, 1, ("a.conf",), 5)]
    data = b"".join(map(encode_item, items))
    decoder, got = Decoder(), []
    while data:
        size = rng.choice((1, 7, 100, 5000))
        decoder.feed(data[:size])
        data = data[size:]
        got += decoder.items()
    assert got == items
    assert not decoder.left


@pytest.mark.parametrize(
    "junk", [b"[]\n", b"{}\n", b'{"part": 1}\n', b"nothing\n", b'{"part": ["a", "b", 1, [1e99], []]}\n']
)
def test_nonsense_is_a_value_error_or_its_like(junk: bytes) -> None:
    decoder = Decoder()
    decoder.feed(junk)
    with pytest.raises((ValueError, TypeError, KeyError)):
        list(decoder.items())


def test_a_part_is_equal_when_its_value_is() -> None:
    config = Config(virtual_servers=(server(1, [real(n) for n in range(40)]),))
    again = Config(virtual_servers=(server(1, [real(n) for n in range(40)]),))
    assert list(split(config)) == list(split(again))
    assert isinstance(next(iter(split(config))), Part)
