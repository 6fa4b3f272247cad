"""Verdict and plan against their slow twins, by seeded random walks."""

from __future__ import annotations

from dataclasses import replace

from fastha.checker import plan, verdict
from fastha.checker.plan import QuorumChanged, RunScript, ServerChanged
from fastha.checker.verdict import Health, Outcome
from fastha.model import HttpCheck, HttpUrl, RealServer, Script, SorryServer, TcpCheck, VirtualServer
from oracles.verdict import SlowCheck, slow_dests, slow_quorum
from walk.seeds import walk

GOOD = {Outcome.OK: True, Outcome.FAIL: False, Outcome.OURS: None}


def test_verdicts_equal_the_slow_twin() -> None:
    rng = walk("verdict")
    for _ in range(300):
        urls = rng.choice([0, 0, 1, 2, 3, 5])
        numbers = {
            "retry": rng.randrange(4),
            "delay_ns": rng.randrange(1, 1000),
            "retry_delay_ns": rng.randrange(1, 1000),
            "alpha": rng.random() < 0.3,
            "rise": rng.choice([1, 1, 2, 4]),
        }
        check = (
            HttpCheck(
                ip="192.0.2.1",
                port=80,
                urls=tuple(HttpUrl(path=f"/{i}") for i in range(urls)),
                fast_recovery=rng.random() < 0.5,
                **numbers,  # type: ignore[arg-type]
            )
            if urls
            else TcpCheck(ip="192.0.2.1", port=80, **numbers)  # type: ignore[arg-type]
        )
        rules, state = verdict.rules(check), verdict.start(check)
        slow = SlowCheck(
            urls or 1,
            check.retry,
            check.delay_ns,
            check.retry_delay_ns,
            fast_recovery=isinstance(check, HttpCheck) and check.fast_recovery,
            is_http=bool(urls),
            rise=check.rise,
            counts_as_up=not check.alpha,
        )
        started = rng.randrange(1000)
        luck = rng.random()
        for _ in range(200):
            assert (state.url, state.up) == (slow.next_url, slow.is_up if slow.has_run else slow.counts_as_up)
            assert (state.health is Health.UNKNOWN) == (not slow.has_run)
            if rng.random() < 0.02:
                luck = rng.random()
            outcome = Outcome.OURS if rng.random() < 0.05 else Outcome.OK if rng.random() < luck else Outcome.FAIL
            now = started + rng.choice([0, 1, rng.randrange(100), rng.randrange(5000)])
            before = state
            state, wait = verdict.step(rules, state, outcome)
            when = verdict.next_start_ns(rules, wait, started, now)
            assert when == slow.answer(GOOD[outcome], started, now), (before, outcome)
            assert when >= now
            assert outcome is not Outcome.OURS or when >= now + 10**9
            started = when


def test_plans_equal_the_slow_twin() -> None:
    rng = walk("plan")
    for _ in range(300):
        count = rng.randrange(6)
        servers = tuple(
            RealServer(
                ip=f"192.0.2.{i + 1}",
                port=80,
                weight=rng.randrange(5),
                inhibit_on_failure=rng.random() < 0.3,
                notify_up=Script((f"up {i}",)) if rng.random() < 0.5 else None,
                notify_down=Script((f"down {i}",)) if rng.random() < 0.5 else None,
            )
            for i in range(count)
        )
        sorry = rng.choice([None, SorryServer(ip="192.0.2.99", port=80, inhibit=rng.random() < 0.5)])
        quorum = rng.randrange(1, 8)
        server = VirtualServer(
            ip="203.0.113.1",
            port=80,
            quorum=quorum,
            hysteresis=rng.randrange(quorum),
            alpha=rng.random() < 0.3,
            sorry_server=sorry,
            real_servers=servers,
            quorum_up=Script(("gained",)),
            quorum_down=Script(("lost",)),
        )
        weights = [rs.weight for rs in servers]
        up = [rng.random() < 0.5 for _ in servers]
        had = rng.choice([None, True, False])
        state = plan.start(server, up, had)
        has = slow_quorum((not server.alpha) if had is None else had, weights, up, quorum, server.hysteresis)
        for _ in range(60):
            assert state.quorum == has
            assert state.live_weight == sum(w for w, u in zip(weights, up, strict=True) if u)
            row = plan.row(state)
            assert {key.ip: dest.weight for key, dest in row.dests.items()} == slow_dests(
                [(rs.ip, rs.weight, rs.inhibit_on_failure) for rs in servers],
                up,
                has,
                (sorry.ip, sorry.inhibit) if sorry else None,
            )
            changes = {i: rng.random() < 0.5 for i in range(count) if rng.random() < 0.4}
            expected: list[object] = []
            for i, new in changes.items():
                if new != up[i]:
                    expected.append(("server", servers[i].ip, new))
                    if script := servers[i].notify_up if new else servers[i].notify_down:
                        expected.append(("script", script.argv[0]))
                up[i] = new
            before, has = has, slow_quorum(has, weights, up, quorum, server.hysteresis) if expected else has
            if has != before:
                expected += [("quorum", has), ("script", "gained" if has else "lost")]
            state, effects = plan.step(state, changes)
            assert [_told(effect) for effect in effects] == expected
            again, none = plan.step(state, changes)
            assert again is state
            assert none == ()


def _told(effect: plan.Effect) -> object:
    if isinstance(effect, ServerChanged):
        return "server", effect.server.ip, effect.up
    if isinstance(effect, QuorumChanged):
        return "quorum", effect.up
    assert isinstance(effect, RunScript)
    return "script", effect.script.argv[0]


def test_a_reload_judges_the_quorum_it_had_by_the_new_numbers() -> None:
    servers = tuple(RealServer(ip=f"192.0.2.{i}", port=80) for i in range(1, 4))
    old = plan.start(VirtualServer(ip="203.0.113.1", port=80, real_servers=servers), [True, False, False])
    assert old.quorum
    stricter = replace(old.server, quorum=2, quorum_down=Script(("lost",)))
    new, effects = plan.carry(old, stricter, old.up)
    assert not new.quorum
    assert [_told(e) for e in effects] == [("quorum", False), ("script", "lost")]
    same, nothing = plan.carry(old, replace(old.server, scheduler="rr"), old.up)
    assert same.quorum
    assert nothing == ()
