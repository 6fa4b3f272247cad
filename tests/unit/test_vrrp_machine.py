"""Every cell of the table: state x event, RFC 9568 section 6.4 and what operators of keepalived rely on."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from fastha.model.units import NS_PER_MS, NS_PER_S
from fastha.vrrp.machine import (
    TABLE,
    AddAddresses,
    Advert,
    AdvertZero,
    Effect,
    Event,
    FaultCleared,
    FaultRaised,
    Garp,
    GroupLeads,
    GroupListens,
    GroupWaits,
    Notify,
    PriorityChanged,
    RemoveAddresses,
    Resign,
    Role,
    RulesChanged,
    SendAdvert,
    Shutdown,
    Startup,
    State,
    TimerFired,
    Warn,
    step,
)
from fastha.vrrp.rules import Rules

OWN, LOW, HIGH = 0x0A000005, 0x0A000001, 0x0A000009
RULES = Rules(version=3, priority=100, own_ip=OWN)
NOW = 1000 * NS_PER_S
DOWN = RULES.master_down_ns(100, NS_PER_S)
INIT = State(priority=100)
BACKUP = State(Role.BACKUP, 100, NOW + DOWN, NS_PER_S, HIGH)
HOLDING = replace(BACKUP, holding=True, master_ip=0)
MASTER = State(Role.MASTER, 100, NOW + NS_PER_S // 2, NS_PER_S, OWN)
FAULT = State(Role.FAULT, 100, None, NS_PER_S, 0, faults=frozenset({"link down"}))
STATES = [INIT, BACKUP, MASTER, FAULT]
EVENTS: list[Event] = [
    Startup(), Shutdown(), TimerFired(), Advert(50, LOW, NS_PER_S), AdvertZero(LOW), FaultRaised("x"),
    FaultCleared("link down"), PriorityChanged(90), RulesChanged(RULES), Resign("asked to"),
    GroupWaits(), GroupLeads("all can"), GroupListens(),
]  # fmt: skip


def kinds(effects: tuple[Effect, ...]) -> list[type]:
    return [type(e) for e in effects]


def test_table_is_dense() -> None:
    assert set(TABLE) == set(Role)
    assert all(set(row) == set(get_args(Event)) == {type(e) for e in EVENTS} for row in TABLE.values())


@pytest.mark.parametrize("state", STATES, ids=lambda s: s.role)
@pytest.mark.parametrize("event", EVENTS, ids=lambda e: type(e).__name__)
def test_what_every_cell_obeys(state: State, event: Event) -> None:
    new, effects = step(RULES, state, event, NOW)
    told = [e for e in effects if isinstance(e, Notify)]
    assert (new.role != state.role) == bool(told), "a change of role is told, nothing else is"
    assert all((t.old, t.new) == (state.role, new.role) for t in told)
    waits = isinstance(event, GroupWaits) and new.role is Role.BACKUP
    assert (new.deadline_ns is not None) == (new.role in (Role.BACKUP, Role.MASTER) and not waits), (
        "who takes part has a timer"
    )
    order = [SendAdvert, RemoveAddresses, AddAddresses, Garp, Notify]
    ranks = [order.index(k) for k in kinds(effects)]
    assert ranks == sorted(ranks), "advert first, addresses, ARP, notifications"
    if state.role is Role.MASTER and new.role is not Role.MASTER and not new.holding:
        assert RemoveAddresses in kinds(effects)


# -- INIT ----------------------------------------------------------------------------------------------------------


def test_startup_waits_a_master_down_interval() -> None:
    new, effects = step(RULES, INIT, Startup(), NOW)
    assert (new.role, new.deadline_ns, new.holding) == (Role.BACKUP, NOW + DOWN, False)
    assert kinds(effects) == [Notify]


def test_owner_is_master_at_once() -> None:
    new, effects = step(replace(RULES, priority=255), State(priority=255), Startup(), NOW)
    assert (new.role, new.deadline_ns) == (Role.MASTER, NOW + NS_PER_S)
    assert kinds(effects) == [SendAdvert, AddAddresses, Garp, Notify]
    assert effects[0] == SendAdvert(255)


def test_startup_with_a_fault() -> None:
    new, effects = step(RULES, replace(INIT, faults=frozenset({"no eth0"}), holding=True), Startup(), NOW)
    assert (new.role, new.holding) == (Role.FAULT, False)
    assert kinds(effects) == [RemoveAddresses, Notify]


def test_startup_holding_keeps_the_addresses() -> None:
    new, effects = step(RULES, replace(INIT, holding=True), Startup(), NOW)
    assert new.holding
    assert kinds(effects) == [Notify]


def test_startup_resume_is_master_at_once() -> None:
    new, effects = step(RULES, replace(INIT, holding=True), Startup(resume=True), NOW)
    assert (new.role, new.holding) == (Role.MASTER, False)
    assert effects[0] == SendAdvert(100)


def test_waiting_holder_gives_way() -> None:
    new, effects = step(RULES, replace(INIT, holding=True), Advert(1, LOW, NS_PER_S), NOW)
    assert not new.holding
    assert kinds(effects) == [RemoveAddresses]
    assert step(RULES, new, Advert(1, LOW, NS_PER_S), NOW)[1] == ()


# -- BACKUP --------------------------------------------------------------------------------------------------------


def test_backup_takes_over_when_its_timer_fires() -> None:
    new, effects = step(RULES, BACKUP, TimerFired(), NOW + DOWN)
    assert (new.role, new.deadline_ns, new.master_ip) == (Role.MASTER, RULES.due_ns(NOW + DOWN), OWN)
    assert effects == (
        SendAdvert(100),
        AddAddresses(),
        Garp("master"),
        Notify(Role.BACKUP, Role.MASTER, "no advert from 10.0.0.9"),
    )


def test_stale_timer_does_nothing() -> None:
    assert step(RULES, BACKUP, TimerFired(), NOW + DOWN - 1) == (BACKUP, ())


@pytest.mark.parametrize("priority", [100, 101, 255])
def test_backup_honours_equal_and_higher(priority: int) -> None:
    new, effects = step(RULES, BACKUP, Advert(priority, LOW, NS_PER_S // 2), NOW)
    assert effects == ()
    assert new.deadline_ns == NOW + RULES.master_down_ns(100, NS_PER_S // 2), "version 3 learns the interval"
    assert (new.master_ip, new.master_adver_ns) == (LOW, NS_PER_S // 2)


def test_version_2_backup_uses_its_own_interval() -> None:
    rules = replace(RULES, version=2)
    new, _ = step(rules, BACKUP, Advert(200, LOW, 5 * NS_PER_S), NOW)
    assert (new.deadline_ns, new.master_adver_ns) == (NOW + rules.master_down_ns(100, 0), NS_PER_S)


def test_backup_that_preempts_ignores_lower() -> None:
    new, effects = step(RULES, BACKUP, Advert(99, LOW, NS_PER_S), NOW)
    assert (new.deadline_ns, new.master_ip, effects) == (BACKUP.deadline_ns, LOW, ())


def test_nopreempt_honours_lower() -> None:
    new, _ = step(replace(RULES, preempt=False), BACKUP, Advert(1, LOW, NS_PER_S), NOW + 5)
    assert new.deadline_ns == NOW + 5 + DOWN


def test_preempt_delay_honours_lower_for_a_while() -> None:
    rules = replace(RULES, preempt_delay_ns=10 * NS_PER_S)
    low = Advert(50, LOW, NS_PER_S)
    state, _ = step(rules, BACKUP, low, NOW)
    assert state.preempt_at_ns == NOW + 10 * NS_PER_S
    state, _ = step(rules, state, low, NOW + 9 * NS_PER_S)
    assert state.deadline_ns == NOW + 9 * NS_PER_S + DOWN
    after, _ = step(rules, state, low, NOW + 10 * NS_PER_S)
    assert after.deadline_ns == state.deadline_ns, "the delay is over: the timer runs out"
    cancelled, _ = step(rules, state, Advert(100, LOW, NS_PER_S), NOW + 9 * NS_PER_S)
    assert cancelled.preempt_at_ns is None, "a better master starts the delay afresh"


def test_priority_zero_leaves_only_the_skew() -> None:
    new, effects = step(RULES, HOLDING, AdvertZero(HIGH), NOW)
    assert (new.deadline_ns, new.holding, effects) == (NOW + RULES.skew_ns(100, NS_PER_S), True, ())


@pytest.mark.parametrize("priority", [1, 100, 200])
def test_holder_gives_way_to_any_master(priority: int) -> None:
    new, effects = step(RULES, HOLDING, Advert(priority, LOW, NS_PER_S), NOW)
    assert (new.role, new.holding, kinds(effects)) == (Role.BACKUP, False, [RemoveAddresses])


def test_holder_in_silence_is_master() -> None:
    new, effects = step(RULES, HOLDING, TimerFired(), NOW + DOWN)
    assert (new.role, new.holding) == (Role.MASTER, False)
    assert RemoveAddresses not in kinds(effects)


def test_priority_moves_the_backups_timer_by_the_skew() -> None:
    new, effects = step(RULES, BACKUP, PriorityChanged(200), NOW + 7)
    assert new.deadline_ns == NOW + RULES.master_down_ns(200, NS_PER_S)
    assert effects == ()


def test_backup_shutdown_and_fault() -> None:
    for event, role in ((Shutdown(), Role.INIT), (FaultRaised("x"), Role.FAULT)):
        assert kinds(step(RULES, BACKUP, event, NOW)[1]) == [Notify]
        new, effects = step(RULES, HOLDING, event, NOW)
        assert (new.role, new.holding, kinds(effects)) == (role, False, [RemoveAddresses, Notify])


def test_backup_reload_keeps_time_already_waited() -> None:
    slower = replace(RULES, version=2, advert_int_ns=2 * NS_PER_S)
    new, _ = step(slower, BACKUP, RulesChanged(RULES), NOW + 5)
    assert new.deadline_ns == NOW + slower.master_down_ns(100, 2 * NS_PER_S)
    assert step(RULES, BACKUP, RulesChanged(RULES), NOW + 5)[0] == BACKUP


# -- MASTER --------------------------------------------------------------------------------------------------------


def test_master_advertises_without_drift_or_burst() -> None:
    due = MASTER.deadline_ns
    assert due is not None
    new, effects = step(RULES, MASTER, TimerFired(), due + 3)
    assert (new.deadline_ns, effects) == (due + NS_PER_S, (SendAdvert(100),))
    late = due + 2 * NS_PER_S + 1
    new, effects = step(RULES, MASTER, TimerFired(), late)
    assert (new.deadline_ns, effects) == (RULES.due_ns(late), (SendAdvert(100),))
    assert step(RULES, MASTER, TimerFired(), due - 1) == (MASTER, ())


def test_master_that_lost_the_cpu_listens() -> None:
    assert MASTER.deadline_ns is not None
    last_sent = MASTER.deadline_ns - NS_PER_S
    still, _ = step(RULES, MASTER, TimerFired(), last_sent + RULES.silence_ns)
    assert still.role is Role.MASTER
    now = last_sent + RULES.silence_ns + 1
    new, effects = step(RULES, MASTER, TimerFired(), now)
    assert (new.role, new.holding, new.deadline_ns) == (Role.BACKUP, True, now + DOWN)
    assert kinds(effects) == [Notify]


def test_master_that_lost_the_cpu_gives_way_to_whoever_spoke() -> None:
    now = NOW + 60 * NS_PER_S
    new, effects = step(replace(RULES, preempt=False), MASTER, Advert(50, LOW, NS_PER_S), now)
    assert (new.role, new.holding, new.master_ip, new.deadline_ns) == (Role.BACKUP, False, LOW, now + DOWN)
    assert kinds(effects) == [RemoveAddresses, Notify]
    assert step(RULES, MASTER, AdvertZero(LOW), now)[0].holding, "nobody is left: keep the addresses, listen"


def test_nopreempt_protects_a_master_that_took_over_a_little_late() -> None:
    assert MASTER.deadline_ns is not None
    now = MASTER.deadline_ns + 2 * NS_PER_S + 1  # more than the three intervals that the quickest peer waits
    low = Advert(50, LOW, NS_PER_S)
    assert step(RULES, MASTER, low, now)[0].role is Role.MASTER, "one that preempts asserts itself at once"
    for rules in (replace(RULES, preempt=False), replace(RULES, preempt_delay_ns=NS_PER_S)):
        assert step(rules, MASTER, low, now)[0].role is Role.BACKUP
        assert step(rules, MASTER, low, now - 1)[0].role is Role.MASTER


@pytest.mark.parametrize(("priority", "src"), [(101, LOW), (255, LOW), (100, HIGH)])
def test_master_yields_without_an_advert(priority: int, src: int) -> None:
    new, effects = step(RULES, MASTER, Advert(priority, src, NS_PER_S // 2), NOW)
    assert (new.role, new.master_ip) == (Role.BACKUP, src)
    assert new.deadline_ns == NOW + RULES.master_down_ns(100, NS_PER_S // 2)
    assert kinds(effects) == [RemoveAddresses, Notify]


@pytest.mark.parametrize(("priority", "src"), [(99, HIGH), (1, HIGH), (100, LOW)])
def test_master_asserts_itself(priority: int, src: int) -> None:
    new, effects = step(RULES, MASTER, Advert(priority, src, NS_PER_S), NOW)
    assert new.role is Role.MASTER
    assert effects == (SendAdvert(100), Garp("lower_prio"))
    flood, quiet = step(RULES, new, Advert(priority, src, NS_PER_S), NOW + 99 * NS_PER_MS)
    assert (flood, quiet) == (new, ())
    assert step(RULES, new, Advert(priority, src, NS_PER_S), NOW + 100 * NS_PER_MS)[1] != ()


def test_two_owners_are_told_apart_by_address() -> None:
    rules, state = replace(RULES, priority=255), replace(MASTER, priority=255)
    assert step(rules, state, Advert(255, LOW, NS_PER_S), NOW)[0].role is Role.MASTER
    assert step(rules, state, Advert(255, HIGH, NS_PER_S), NOW)[0].role is Role.BACKUP


def test_our_own_address_from_somebody_else_is_a_warning() -> None:
    new, effects = step(RULES, MASTER, Advert(100, OWN, NS_PER_S), NOW)
    assert (new, kinds(effects)) == (MASTER, [Warn])


def test_master_answers_a_resignation() -> None:
    new, effects = step(RULES, MASTER, AdvertZero(LOW), NOW)
    assert (new.deadline_ns, effects) == (NOW + NS_PER_S, (SendAdvert(100),))


def test_master_stops_with_priority_zero_first() -> None:
    for event, role in ((Shutdown(), Role.INIT), (FaultRaised("x"), Role.FAULT)):
        new, effects = step(RULES, MASTER, event, NOW)
        assert (new.role, kinds(effects)) == (role, [SendAdvert, RemoveAddresses, Notify])
        assert effects[0] == SendAdvert(0)


def test_master_reload_says_what_is_new_and_stays() -> None:
    new, effects = step(replace(RULES, advert_int_ns=NS_PER_S // 10), MASTER, RulesChanged(RULES), NOW)
    assert (new.role, new.deadline_ns) == (Role.MASTER, NOW + NS_PER_S // 10)
    assert effects == (SendAdvert(100), AddAddresses())


# -- FAULT ---------------------------------------------------------------------------------------------------------


def test_fault_is_left_for_backup_when_the_last_reason_goes() -> None:
    two, _ = step(RULES, FAULT, FaultRaised("no address"), NOW)
    one, effects = step(RULES, two, FaultCleared("link down"), NOW)
    assert (one.role, effects) == (Role.FAULT, ())
    new, effects = step(RULES, one, FaultCleared("no address"), NOW)
    assert (new.role, new.deadline_ns, kinds(effects)) == (Role.BACKUP, NOW + DOWN, [Notify])
    owner, _ = step(replace(RULES, priority=255), replace(one, priority=255), FaultCleared("no address"), NOW)
    assert owner.role is Role.BACKUP


def test_priority_in_fault_is_remembered() -> None:
    assert step(RULES, FAULT, PriorityChanged(7), NOW)[0].priority == 7


# -- what operators decide -----------------------------------------------------------------------------------------

HELD = replace(RULES, held=True, preempt=False)


def test_a_master_resigns_with_priority_zero_and_more_patience_than_any_peer() -> None:
    new, effects = step(RULES, MASTER, Resign("asked to"), NOW)
    assert effects == (SendAdvert(0), RemoveAddresses(), Notify(Role.MASTER, Role.BACKUP, "asked to"))
    assert (new.role, new.deadline_ns, new.master_ip, new.holding) == (
        Role.BACKUP, NOW + RULES.silence_ns + RULES.skew_ns(100, NS_PER_S), 0, False,
    )  # fmt: skip
    for other in (INIT, BACKUP, HOLDING, FAULT):
        assert step(RULES, other, Resign("asked to"), NOW) == (other, ())


def test_one_that_is_held_never_becomes_master() -> None:
    new, effects = step(HELD, MASTER, RulesChanged(RULES), NOW)
    assert (new.role, kinds(effects)) == (Role.BACKUP, [SendAdvert, RemoveAddresses, Notify])
    late = NOW + 10 * DOWN
    new, effects = step(HELD, BACKUP, TimerFired(), late)
    assert (new.role, new.deadline_ns, new.master_ip, effects) == (Role.BACKUP, late + DOWN, 0, ())
    for rules, event in ((replace(HELD, priority=255), Startup()), (HELD, Startup(resume=True))):
        new, effects = step(rules, replace(INIT, holding=True), event, NOW)
        assert (new.role, new.holding, kinds(effects)) == (Role.BACKUP, False, [RemoveAddresses, Notify])
    new, effects = step(HELD, HOLDING, RulesChanged(RULES), NOW)
    assert (new.role, new.holding, kinds(effects)) == (Role.BACKUP, False, [RemoveAddresses])


def test_one_that_is_released_takes_over_at_the_end_of_its_patience() -> None:
    held, _ = step(HELD, replace(BACKUP, master_ip=0), TimerFired(), NOW + DOWN)
    free, effects = step(RULES, held, RulesChanged(HELD), NOW + DOWN + 1)
    assert (free.role, free.deadline_ns, effects) == (Role.BACKUP, held.deadline_ns, ())
    assert free.deadline_ns is not None
    assert step(RULES, free, TimerFired(), free.deadline_ns)[0].role is Role.MASTER


# -- sync groups ---------------------------------------------------------------------------------------------------


def test_one_that_waits_for_its_group_keeps_nothing_but_its_timer_back() -> None:
    waiting, effects = step(RULES, BACKUP, GroupWaits(), NOW)
    assert (waiting, effects) == (replace(BACKUP, deadline_ns=None), ())
    assert step(RULES, waiting, TimerFired(), NOW) == (waiting, ())
    assert step(RULES, waiting, Advert(50, LOW, NS_PER_S), NOW)[0].deadline_ns is None, "discarded: it still waits"
    assert step(RULES, waiting, Advert(200, HIGH, NS_PER_S), NOW)[0].deadline_ns == NOW + DOWN
    assert step(RULES, waiting, PriorityChanged(90), NOW)[0] == replace(waiting, priority=90)
    leading, effects = step(RULES, waiting, GroupLeads("all can"), NOW)
    assert leading.role is Role.MASTER
    assert kinds(effects) == [SendAdvert, AddAddresses, Garp, Notify]


def test_a_master_of_a_group_that_listens_keeps_its_addresses() -> None:
    new, effects = step(RULES, MASTER, GroupListens(), NOW)
    assert (new.role, new.holding) == (Role.BACKUP, True)
    assert kinds(effects) == [Notify]


def test_an_owner_waits_for_its_group() -> None:
    new, effects = step(replace(RULES, priority=255), State(priority=255, holding=True), GroupWaits(), NOW)
    assert (new.role, new.deadline_ns, new.holding) == (Role.BACKUP, None, True)
    assert kinds(effects) == [Notify]


# -- what keepalived adds ------------------------------------------------------------------------------------------


def test_lower_prio_no_advert_leaves_lower_ones_unanswered() -> None:
    rules = replace(RULES, answers_lower=False)
    new, effects = step(rules, MASTER, Advert(50, HIGH, NS_PER_S), NOW)
    assert effects == (Garp("lower_prio"),), "bridges are taught all the same"
    assert new.deadline_ns == MASTER.deadline_ns
    assert step(RULES, MASTER, Advert(50, HIGH, NS_PER_S), NOW)[1] == (SendAdvert(100), Garp("lower_prio"))


def test_higher_prio_send_advert_speaks_once_more() -> None:
    rules = replace(RULES, speaks_before_yielding=True)
    new, effects = step(rules, MASTER, Advert(150, LOW, NS_PER_S), NOW)
    assert new == step(RULES, MASTER, Advert(150, LOW, NS_PER_S), NOW)[0]
    assert effects[0] == SendAdvert(100)
    assert kinds(effects) == [SendAdvert, RemoveAddresses, Notify]
    assert kinds(step(RULES, MASTER, Advert(150, LOW, NS_PER_S), NOW)[1]) == [RemoveAddresses, Notify]


@pytest.mark.parametrize("state", STATES, ids=lambda s: s.role)
@pytest.mark.parametrize("event", [Advert(255, HIGH, NS_PER_S), Advert(1, LOW, NS_PER_S), AdvertZero(LOW)])
def test_owner_ignore_adverts(state: State, event: Event) -> None:
    state = replace(state, priority=255)
    assert step(replace(RULES, priority=255, deaf=True), state, event, NOW) == (state, ())


def test_an_owner_that_listens_yields_to_the_greater_address() -> None:
    owner = replace(MASTER, priority=255)
    assert step(replace(RULES, priority=255), owner, Advert(255, HIGH, NS_PER_S), NOW)[0].role is Role.BACKUP


def test_timer_expired_backup_listens_once_the_quickest_peer_can_have_taken_over() -> None:
    """With priority 254 that is 3 intervals and 2/256; without the word, 4."""
    plain = replace(RULES, preempt=False)
    spoke = NOW - NS_PER_S
    state = replace(MASTER, deadline_ns=NOW)
    for priority in (254, 1):
        rules = replace(plain, rival_priority=priority)
        at = spoke + 3 * NS_PER_S + (256 - priority) * NS_PER_S // 256
        assert step(rules, state, TimerFired(), at)[0].role is Role.MASTER
        new, effects = step(rules, state, TimerFired(), at + 1)
        assert (new.role, new.holding) == (Role.BACKUP, True), "addresses stay until another one is heard"
        assert kinds(effects) == [Notify]
        assert step(plain, state, TimerFired(), at + 1)[0].role is Role.MASTER
