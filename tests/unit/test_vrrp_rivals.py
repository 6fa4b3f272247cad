"""Two masters: what is told, once for each reason, and when it is over."""

from __future__ import annotations

from fastha.vrrp.rivals import ADDRESSES, DEAF, HEALED, Rivals

S = 1_000_000_000
QUIET = 4 * S


def hear(rivals: Rivals, at: int, *, differs: bool = False) -> str:
    return rivals.heard("10.0.0.9", 90, 100, differs, at, 1000.0 + at / S, QUIET)


def test_one_that_leaves_was_not_heard_until_now() -> None:
    rivals = Rivals()
    told = hear(rivals, S)
    assert told == f"10.0.0.9 is master too, with priority 90 (ours: 100): {HEALED}"
    assert hear(rivals, S) == "", "told once"
    assert rivals.facts(True, 2 * S, QUIET) == {
        "peer": "10.0.0.9", "priority": 90, "our_priority": 100, "since": 1001.0, "adverts": 2, "reason": HEALED,
    }  # fmt: skip
    assert rivals.facts(True, 6 * S, QUIET) is None, "it is over"
    hear(rivals, 7 * S)
    assert rivals.facts(False, 7 * S, QUIET) is None, "who left has no rival"
    assert hear(rivals, 10 * S), "and would be another one"


def test_one_that_stays_does_not_take_our_adverts() -> None:
    for differs, reason in ((False, DEAF), (True, ADDRESSES)):
        rivals = Rivals()
        told = [hear(rivals, i * S, differs=differs) for i in range(5)]
        assert [bool(t) for t in told] == [True, False, True, False, False]
        assert told[2].endswith(reason)


def test_discarded_adverts_are_a_rival_too() -> None:
    rivals = Rivals()
    assert rivals.discarded({"auth_password": 3}, False, 100, S, 1.0, QUIET) == "", "a backup has none"
    assert rivals.discarded({"auth_password": 3}, True, 100, 2 * S, 2.0, QUIET) == "", "nothing new"
    told = rivals.discarded({"auth_password": 4, "self": 9}, True, 100, 3 * S, 3.0, QUIET)
    assert told == "somebody else is master too (ours: 100): its adverts are discarded: another password"
    facts = rivals.facts(True, 4 * S, QUIET)
    assert facts is not None
    assert "peer" not in facts
    assert (facts["since"], facts["adverts"]) == (3.0, 1)
    hear(rivals, 5 * S)
    assert rivals.discarded({"auth_password": 9}, True, 100, 6 * S, 6.0, QUIET) == "", "one that is known better"
