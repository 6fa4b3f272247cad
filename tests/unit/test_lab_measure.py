"""What a client saw, from made-up requests: the arithmetic of gaps and losses."""

from __future__ import annotations

import random

from fastha.lab.client import parse
from fastha.lab.measure import MS, Request, longest_gap_ns, measure
from fastha.lab.server import respond


def test_gap_is_between_consecutive_answers_at_completion() -> None:
    answers = [10, 20, 30, 340, 350]
    assert longest_gap_ns(answers, 15, 345) == 310
    assert longest_gap_ns(reversed(answers), 15, 345) == 310, "order does not matter"


def test_gap_across_an_edge_counts_whole() -> None:
    assert longest_gap_ns([100, 500], 300, 400) == 400, "began before the window and ended after it"
    assert longest_gap_ns([100], 300, 700) == 600, "still open at the end: at least up to there"
    assert longest_gap_ns([500], 300, 700) == 200, "nothing before the window: from its edge"
    assert longest_gap_ns([], 300, 700) == 400
    assert longest_gap_ns([300, 700], 300, 700) == 400


def test_gap_equals_slow_twin(rng: random.Random) -> None:
    for _ in range(300):
        answers = [rng.randrange(1000) for _ in range(rng.randrange(20))]
        begin = rng.randrange(500)
        end = begin + rng.randrange(1, 500)
        points = [*answers]
        if not any(a <= begin for a in answers):
            points.append(begin)
        if not any(a >= end for a in answers):
            points.append(end)
        # Every pair with no other point between them, which overlaps the window.
        slow = max(
            b - a
            for a in points
            for b in points
            if b > begin and a < end and a <= b and not any(a < p < b for p in points)
        )
        assert longest_gap_ns(answers, begin, end) == slow, (answers, begin, end)


def test_lost_requests_belong_to_the_window_they_started_in() -> None:
    requests = [
        Request(0 * MS, 1 * MS, "ok", "s1"),
        Request(10 * MS, 1010 * MS, "timeout"),
        Request(20 * MS, 21 * MS, "ok", "s2"),
        Request(30 * MS, 31 * MS, "refused"),
        Request(2000 * MS, 2001 * MS, "reset"),
    ]
    seen = measure(requests, 5 * MS, 40 * MS)
    assert (seen.sent, seen.answered, seen.lost, seen.servers) == (3, 1, {"timeout": 1, "refused": 1}, {"s2": 1})
    assert seen.lost_total == 2
    assert seen.gap_ms == 20, "1 ms to 21 ms; what comes after 40 ms is not its business"


def test_answer_is_read_to_its_last_byte() -> None:
    whole = respond(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "server2")
    for cut in range(len(whole)):
        assert parse(whole[:cut], closed=False) is None, cut
        assert parse(whole[:cut], closed=True) == ("truncated", ""), cut
    assert parse(whole, closed=False) == ("ok", "server2")


def test_other_statuses_are_not_answers() -> None:
    assert parse(respond(b"GET /nowhere HTTP/1.1\r\n\r\n", "s"), closed=True) == ("bad", "")
    assert parse(respond(b"POST / HTTP/1.1\r\n\r\n", "s"), closed=True) == ("bad", "")
    assert parse(respond(b"rubbish\r\n\r\n", "s"), closed=True) == ("bad", "")
    assert parse(b"HTTP/1.1 200 OK\r\n\r\n", closed=True) == ("bad", "")
    assert b"\r\n\r\nok\n" in respond(b"GET /health HTTP/1.0\r\n\r\n", "s")
