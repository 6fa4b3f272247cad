"""What links count as with `interface_up_down_delays`, in virtual time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fastha.link.monitor import Changes
from fastha.link.rtnl import Gone, Link
from fastha.link.table import Table
from fastha.model import LinkDelay, VrrpInstance
from fastha.model.units import NS_PER_S
from fastha.vrrp.settling import Settling
from oracles.virtual_reactor import VirtualReactor

S = NS_PER_S
ETH0 = Link(2, "eth0", bytes(6), 1500, True, True, True)
ETH1 = replace(ETH0, index=3, name="eth1")


class Bench:
    """One host: `carrier` is what the kernel says, `heard` what counts as another, with when (ns since the start)."""

    def __init__(self, *delays: LinkDelay, longest_down_ns: int = 1 << 62) -> None:
        self.reactor, self.table = VirtualReactor(), Table([ETH0, ETH1])
        self.began = self.reactor.now_ns()
        self.heard: list[tuple[int, Changes | None]] = []
        self.longest_down_ns = longest_down_ns
        self.settling = Settling(self.reactor, self, lambda _: self.longest_down_ns, self.changed)  # type: ignore[arg-type]
        self.settling.follow(delays)
        self.heard.clear()

    def changed(self, changes: Changes | None) -> None:
        self.heard.append((self.reactor.now_ns() - self.began, changes))

    def carrier(self, up: bool, link: Link = ETH0) -> None:
        self.table.apply(replace(link, running=up))
        self.settling.look()

    def up(self, link: Link = ETH0) -> bool:
        found = self.table.link(link.name)
        assert found is not None
        return self.settling.running(found)


def test_a_change_counts_when_its_delay_is_over() -> None:
    bench = Bench(LinkDelay("eth0", 2 * S, 3 * S))
    bench.carrier(False)
    bench.reactor.advance(2 * S - 1)
    assert bench.up()
    bench.reactor.advance(1)
    assert not bench.up()
    assert bench.heard == [(2 * S, {(2, "")})]
    bench.carrier(True)
    bench.reactor.advance(3 * S - 1)
    assert not bench.up()
    bench.reactor.advance(1)
    assert bench.up()
    assert bench.heard[1:] == [(5 * S, {(2, "")})]


def test_a_link_that_flaps_is_never_down() -> None:
    bench = Bench(LinkDelay("eth0", 2 * S))
    for _ in range(10):
        bench.carrier(False)
        bench.reactor.advance(2 * S - 1)
        bench.carrier(True)
        bench.reactor.advance(S)
        assert bench.up()
    bench.reactor.advance(100 * S)
    assert bench.up()
    assert not bench.heard


def test_other_news_of_the_link_begins_nothing_anew() -> None:
    bench = Bench(LinkDelay("eth0", 2 * S))
    bench.carrier(False)
    for mtu in range(1400, 1404):
        bench.reactor.advance(S // 2 - 1)
        bench.carrier(False, replace(ETH0, mtu=mtu))
    bench.reactor.advance(4)
    assert not bench.up()


@pytest.mark.parametrize(("longest", "wanted"), [(S // 2, S // 2), (0, 0), (9 * S, 2 * S)])
def test_no_link_is_down_for_longer_than_an_instance_can_bear(longest: int, wanted: int) -> None:
    bench = Bench(LinkDelay("eth0", 2 * S, 3 * S), longest_down_ns=longest)
    bench.carrier(False)
    if wanted:
        bench.reactor.advance(wanted - 1)
        assert bench.up()
        bench.reactor.advance(1)
    assert not bench.up()
    bench.carrier(True)
    bench.reactor.advance(3 * S - 1)
    assert not bench.up(), "the limit is not for the way up"


def test_without_a_line_changes_count_at_once() -> None:
    bench = Bench(LinkDelay("eth0", 2 * S))
    bench.carrier(False, ETH1)
    assert not bench.up(ETH1)
    bench.carrier(False)
    bench.reactor.advance(2 * S)
    bench.carrier(True)
    assert bench.up(), "UP that is left out is no delay"


def test_a_link_that_vanishes_is_gone_and_one_that_appears_counts_as_it_is() -> None:
    bench = Bench(LinkDelay("eth0", 2 * S, 2 * S))
    bench.carrier(False)
    bench.table.apply(Gone(ETH0))
    bench.settling.look()
    bench.reactor.advance(9 * S)
    assert not bench.heard
    bench.carrier(False, replace(ETH0, index=9))
    assert not bench.up()


def test_a_reload_that_takes_a_delay_away_lets_the_link_count_as_it_is() -> None:
    bench = Bench(LinkDelay("eth0", 5 * S), LinkDelay("eth1", 5 * S))
    bench.carrier(False)
    bench.carrier(False, ETH1)
    bench.reactor.advance(S)
    bench.settling.follow([LinkDelay("eth1", 50 * S)])
    assert not bench.up()
    assert (S, {(2, ""), (3, "")}) in bench.heard
    assert bench.up(ETH1)
    bench.reactor.advance(4 * S)
    assert not bench.up(ETH1), "what waits keeps its time"


@pytest.mark.parametrize(
    ("adverts", "interval_ns", "wanted"),
    [(3, S, 2 * S - S // 256), (3, S // 10, S // 5 - S // 2560), (1, S, 0), (2, 256, 255)],
)
def test_the_limit_of_an_instance(adverts: int, interval_ns: int, wanted: int) -> None:
    instance = VrrpInstance("a", "eth0", 1, down_timer_adverts=adverts)
    assert instance.longest_down_ns(interval_ns) == wanted
