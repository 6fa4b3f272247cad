"""The ring of events and the `events` command: order, filters, what is lost, who waits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from fastha.log import Log
from fastha.parent import stream
from fastha.parent.events import Events
from fastha.parent.loop import Loop
from fastha.parent.protocol import BadRequest
from fastha.parent.stream import Stream, look, question


class Desk:
    """A ring of eight, a loop, and the answers that were given."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.events = Events(Log("test", syslog=""), size=8)
        self.stream = Stream(self.loop, self.events)
        self.answers: list[dict[str, Any]] = []

    def happen(self, *texts: str, kind: str = "state", subject: str = "vi") -> None:
        for text in texts:
            self.events.add("vrrp", kind, subject, text, f"cause of {text}")

    def ask(self, **fields: Any) -> None:
        self.stream.ask(fields, lambda line: self.answers.append(orjson.loads(line)))

    def turns(self) -> None:
        for _ in range(3):
            self.loop.turn(0)

    def numbers(self) -> list[int]:
        return [event["number"] for event in self.answers[-1]["events"]]


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.loop.close()


def test_events_come_in_order_with_number_and_cause(desk: Desk) -> None:
    desk.happen("a", "b")
    desk.ask()
    assert desk.numbers() == [1, 2]
    assert desk.answers[0]["events"][1]["cause"] == "cause of b"
    assert desk.answers[0]["last"] == 2
    assert desk.events.add("vrrp", "x", "", "speaks for itself").cause == "speaks for itself"


def test_who_comes_back_misses_nothing_that_is_kept_and_hears_of_what_is_not(desk: Desk) -> None:
    desk.happen("a", "b", "c")
    desk.ask()
    name, last = desk.answers[0]["stream"], desk.answers[0]["last"]
    desk.happen(*"defgh")
    desk.ask(stream=name, since=last)
    assert (desk.numbers(), desk.answers[-1]["lost"]) == ([4, 5, 6, 7, 8], 0)
    desk.happen(*"ijklm")  # 6..13 are kept
    desk.ask(stream=name, since=last)
    assert (desk.numbers(), desk.answers[-1]["lost"]) == (list(range(6, 14)), 2)
    desk.ask(stream=name, since=13)
    assert (desk.numbers(), desk.answers[-1]["lost"]) == ([], 0)


def test_another_daemon_has_another_stream(desk: Desk) -> None:
    desk.happen("a", "b")
    desk.ask(stream="somebody else's", since=700)
    assert desk.answers[0]["restarted"] is True
    assert desk.numbers() == [1, 2]


def test_filters_by_kind_and_name_and_pages(desk: Desk) -> None:
    desk.happen("a", "b", subject="vi_1")
    desk.happen("c", kind="drift", subject="dataplane")
    desk.happen("d", subject="vi_2")
    desk.ask(kinds=["st*"], subjects=["vi_*"])
    assert desk.numbers() == [1, 2, 4]
    desk.ask(kinds=["drift", "nothing"])
    assert desk.numbers() == [3]
    desk.ask(limit=2, subjects=["vi_*"])
    assert (desk.numbers(), desk.answers[-1]["more"], desk.answers[-1]["last"]) == ([1, 2], True, 2)
    desk.ask(limit=2, subjects=["vi_*"], since=2, stream=desk.events.stream)
    assert (desk.numbers(), desk.answers[-1]["more"], desk.answers[-1]["last"]) == ([4], False, 4)


def test_since_a_time(desk: Desk) -> None:
    desk.happen("a", "b", "c")
    walls = [event.wall for event in desk.events.since(0)]
    assert look(desk.events, question({"after": walls[0] - 1}))["events"][0]["number"] == 1
    assert look(desk.events, question({"after": walls[2] + 1}))["events"] == []


def test_one_who_waits_is_answered_by_the_first_event_it_wants(desk: Desk) -> None:
    desk.ask(wait_s=60, kinds=["drift"])
    desk.turns()
    desk.happen("a", "b")
    desk.turns()
    assert desk.answers == []
    desk.happen("c", kind="drift")
    assert desk.answers == []  # not in the middle of what somebody else does
    desk.turns()
    assert desk.numbers() == [3]
    assert desk.stream.waiting == 0


def test_waiting_ends_without_an_event(desk: Desk) -> None:
    desk.happen("a")
    desk.ask(since=1, wait_s=0.001)
    while not desk.answers:
        desk.loop.turn(1)
    assert (desk.numbers(), desk.answers[0]["last"], desk.stream.waiting) == ([], 1, 0)
    desk.happen("b")
    desk.turns()
    assert len(desk.answers) == 1


def test_few_may_wait(desk: Desk) -> None:
    for _ in range(stream.MOST_WAITING + 1):
        desk.ask(wait_s=60)
    assert [answer["code"] for answer in desk.answers] == ["busy"]
    desk.happen("a")
    desk.turns()
    assert len(desk.answers) == stream.MOST_WAITING + 1


@pytest.mark.parametrize(
    "fields",
    [
        {"since": -1}, {"since": "1"}, {"since": True}, {"since": 1, "after": 2}, {"after": "yesterday"}, {"stream": 1},
        {"limit": 0}, {"limit": stream.MOST + 1}, {"wait_s": 61}, {"wait_s": -1}, {"kinds": "state"}, {"subjects": [1]},
    ],
)  # fmt: skip
def test_what_is_no_question(fields: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        question(fields)
