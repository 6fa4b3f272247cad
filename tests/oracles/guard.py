"""Slow twin of checker.guard, told as a story: a list of servers, each with a word for what it is, and a diary."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(eq=False)
class SlowServer:
    healthy: bool = True
    in_set: bool = True
    counts: bool = True
    down_order: int = 0  # when it went down while in the set


@dataclass
class SlowPool:
    """`diary`: (when, number) of every fall that was let through, ever."""

    percent: int
    limit: int
    interval_ns: int
    servers: list[SlowServer]
    diary: list[tuple[int, int]] = field(default_factory=list)
    panic: bool = False
    clock: int = 0

    def find(self, now_ns: int, healthy: dict[int, bool]) -> None:
        for number, good in healthy.items():
            self.servers[number].healthy = good
        self.judge(now_ns)

    def judge(self, now_ns: int) -> None:
        lately = [entry for entry in self.diary if now_ns - entry[0] < self.interval_ns]
        for server in self.servers:
            if server.healthy:
                server.in_set, server.down_order = True, 0
            elif server.in_set and not server.counts:
                server.in_set, server.down_order = False, 0
            elif server.in_set and not server.down_order:
                self.clock += 1
                server.down_order = self.clock
        fallen = []
        for _, n in lately:
            server = self.servers[n]
            if not server.healthy and not server.in_set and server.counts and n not in fallen:
                fallen.append(n)
        down = [s for s in self.servers if s.in_set and not s.healthy]
        alive = [s for s in self.servers if s.in_set and s.counts]
        if self.percent and 100 * (len(down) + len(fallen)) > self.percent * (len(alive) + len(fallen)):
            self.panic = True
            # who came back had fallen before those that are kept went down
            for number in reversed(fallen):
                self.servers[number].in_set = True
                self.servers[number].down_order = (
                    min((s.down_order for s in self.servers if s.down_order), default=1) - 1
                )
            lowest = min((s.down_order for s in self.servers if s.down_order), default=0)
            for server in self.servers:
                if server.in_set and not server.healthy:
                    server.down_order += 1 - lowest
            self.clock += 1 - lowest
            self.diary.clear()
            return
        self.panic = False
        for server in sorted(down, key=lambda s: s.down_order):
            if self.limit and len([e for e in self.diary if now_ns - e[0] < self.interval_ns]) >= self.limit:
                break
            server.in_set, server.down_order = False, 0
            self.diary.append((now_ns, self.servers.index(server)))
