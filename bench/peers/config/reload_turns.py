"""How long a child's loop works without serving anybody, in CPU time: what a loaded machine does not bend.

    python bench/peers/config/reload_turns.py [--virtual 2277] [--servers 37205]

The real checker with its real channel; the parent's half (parent/changes.py) runs in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from fastha.channel.endpoint import Endpoint
from fastha.checker.child import Checker
from fastha.child import Child
from fastha.child.log import setup
from fastha.dataplane.none import NoneBackend
from fastha.model import Config, RealServer, TcpCheck, VirtualServer
from fastha.model.parts import Part, split
from fastha.parent import changes

KINDS = ("globals", "virtual_server", "track_file", "bfd")


def config(virtual: int, servers: int, heavier: frozenset[int] = frozenset()) -> Config:
    number, wards = 0, []
    for index in range(virtual):
        reals = []
        for _ in range(servers // virtual + (index < servers % virtual)):
            ip = f"127.{1 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
            check = TcpCheck(ip=ip, port=9, warmup_ns=3600 * 10**9, delay_ns=3600 * 10**9)
            reals.append(RealServer(ip=ip, port=80, weight=7 if number in heavier else 5, checks=(check,)))
            number += 1
        ip = f"10.{20 + (index >> 16)}.{index >> 8 & 255}.{index & 255}"
        wards.append(VirtualServer(ip=ip, port=80, scheduler="rr", real_servers=tuple(reals)))
    return Config(virtual_servers=tuple(wards))


class Turns:
    """CPU time of the child's turns since `reset`."""

    def __init__(self, child: Child) -> None:
        self.longest_ns = self.total_ns = self.last_ns = 0
        self.turns = 0
        child.reactor.before_sleep(self._turn)

    def _turn(self) -> None:
        now = time.thread_time_ns()
        if self.last_ns:
            self.longest_ns = max(self.longest_ns, now - self.last_ns)
            self.total_ns += now - self.last_ns
        self.last_ns = now
        self.turns += 1

    @contextmanager
    def measured(self, what: str) -> Iterator[None]:
        self.longest_ns = self.total_ns = self.turns = 0
        self.last_ns = time.thread_time_ns()
        yield
        print(
            f"  {what:44} CPU {self.total_ns / 1e6:8.1f} ms in {self.turns:5} turns, "
            f"longest turn {self.longest_ns / 1e6:6.2f} ms",
            flush=True,
        )


def parent_half(sock: socket.socket, configs: list[Config]) -> None:
    """Propose and commit each of them."""
    endpoint = Endpoint(sock, "down")
    had: dict[tuple[str, str], Part] = {}
    for generation, wanted in enumerate(configs, 1):
        new = {part.key: had.get(part.key) if had.get(part.key) == part else part for part in split(wanted)}
        for message in changes.messages(had, new, KINDS, generation, generation - 1):  # type: ignore[arg-type]
            endpoint.send(**message)
            while endpoint.queued() > 1 << 17:
                select.select([], [endpoint], [])
                endpoint.flush()
                drain(endpoint)
        endpoint.send(type="propose", generation=generation, config=None, dataplane="none", previous={})
        until(endpoint, "ready")
        endpoint.send(type="commit", generation=generation)
        until(endpoint, "committed")
        had = new  # type: ignore[assignment]
        time.sleep(0.5)


def drain(endpoint: Endpoint) -> set[str]:
    if select.select([endpoint], [], [], 0)[0]:
        return {message["type"] for message in endpoint.receive()}
    return set()


def until(endpoint: Endpoint, word: str) -> None:
    while True:
        select.select([endpoint], [endpoint] if endpoint.wants_write() else [], [])
        endpoint.flush()
        if word in drain(endpoint):
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--virtual", type=int, default=2277)
    parser.add_argument("--servers", type=int, default=37_205)
    options = parser.parse_args()
    ten = frozenset(range(0, options.servers, max(1, options.servers // 10)))
    everything = frozenset(range(options.servers))
    variants = [frozenset(), ten, frozenset(), everything]
    names = ["start", "10 servers have another weight", "and back", "all servers have another weight"]
    configs = [config(options.virtual, options.servers, heavier) for heavier in variants]
    print(f"{options.virtual} virtual servers, {options.servers} real servers: the checker")
    ours, theirs = socket.socketpair()
    if not (pid := os.fork()):
        theirs.close()
        parent_half(ours, configs)
        os._exit(0)
    ours.close()
    del configs
    setup("checker", 40)
    child = Child("checker", Endpoint(theirs, "up"))
    checker = Checker(child, open_backend=lambda _name, _place: NoneBackend())
    turns = Turns(child)
    measuring = None
    original = child.send

    def send(kind: str, **fields: object) -> None:
        nonlocal measuring
        original(kind, **fields)
        if kind == "ready":
            print("", end="")
        if kind == "committed" and measuring is not None:
            measuring.__exit__(None, None, None)
            measuring = None
            begin()

    def begin() -> None:
        nonlocal measuring
        if names:
            measuring = turns.measured(names.pop(0))
            measuring.__enter__()

    child.send = send  # type: ignore[method-assign]
    child.orphaned = lambda: child.finish(0)
    begin()
    child.run()
    checker.close()
    os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
