"""The `events` command: what happened after a number or a time, at once or as soon as something has.

A reader names the stream and the last number it has seen. What is still in the ring it gets, in order; what is not
is counted as lost. The number of another stream (the daemon was started again meanwhile) counts for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

from fastha.model.units import NS_PER_S
from fastha.parent.control import Reply
from fastha.parent.events import Event, Events
from fastha.parent.loop import Loop
from fastha.parent.protocol import BadRequest, answer, refusal

MOST = 1000  # events in one answer
MOST_WAIT_S = 60.0
MOST_WAITING = 48  # of 64 clients: somebody else can still ask


@dataclass(frozen=True, slots=True)
class Question:
    """`since` and `stream`: the last event seen; `after` (wall clock) instead of it; patterns of kind and subject."""

    stream: str = ""
    since: int | None = None
    after: float | None = None
    kinds: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    limit: int = MOST
    wait_s: float = 0.0


def question(fields: Mapping[str, Any]) -> Question:
    """The fields of a request; BadRequest if they are not one."""
    stream, since, after = fields.get("stream", ""), fields.get("since"), fields.get("after")
    limit, wait_s = fields.get("limit", MOST), fields.get("wait_s", 0)
    if type(stream) is not str:
        raise BadRequest("malformed", "stream is a word")
    if since is not None and (type(since) is not int or since < 0 or after is not None):
        raise BadRequest("malformed", "since is the number of an event, and there is no after beside it")
    if after is not None and type(after) not in (int, float):
        raise BadRequest("malformed", "after is a time, seconds since the epoch")
    if type(limit) is not int or not 1 <= limit <= MOST:
        raise BadRequest("malformed", f"limit is a number from 1 to {MOST}")
    if type(wait_s) not in (int, float) or not 0 <= wait_s <= MOST_WAIT_S:
        raise BadRequest("malformed", f"wait_s is a number of seconds, at most {MOST_WAIT_S:g}")
    return Question(
        stream, since, None if after is None else float(after), *_patterns(fields), limit=limit, wait_s=float(wait_s)
    )


def _patterns(fields: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    found = []
    for name in ("kinds", "subjects"):
        words = fields.get(name, [])
        if not isinstance(words, list) or not all(isinstance(word, str) and word for word in words):
            raise BadRequest("malformed", f"{name} is a list of names or patterns")
        found.append(tuple(words))
    return found[0], found[1]


def look(events: Events, asked: Question) -> dict[str, Any]:
    """{stream, restarted, lost, events, last: the number to ask with next, more: whether there are more already}."""
    restarted = bool(asked.stream) and asked.stream != events.stream
    begin = events.first - 1
    if asked.after is not None:
        begin = events.number_at(asked.after)
    elif asked.since is not None and not restarted:
        begin = asked.since
    lost = max(0, events.first - 1 - begin)
    found: list[Event] = []
    last, more = events.last, False
    for event in events.since(begin):
        if not _wanted(event, asked):
            continue
        if len(found) == asked.limit:
            last, more = found[-1].number, True
            break
        found.append(event)
    return {
        "stream": events.stream,
        "restarted": restarted,
        "lost": lost,
        "events": [asdict(event) for event in found],
        "last": last,
        "more": more,
    }


def _wanted(event: Event, asked: Question) -> bool:
    return (not asked.kinds or any(fnmatchcase(event.kind, one) for one in asked.kinds)) and (
        not asked.subjects or any(fnmatchcase(event.subject, one) for one in asked.subjects)
    )


class Stream:
    """Answers `events`, those who wait included."""

    def __init__(self, loop: Loop, events: Events) -> None:
        self._loop, self._events = loop, events
        self.waiting = 0

    def ask(self, fields: Mapping[str, Any], reply: Reply) -> None:
        """Answer with what there is, or wait for it (`wait_s`)."""
        try:
            asked = question(fields)
            found = look(self._events, asked)
            idle = not found["events"] and not found["lost"] and not found["restarted"] and asked.wait_s > 0
            if idle and self.waiting >= MOST_WAITING:
                raise BadRequest("busy", "too many clients wait for events")
        except BadRequest as error:
            reply(refusal(error))
            return
        if idle:
            Waiter(self, self._loop, self._events, asked, found["last"], reply)
        else:
            reply(answer(found))


class Waiter:
    """One who waits: until an event that it wants, or until its time is over."""

    def __init__(self, stream: Stream, loop: Loop, events: Events, asked: Question, last: int, reply: Reply) -> None:
        self._stream, self._loop, self._events, self._asked, self._reply = stream, loop, events, asked, reply
        self._begin = last
        self._due = self._answered = False
        stream.waiting += 1
        self._timer = loop.call_later(int(asked.wait_s * NS_PER_S), self._over)
        events.once(self._happened)

    def _happened(self) -> None:
        # In a turn of its own: events come in flocks, and whoever adds one is in the middle of something.
        if not self._due:
            self._due = True
            self._loop.call_later(0, self._look)

    def _look(self) -> None:
        self._due = False
        if self._answered:
            return
        asked = self._asked
        found = look(
            self._events, Question(self._events.stream, self._begin, None, asked.kinds, asked.subjects, asked.limit)
        )
        if found["events"] or found["lost"]:
            self._answer(found)
        else:
            self._begin = found["last"]
            self._events.once(self._happened)

    def _over(self) -> None:
        if not self._answered:
            self._events.forget(self._happened)
            self._answer(look(self._events, Question(self._events.stream, self._events.last)))

    def _answer(self, found: dict[str, Any]) -> None:
        self._answered = True
        self._timer.cancel()
        self._stream.waiting -= 1
        self._reply(answer(found))
