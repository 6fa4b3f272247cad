"""One proposal to several children: who has answered, and what that makes of it. Pure.

    PREPARING --every child ready--> COMMITTING --every child committed or dead--> DONE
        |                                          (a child that dies now is respawned with the new configuration)
        +--any refuses, dies, or is out of time--> ABANDONED

Nobody acts on half a configuration: `commit` is said to all or to none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum


class Phase(Enum):
    PREPARING = "preparing"
    COMMITTING = "committing"
    DONE = "done"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Proposal:
    """`waiting`: the roles whose answer this phase still needs. `reason`: why it was abandoned."""

    generation: int
    roles: frozenset[str]
    waiting: frozenset[str]
    phase: Phase = Phase.PREPARING
    reason: str = ""


def propose(generation: int, roles: Iterable[str]) -> Proposal:
    """A new proposal; with nobody to ask it can be committed at once."""
    asked = frozenset(roles)
    return Proposal(generation, asked, asked, Phase.PREPARING if asked else Phase.COMMITTING)


def ready(proposal: Proposal, role: str, generation: int) -> Proposal:
    """`role` can commit. An answer to an older proposal changes nothing."""
    if proposal.phase is not Phase.PREPARING or generation != proposal.generation:
        return proposal
    waiting = proposal.waiting - {role}
    if waiting:
        return replace(proposal, waiting=waiting)
    return replace(proposal, waiting=proposal.roles, phase=Phase.COMMITTING)


def committed(proposal: Proposal, role: str, generation: int) -> Proposal:
    """`role` now runs it."""
    if proposal.phase is not Phase.COMMITTING or generation != proposal.generation:
        return proposal
    return _without(proposal, role)


def failed(proposal: Proposal, role: str, reason: str) -> Proposal:
    """`role` refused, died or was killed. Before the decision that abandons all; after it, it concerns `role` alone."""
    if role not in proposal.roles:
        return proposal
    if proposal.phase is Phase.PREPARING:
        return replace(proposal, waiting=frozenset(), phase=Phase.ABANDONED, reason=reason)
    if proposal.phase is Phase.COMMITTING:
        return _without(proposal, role)
    return proposal


def expired(proposal: Proposal) -> Proposal:
    """The deadline of the phase has passed."""
    late = ", ".join(sorted(proposal.waiting))
    if proposal.phase is Phase.PREPARING:
        return replace(proposal, waiting=frozenset(), phase=Phase.ABANDONED, reason=f"no answer in time from {late}")
    if proposal.phase is Phase.COMMITTING:
        return replace(proposal, waiting=frozenset(), phase=Phase.DONE, reason=late and f"{late} has not confirmed yet")
    return proposal


def _without(proposal: Proposal, role: str) -> Proposal:
    waiting = proposal.waiting - {role}
    return replace(proposal, waiting=waiting, phase=proposal.phase if waiting else Phase.DONE)
