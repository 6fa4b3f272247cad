"""Two phases: said to all or to none, in whatever order the answers come."""

from __future__ import annotations

from itertools import permutations

import pytest

from fastha.parent.reload import Phase, committed, expired, failed, propose, ready


@pytest.mark.parametrize("order", list(permutations(("a", "b", "c"))))
@pytest.mark.parametrize("back", list(permutations(("a", "b", "c"))))
def test_all_ready_then_all_committed(order: tuple[str, ...], back: tuple[str, ...]) -> None:
    proposal = propose(7, order)
    for n, role in enumerate(order):
        assert proposal.phase is Phase.PREPARING
        assert len(proposal.waiting) == 3 - n
        proposal = ready(proposal, role, 7)
    for role in back:
        assert proposal.phase is Phase.COMMITTING
        proposal = committed(proposal, role, 7)
    assert proposal.phase is Phase.DONE


@pytest.mark.parametrize("already_ready", [(), ("a",)])
def test_one_failure_before_the_decision_abandons_all(already_ready: tuple[str, ...]) -> None:
    proposal = propose(1, ("a", "b"))
    for role in already_ready:
        proposal = ready(proposal, role, 1)
    proposal = failed(proposal, "b", "no such interface")
    assert proposal.phase is Phase.ABANDONED
    assert proposal.reason == "no such interface"
    # Whatever comes after changes nothing.
    assert (
        ready(proposal, "a", 1)
        == committed(proposal, "a", 1)
        == failed(proposal, "a", "x")
        == expired(proposal)
        == proposal
    )


def test_a_ready_one_may_still_fail() -> None:
    proposal = ready(propose(1, ("a", "b")), "a", 1)
    assert failed(proposal, "a", "died").phase is Phase.ABANDONED


def test_a_failure_after_the_decision_concerns_one() -> None:
    proposal = ready(ready(propose(1, ("a", "b")), "a", 1), "b", 1)
    proposal = failed(proposal, "a", "died")
    assert proposal.phase is Phase.COMMITTING
    assert committed(proposal, "b", 1).phase is Phase.DONE


def test_answers_to_another_proposal_and_strangers_do_not_count() -> None:
    proposal = propose(2, ("a",))
    assert ready(proposal, "a", 1) == proposal
    assert committed(proposal, "a", 2) == proposal
    assert failed(proposal, "z", "died") == proposal
    assert ready(proposal, "z", 2).waiting == {"a"}


def test_deadlines() -> None:
    late = expired(ready(propose(1, ("a", "b", "c")), "b", 1))
    assert (late.phase, late.reason) == (Phase.ABANDONED, "no answer in time from a, c")
    late = expired(ready(propose(1, ("a",)), "a", 1))
    assert late.phase is Phase.DONE
    assert "a" in late.reason


def test_nobody_to_ask() -> None:
    proposal = propose(1, ())
    assert proposal.phase is Phase.COMMITTING
    assert expired(proposal).phase is Phase.DONE
    assert expired(proposal).reason == ""
