"""The one door to all engines: which check goes where."""

from __future__ import annotations

import pytest

from fastha.checker.engine import HTTP_REGEX, Engines
from fastha.model import Check, HttpCheck, HttpUrl, TcpCheck
from fastha.model.checks import Regex


class Recorder:
    def __init__(self) -> None:
        self.log: list[tuple[object, ...]] = []

    def open(self, check: Check) -> int:
        self.log.append(("open", check))
        return len(self.log) - 1

    def close_slot(self, slot: int) -> None:
        self.log.append(("close", slot))

    def schedule(self, slot: int, when_ns: int, url: int = 0, steady: bool = False) -> None:
        self.log.append(("schedule", slot, when_ns, url, steady))

    def stats(self, slot: int) -> tuple[int, int, int]:
        return slot, 0, -1

    def generation(self, slot: int) -> int:
        return slot + 100

    def counters(self) -> dict[str, int]:
        return {"started": len(self.log)}

    def close(self) -> None:
        self.log.append(("closed",))


def test_a_check_goes_to_the_engine_of_its_way_and_comes_back_by_its_number() -> None:
    native, talk = Recorder(), Recorder()
    engines = Engines({"TCP_CHECK": native, "HTTP_GET": native, HTTP_REGEX: talk})
    tcp = TcpCheck(ip="192.0.2.1", port=1)
    plain = HttpCheck(ip="192.0.2.1", port=1, urls=(HttpUrl(path="/"),))
    matched = HttpCheck(ip="192.0.2.1", port=1, urls=(HttpUrl(path="/"), HttpUrl(regex=Regex(pattern="ok"))))
    slots = [engines.open(c) for c in (tcp, plain, matched)]
    assert len(set(slots)) == 3
    assert [e[1] for e in native.log] == [tcp, plain]
    assert [e[1] for e in talk.log] == [matched]
    assert slots == [engines.slot("TCP_CHECK", 0), engines.slot("HTTP_GET", 1), engines.slot(HTTP_REGEX, 0)]
    engines.schedule(slots[2], 7, 1, True)
    engines.close_slot(slots[1])
    assert talk.log[-1] == ("schedule", 0, 7, 1, True)
    assert native.log[-1] == ("close", 1)
    assert engines.generation(slots[1]) == 101
    assert engines.counters() == {"started": len(native.log) + len(talk.log)}


def test_a_check_without_an_engine_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="HTTP_GET with regex"):
        Engines({"HTTP_GET": Recorder()}).open(
            HttpCheck(ip="192.0.2.1", port=1, urls=(HttpUrl(regex=Regex(pattern="x")),))
        )
