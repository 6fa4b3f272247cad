"""Each measurement: one program in the role that is measured, and its peer in the other, for both programs the same."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ears import Addresses, Adverts, Links, gaps
from subject import Fastha, Keepalived, Subject
from workload import address, instance, links, many_addresses, many_routers, routers

from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from fastha.lab.wait import wait_until

WATCHED = 254  # the VRID whose adverts are watched while others take over


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    routers: int = 2000
    addresses: int = 2000
    burst: int = 20_000
    steady_s: float = 10.0
    failovers: int = 9


@contextmanager
def wire(count: int) -> Iterator[tuple[Namespace, Namespace]]:
    """Two namespaces joined by `count` cables: 10.9.N.1 and 10.9.N.2 on ethN."""
    with Network() as network:
        a, b = network.namespace("a"), network.namespace("b")
        for n in range(count):
            network.cable(a, f"eth{n}", b, f"eth{n}")
            a.ip(f"addr add 10.9.{n}.1/24 dev eth{n}")
            b.ip(f"addr add 10.9.{n}.2/24 dev eth{n}")
        yield a, b


def addresses_in(namespace: Namespace) -> int:
    """How many of address(n) there are."""
    text = namespace.run(["ip", "-4", "-o", "addr", "show"]).stdout
    return sum(" 10.1" in line and "/32" in line for line in text.splitlines())


def holds(namespace: Namespace, count: int, deadline_s: float = 60) -> None:
    wait_until(lambda: addresses_in(namespace) == count, deadline_s, f"{count} addresses are there", 0.2)


def packets(namespace: Namespace, way: str) -> int:
    """Counted by all ethN, as "tx" or "rx"."""
    links = json.loads(namespace.run(["ip", "-j", "-s", "link"]).stdout)
    return sum(int(link["stats64"][way]["packets"]) for link in links if link["ifname"].startswith("eth"))


def cost(subject: Subject, way: str, sizes: Sizes) -> dict[str, float]:
    """CPU of the VRRP process, as a share of one CPU and for each advert; adverts a second. A program that a busy
    machine keeps from sending uses less CPU, so the cost of one advert is what can be compared."""
    before, start, used = packets(subject.namespace, way), time.monotonic(), subject.cpu_s()
    time.sleep(sizes.steady_s)
    count, spent, took = packets(subject.namespace, way) - before, subject.cpu_s() - used, time.monotonic() - start
    return {"cpu": spent / took, "cpu_us": 1e6 * spent / count, "adverts_per_s": count / took}


def peer(program: type[Subject], namespace: Namespace, folder: Path, conf: str) -> Subject:
    """On the other side of the wire, and on another core if there are two."""
    return program(namespace, folder / "peer", conf, core=-1)


def master(program: type[Subject], sizes: Sizes, folder: Path) -> dict[str, float]:
    """All routers are masters; nobody answers."""
    with wire(links(sizes.routers)) as (a, _b), program(a, folder, many_routers(sizes.routers, 200)) as subject:
        holds(a, sizes.routers)
        time.sleep(7)  # repeated gratuitous ARP, after garp_master_delay's 5 s, is not what is measured
        return {**cost(subject, "tx", sizes), "rss_kb": float(subject.rss_kb())}


def backup(program: type[Subject], sizes: Sizes, folder: Path) -> dict[str, float]:
    """All routers are backups: behind masters of keepalived, each of which speaks at a moment of its own, and behind
    masters of fastha, which speak at sixteen moments of an interval and so wake everybody less often."""
    found = {}
    for kind, suffix in ((Keepalived, ""), (Fastha, "_behind_fastha")):
        conf = many_routers(sizes.routers, 200)
        with wire(links(sizes.routers)) as (a, b), peer(kind, b, folder, conf):
            holds(b, sizes.routers)
            with program(a, folder, many_routers(sizes.routers, 100)) as subject:
                time.sleep(6)
                found |= {f"{name}{suffix}": value for name, value in cost(subject, "rx", sizes).items()}
                assert addresses_in(a) == 0, "a backup all the time"
    return found


def takeover(program: type[Subject], sizes: Sizes, folder: Path) -> dict[str, float]:
    """The master of many addresses loses power: from the first address to the last."""
    with wire(8) as (a, b), peer(Fastha, b, folder, many_addresses(sizes.addresses, 8, 200)) as other:
        holds(b, sizes.addresses, 120)
        with program(a, folder, many_addresses(sizes.addresses, 8, 100)), Addresses(a) as seen:
            time.sleep(2)
            assert not seen.added, "it listens first"
            other.kill()
            wait_until(lambda: len(seen.added) >= sizes.addresses, 120, "every address is taken over", 0.05)
            assert not seen.lost
            return {"span_s": seen.added[-1] - seen.added[0]}


def punctual(program: type[Subject], sizes: Sizes, folder: Path) -> dict[str, float]:
    """Adverts of one router with 100 ms between them, while its process takes over very many addresses of others."""
    own = instance("watched", "eth0", WATCHED, 200, ["10.99.0.1"])
    with wire(8) as (a, b), peer(Fastha, b, folder, many_addresses(sizes.burst, 8, 200)) as other:
        holds(b, sizes.burst, 120)
        conf = own + many_addresses(sizes.burst, 8, 100)
        with program(a, folder, conf), Adverts(b, "eth0") as heard, Addresses(a) as seen:
            wait_until(lambda: len(heard.heard.get(WATCHED, ())) > 30, 60, "the watched router is master", 0.1)
            time.sleep(1)
            begin = time.time()
            other.kill()
            wait_until(lambda: len(seen.added) > sizes.burst, 120, "every address is taken over", 0.1)
            time.sleep(3)
            times = [t for t in heard.heard[WATCHED] if t >= begin - 0.2]
            found = sorted(gaps(times))
            return {
                "gap_max_s": found[-1],
                "gap_p999_s": found[min(len(found) - 1, int(len(found) * 0.999))],
                "span_s": seen.added[-1] - next(t for t in seen.added if t >= begin),
            }


def staged(program: type[Subject], sizes: Sizes, folder: Path) -> dict[str, float]:
    """Very many addresses of a master that loses power, first to last: by fastha staged, by keepalived (which knows
    nothing like it) as it can."""
    if program is not Fastha:
        return takeover(program, replace(sizes, addresses=sizes.burst), folder)
    with wire(8) as (a, b), peer(Fastha, b, folder, many_addresses(sizes.burst, 8, 200)) as other:
        holds(b, sizes.burst, 120)
        conf = many_addresses(sizes.burst, 8, 100, more="use_vmac\nstaged_addresses")
        with program(a, folder, conf):
            holds(a, sizes.burst, 120)
            time.sleep(3)
            assert _up(a, "vrrp") == 0, "a backup"
            with Links(a) as seen:
                other.kill()
                wait_until(lambda: _up(a, "vrrp") == routers(sizes.burst), 60, "every interface is up", 0.05)
                assert not seen.lost
                assert addresses_in(a) == sizes.burst
                times = [seen.up[index] for index in _indices(a, "vrrp")]
                return {"span_s": max(times) - min(times)}


def _indices(namespace: Namespace, prefix: str) -> set[int]:
    """Of the interfaces with such a name that are up."""
    links = json.loads(namespace.run(["ip", "-j", "link"]).stdout)
    return {link["ifindex"] for link in links if link["ifname"].startswith(prefix) and "UP" in link["flags"]}


def _up(namespace: Namespace, prefix: str) -> int:
    return len(_indices(namespace, prefix))


def quick(program: type[Subject], sizes: Sizes, folder: Path) -> dict[str, float]:
    """advert_int 0.01: from the last advert of a master that loses power to the address on its backup; medians."""
    found = []
    with wire(1) as (a, b):
        for _ in range(sizes.failovers):
            with peer(Fastha, b, folder, instance("q", "eth0", 7, 200, [address(0)], "0.01")) as other:
                holds(b, 1)
                conf = instance("q", "eth0", 7, 150, [address(0)], "0.01")
                with program(a, folder, conf), Adverts(a, "eth0") as heard, Addresses(a) as seen:
                    time.sleep(1.5)
                    assert not seen.added, "it listens first"
                    other.kill()
                    wait_until(lambda: seen.added, 5, "the address is taken over", 0.01)
                    last = max(t for t in heard.heard[7] if t < seen.added[0])
                    found.append(seen.added[0] - last)
            b.ip(f"addr del {address(0)}/32 dev eth0")
            wait_until(lambda: a.ip("addr flush to 10.100.0.0/16") or addresses_in(a) == 0, 5, "clean")
    return {"failover_s": sorted(found)[len(found) // 2]}


MEASUREMENTS: dict[str, Callable[[type[Subject], Sizes, Path], dict[str, float]]] = {
    "master": master,
    "backup": backup,
    "takeover": takeover,
    "staged": staged,
    "punctual": punctual,
    "quick": quick,
}
