"""Timers and priorities an instance derives from its configuration."""

from __future__ import annotations

from fastha.model import VrrpInstance
from fastha.model.units import NS_PER_MS, NS_PER_S
from fastha.vrrp.rules import Rules, rules_of


def test_version_2_counts_skew_in_seconds() -> None:
    rules = Rules(version=2, advert_int_ns=2 * NS_PER_S)
    assert rules.skew_ns(100, 7) == 156 * NS_PER_S // 256
    assert rules.master_down_ns(100, 7) == 6 * NS_PER_S + 156 * NS_PER_S // 256, "own interval, whatever was heard"


def test_version_3_counts_in_the_masters_interval() -> None:
    rules = Rules(version=3, advert_int_ns=NS_PER_S)
    assert rules.master_down_ns(200, 100 * NS_PER_MS) == 300 * NS_PER_MS + 56 * 100 * NS_PER_MS // 256
    assert rules.interval_ns(0) == 10 * NS_PER_MS, "an interval of 0 on the wire is held at the smallest"


def test_at_ten_milliseconds_priority_still_orders_routers() -> None:
    rules = Rules(version=3, advert_int_ns=10 * NS_PER_MS)
    downs = [rules.master_down_ns(p, 10 * NS_PER_MS) for p in range(1, 256)]
    assert downs == sorted(downs, reverse=True)
    assert len(set(downs)) == 255


def test_no_peer_waits_longer_than_silence() -> None:
    for version in (2, 3):
        rules = Rules(version=version, advert_int_ns=NS_PER_S, down_timer_adverts=5)
        assert all(rules.master_down_ns(p, NS_PER_S) < rules.silence_ns for p in range(1, 256))


def test_masters_of_one_interval_speak_at_the_same_few_moments() -> None:
    rules = Rules(version=3, advert_int_ns=100 * NS_PER_MS)
    dues = {rules.due_ns(now_ns) for now_ns in range(0, NS_PER_S, 777_777)}
    assert len(dues) <= 16 * 10 + 1
    for now_ns in range(0, NS_PER_S, 777_777):
        early_ns = now_ns + rules.advert_int_ns - rules.due_ns(now_ns)
        assert 0 <= early_ns < rules.advert_int_ns / 16, "never late, and never much too early"
    assert all(rules.due_ns(due) == due + rules.advert_int_ns for due in dues), "the interval is exact from then on"


def test_down_timer_adverts() -> None:
    assert Rules(down_timer_adverts=1).master_down_ns(255, NS_PER_S) == NS_PER_S + NS_PER_S // 256


def instance(**more: object) -> VrrpInstance:
    return VrrpInstance(name="a", interface="eth0", vrid=1, **more)  # type: ignore[arg-type]


def test_nopreempt_binds_neither_owner_nor_state_master() -> None:
    assert not rules_of(instance(preempt=False), 1).preempt
    assert rules_of(instance(preempt=False, wants_master=True), 1).preempt
    assert rules_of(instance(preempt=False, priority=255), 1).preempt


def test_preempt_delay_needs_a_preempting_backup() -> None:
    assert rules_of(instance(preempt_delay_ns=5), 1).preempt_delay_ns == 5
    assert rules_of(instance(preempt_delay_ns=5, wants_master=True), 1).preempt_delay_ns == 0
    assert rules_of(instance(preempt_delay_ns=5, preempt=False), 1).preempt_delay_ns == 0
    assert rules_of(instance(preempt_delay_ns=5, priority=255), 1).preempt_delay_ns == 0


def test_only_an_owner_may_be_deaf() -> None:
    one = VrrpInstance("v", "eth0", 1, priority=254, owner_ignore_adverts=True)
    assert not rules_of(one, 1).deaf
    assert rules_of(VrrpInstance("v", "eth0", 1, priority=255, owner_ignore_adverts=True), 1).deaf


def test_timer_expired_backup_is_for_those_that_do_not_preempt() -> None:
    one = VrrpInstance("v", "eth0", 1, preempt=False, timer_expired_priority=200)
    assert rules_of(one, 1).rival_priority == 200
    assert rules_of(one, 1).patience_ns < rules_of(one, 1).silence_ns
    preempting = VrrpInstance("v", "eth0", 1, timer_expired_priority=200)
    assert rules_of(preempting, 1).patience_ns == rules_of(preempting, 1).silence_ns
