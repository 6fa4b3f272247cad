"""The native engine behind the door of engine.py: a check becomes a slot of fastha.checker.probe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypedDict

from fastha.checker.ending import Ending
from fastha.checker.engine import Answer
from fastha.checker.probe import KINDS as KINDS
from fastha.checker.probe import RESULT
from fastha.checker.question import dns_query
from fastha.checker.request import request
from fastha.model import Check, DnsCheck, HttpCheck, Networked, TcpCheck, UdpCheck

PAYLOAD = b"fastha health check\n"  # UDP_CHECK without one
Urls = Sequence[tuple[bytes, tuple[tuple[int, int], ...], bytes]]


class Slots(Protocol):
    """The part of fastha.checker.probe.Probes that is used here."""

    def open(
        self,
        ip: str,
        port: int,
        *,
        timeout_ns: int,
        delay_ns: int,
        kind: str = "",
        bind_ip: str = "",
        bind_port: int = 0,
        bind_if: str = "",
        mark: int = 0,
        reset: bool = True,
        urls: Urls = (),
        question: bytes = b"",
        pattern: bytes = b"",
        mask: bytes = b"",
        require_reply: bool = False,
        least: int = 0,
        most: int = 65535,
    ) -> int: ...
    def close_slot(self, slot: int) -> None: ...
    def schedule(self, slot: int, when_ns: int, url: int = 0, steady: bool = False) -> None: ...
    def stats(self, slot: int) -> tuple[int, int, int]: ...
    def generation(self, slot: int) -> int: ...
    def counters(self) -> dict[str, int]: ...
    def close(self) -> None: ...


class Native:
    """An Engine over `Probes` (or a fake of it)."""

    def __init__(self, probes: Slots) -> None:
        self.probes = probes

    def open(self, check: Check) -> int:
        return open_slot(self.probes, check)

    def schedule(self, slot: int, when_ns: int, url: int = 0, steady: bool = False) -> None:
        self.probes.schedule(slot, when_ns, url, steady)

    def close_slot(self, slot: int) -> None:
        self.probes.close_slot(slot)

    def stats(self, slot: int) -> tuple[int, int, int]:
        return self.probes.stats(slot)

    def generation(self, slot: int) -> int:
        return self.probes.generation(slot)

    def counters(self) -> dict[str, int]:
        return self.probes.counters()

    def close(self) -> None:
        self.probes.close()


def answers(data: bytes, number: Callable[[int], int]) -> Iterator[Answer]:
    """The results of one turn; `number` makes a slot of Probes one of Engines."""
    for slot, generation, ending, url, detail, started_ns, ended_ns in RESULT.iter_unpack(data):
        yield Answer(number(slot), generation, Ending(ending), url, detail, started_ns, ended_ns)


class Talk(TypedDict, total=False):
    """What a kind of check says and wants to hear, as `Slots.open` takes it."""

    reset: bool
    urls: Urls
    question: bytes
    pattern: bytes
    mask: bytes
    require_reply: bool
    least: int
    most: int


def talk(check: Networked) -> Talk:
    """ValueError if it cannot be said."""
    if isinstance(check, HttpCheck):
        urls = [(request(check, url), url.status, bytes.fromhex(url.digest)) for url in check.urls]
        return Talk(urls=urls, reset=check.close_reset)
    if isinstance(check, TcpCheck):
        return Talk(reset=check.close_reset)
    if isinstance(check, DnsCheck):
        return Talk(question=dns_query(check.name, check.type))
    if isinstance(check, UdpCheck):
        return Talk(
            question=bytes.fromhex(check.payload) or PAYLOAD,
            pattern=bytes.fromhex(check.reply),
            mask=bytes.fromhex(check.mask),
            require_reply=check.require_reply,
            least=check.min_reply_length,
            most=check.max_reply_length,
        )
    return Talk()


def open_slot(probes: Slots, check: Check) -> int:
    """A slot for a configured check."""
    assert isinstance(check, Networked), check
    return probes.open(
        check.ip,
        check.port,
        kind=check.kind,
        timeout_ns=check.timeout_ns,
        delay_ns=check.delay_ns,
        bind_ip=check.bind_ip,
        bind_port=check.bind_port,
        bind_if=check.bind_if,
        mark=check.fwmark,
        **talk(check),
    )
