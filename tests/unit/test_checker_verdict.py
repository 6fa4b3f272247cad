"""The verdict table, cell by cell where an operator would ask; schedules; phases."""

from __future__ import annotations

from itertools import product

from fastha.checker import verdict
from fastha.checker.verdict import Health, Outcome, Rules, Verdict, Wait
from fastha.model import HttpCheck, HttpUrl, TcpCheck

S = 10**9
TCP = TcpCheck(ip="192.0.2.1", port=80, retry=2, delay_ns=60 * S, retry_delay_ns=3 * S)
RULES = verdict.rules(TCP)


def play(rules: Rules, state: Verdict, outcomes: str) -> list[tuple[str, bool, str, int]]:
    """`outcomes`: + ok, - fail, o ours. Returns (health, up, wait, url) after each."""
    told = []
    for sign in outcomes:
        state, wait = verdict.step(rules, state, {"+": Outcome.OK, "-": Outcome.FAIL, "o": Outcome.OURS}[sign])
        told.append((state.health.value, state.up, wait.value, state.url))
    return told


def test_every_cell_is_there() -> None:
    assert set(verdict.TABLE) == set(product(Health, Outcome))


def test_a_server_counts_as_up_until_its_first_answer_unless_alpha() -> None:
    assert verdict.start(TCP).up
    assert not verdict.start(TcpCheck(ip="192.0.2.1", port=80, alpha=True)).up
    assert verdict.start(TCP).health is Health.UNKNOWN


def test_the_very_first_failure_is_down() -> None:
    assert play(RULES, verdict.start(TCP), "-") == [("down", False, "poll", 0)]


def test_while_up_it_takes_retry_more_failures() -> None:
    assert play(RULES, verdict.adopt(True), "---") == [
        ("up", True, "retry", 0),
        ("up", True, "retry", 0),
        ("down", False, "poll", 0),
    ]
    assert play(RULES, verdict.adopt(True), "--+--+")[-1] == ("up", True, "period", 0)


def test_one_success_is_up() -> None:
    assert play(RULES, verdict.adopt(False), "--+") == [
        ("down", False, "poll", 0),
        ("down", False, "poll", 0),
        ("up", True, "period", 0),
    ]


def test_a_shortage_of_our_own_changes_nothing() -> None:
    for state in (verdict.start(TCP), verdict.adopt(True), verdict.adopt(False)):
        after, wait = verdict.step(RULES, state, Outcome.OURS)
        assert after == state
        assert wait is Wait.SHORTAGE
    impatient = verdict.rules(TcpCheck(ip="192.0.2.1", port=80, retry_delay_ns=0))
    assert verdict.next_start_ns(impatient, Wait.SHORTAGE, 0, 7) == 7 + S


def test_urls_are_walked_and_only_the_failing_one_is_polled() -> None:
    check = HttpCheck(ip="192.0.2.1", port=80, urls=tuple(HttpUrl(path=f"/{i}") for i in range(3)), retry=1)
    rules = verdict.rules(check)
    up = [(h, u) for h, _, _, u in play(rules, verdict.start(check), "+++++")]
    assert up == [("unknown", 1), ("unknown", 2), ("up", 0), ("up", 1), ("up", 2)]
    story = play(rules, Verdict(Health.UP, url=1), "---+++-+++++")
    assert [(h, u) for h, _, _, u in story] == [
        ("up", 1),  # failing: retried
        ("down", 1),
        ("down", 1),  # polled
        ("down", 0),  # works again: the whole list from its start
        ("down", 1),
        ("down", 2),
        ("down", 2),  # not clean after all
        ("down", 0),
        ("down", 1),
        ("down", 2),
        ("up", 0),
        ("up", 1),
    ]


def test_the_retries_are_those_of_each_url() -> None:
    check = HttpCheck(ip="192.0.2.1", port=80, urls=(HttpUrl(path="/a"), HttpUrl(path="/b")), retry=1)
    story = play(verdict.rules(check), verdict.adopt(True), "-+-+-+-+")
    assert {h for h, _, _, _ in story} == {"up"}


def test_fast_recovery_drops_the_gaps_of_a_pass_only() -> None:
    check = HttpCheck(ip="192.0.2.1", port=80, urls=(HttpUrl(), HttpUrl()), fast_recovery=True, retry=0)
    waits = [w for _, _, w, _ in play(verdict.rules(check), verdict.start(check), "+++-+++")]
    assert waits == ["now", "period", "period", "poll", "now", "now", "period"]


def test_a_failing_url_is_polled_no_faster_than_its_retry_delay() -> None:
    check = HttpCheck(ip="192.0.2.1", port=80, urls=(HttpUrl(),), delay_ns=1 * S, retry_delay_ns=3 * S)
    rules = verdict.rules(check)
    assert verdict.next_start_ns(rules, Wait.POLL, 0, 0) == 3 * S
    assert verdict.next_start_ns(rules, Wait.PERIOD, 0, 0) == 1 * S


def test_periods_count_from_start_to_start_and_missed_ones_are_skipped() -> None:
    assert verdict.next_start_ns(RULES, Wait.PERIOD, 1000, 1000 + 5 * S) == 1000 + 60 * S
    assert verdict.next_start_ns(RULES, Wait.PERIOD, 1000, 1000 + 200 * S) == 1000 + 240 * S
    assert verdict.next_start_ns(RULES, Wait.RETRY, 1000, 1000 + 5 * S) == 1000 + 8 * S


def test_first_probes_are_spread_and_always_the_same() -> None:
    span = 10 * S
    phases = [verdict.phase_ns(f"10.0.0.1:80/tcp 10.1.{i // 250}.{i % 250}:80", span) for i in range(2000)]
    assert all(0 <= p < span for p in phases)
    buckets = [0] * 100
    for p in phases:
        buckets[p * 100 // span] += 1
    assert max(buckets) < 60  # 20 on average
    assert phases[7] == verdict.phase_ns("10.0.0.1:80/tcp 10.1.0.7:80", span)
    assert verdict.phase_ns("anything", 0) == 0


def test_a_changed_check_keeps_what_was_until_it_has_an_answer() -> None:
    for up in (True, False):
        state = verdict.assume(up)
        assert state.health is Health.UNKNOWN
        assert state.up is up
