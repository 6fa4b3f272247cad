"""The running laboratory: builds the machines, keeps looking at them, tells the view what changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from fastha.errors import SystemFault
from fastha.lab import kernel, plan
from fastha.lab.director import Director, FasthaDirector, KeepalivedDirector, Observation
from fastha.lab.netns import Namespace, sweep
from fastha.lab.network import Network
from fastha.lab.witness import Witness, now_ns

LOOK_EVERY_S = 0.05
START_S = 10.0


@dataclass(frozen=True, slots=True)
class Options:
    """What `fastha lab` was asked for. `rate`: the client's requests per second."""

    director: str = "fastha"
    dataplane: str = "auto"
    rate: float = 200.0


@dataclass(slots=True)
class Snapshot:
    """All that the view shows."""

    seconds: float = 0.0
    directors: dict[str, Observation] = field(default_factory=dict)
    servers_alive: dict[str, bool] = field(default_factory=dict)
    answers_per_s: float = 0.0
    errors_per_s: float = 0.0
    answered_by: dict[str, int] = field(default_factory=dict)
    sent: int = 0


class Screen:
    """What the laboratory tells whoever watches; see view.py. This one keeps quiet."""

    def say(self, seconds: float, text: str) -> None: ...

    def show(self, snapshot: Snapshot) -> None: ...


class Laboratory:
    """A context manager: inside, everything runs; after it, nothing is left."""

    def __init__(self, options: Options, screen: Screen) -> None:
        self.options, self.screen = options, screen
        self.begin_ns = now_ns()
        self.network = Network()
        self.servers: dict[str, Namespace] = {}
        self.directors: dict[str, Director] = {}
        self.observed: dict[str, Observation] = {}
        self._told: dict[str, Observation] = {}  # what the last changes were told from
        self._server_processes: dict[str, subprocess.Popen[bytes]] = {}
        self._witness: Witness | None = None

    @property
    def witness(self) -> Witness:
        assert self._witness is not None, "the laboratory is not built yet"
        return self._witness

    def __enter__(self) -> Self:
        check_machine(self.options)
        self.network.__enter__()
        try:
            self._build()
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.network.__exit__(kind, error, trace)

    def _build(self) -> None:
        for left in sweep():
            self.say(f"removed what a dead run left behind: {left}")
        for server in plan.SERVERS:
            namespace = self.servers[server.name] = self.network.namespace(server.name)
            self.network.attach(plan.BACK, namespace, "eth0", f"{server.ip}/{plan.PREFIX_LENGTH}")
            namespace.ip(f"route add default via {plan.GATEWAY_ADDRESS}")
            self.start_server(server.name)
        client = self.network.namespace("client")
        self.network.attach(plan.FRONT, client, "eth0", f"{plan.CLIENT_ADDRESS}/{plan.PREFIX_LENGTH}")
        make = FasthaDirector if self.options.director == "fastha" else KeepalivedDirector
        dataplane = self.options.dataplane
        if make is KeepalivedDirector:
            dataplane = "ipvs" if kernel.has("ip_vs") else "nft"
        for director in plan.DIRECTORS:
            machine = self.directors[director.name] = make(self.network, director, dataplane)
            machine.power_on()
            # One after the other: on a small machine two daemons that start at once are in each other's way.
            self._wait_for(machine)
        self._witness = Witness(client, plan.SERVICE_ADDRESS, plan.SERVICE_PORT, self.options.rate)

    def _wait_for(self, director: Director) -> None:
        """Until it answers or has ended; what is wrong with one that does neither, the story tells."""
        end = now_ns() + int(START_S * 1e9)
        while director.running and now_ns() < end and not director.observe().heard:
            time.sleep(LOOK_EVERY_S)

    # -- real servers --

    def start_server(self, name: str) -> None:
        port = next(server.port for server in plan.SERVERS if server.name == name)
        argv = [sys.executable, "-m", "fastha.lab.server", "--name", name, "--port", str(port)]
        self._server_processes[name] = self.servers[name].popen(argv, stdin=subprocess.DEVNULL)

    def kill_server(self, name: str) -> None:
        """SIGKILL; its machine lives and answers every connection with a reset."""
        self.servers[name].kill_all()
        self._server_processes[name].wait()

    # -- looking --

    @property
    def seconds(self) -> float:
        return (now_ns() - self.begin_ns) / 1e9

    def say(self, text: str) -> None:
        self.screen.say(self.seconds, text)

    def look(self) -> None:
        """Ask everybody once, tell what changed, refresh the view."""
        self.witness.poll()
        for name, director in self.directors.items():
            now = self.observed[name] = director.observe()
            if now.heard:
                for text in changes(name, self._told.get(name, Observation()), now):
                    self.say(text)
                self._told[name] = now
        answers, errors, answered_by = self.witness.recent()
        self.screen.show(
            Snapshot(
                seconds=self.seconds,
                directors=dict(self._told),
                servers_alive={name: process.poll() is None for name, process in self._server_processes.items()},
                answers_per_s=answers,
                errors_per_s=errors,
                answered_by=dict(answered_by),
                sent=len(self.witness.requests) + self.witness.in_flight,
            )
        )

    def wait(self, condition: Callable[[], object], deadline_s: float) -> float | None:
        """Keep looking until `condition` holds; returns how many seconds that took, None after the deadline."""
        begin = now_ns()
        while True:
            self.look()
            waited = (now_ns() - begin) / 1e9
            if condition():
                return waited
            if waited > deadline_s:
                return None
            time.sleep(LOOK_EVERY_S)

    def watch(self, seconds: float) -> None:
        """Keep looking for a while."""
        end = now_ns() + int(seconds * 1e9)
        self.wait(lambda: now_ns() >= end, seconds + 1)

    # -- questions --

    def master(self) -> Director | None:
        """The director on which every instance is master, if it is exactly one."""
        masters = [name for name, seen in self.observed.items() if seen.all_in("master")]
        return self.directors[masters[0]] if len(masters) == 1 else None

    def holders(self) -> list[str]:
        """Directors whose kernel has the service address."""
        return [name for name, director in self.directors.items() if director.holds(plan.SERVICE_ADDRESS)]

    def in_all_tables(self, *servers: str) -> bool:
        """Whether both directors' tables give all of `servers` new connections."""
        return all(seen.gives_to(server) is True for seen in self.observed.values() for server in servers)

    def in_no_table(self, server: str) -> bool:
        return all(seen.gives_to(server) is False for seen in self.observed.values())


def changes(name: str, before: Observation, now: Observation) -> list[str]:
    """What is different between two observations of one director, in words."""
    if not now.running:
        return [f"{name}: is dead"] if before.running else []
    told = [] if before.running else [f"{name}: started"]
    if now.states and before.state != now.state:
        told.append(f"{name}: {before.state if before.running else 'starting'} -> {now.state}")
    for server, row in now.rows.items():
        old = before.rows.get(server)
        if old != row:
            weight = "not in its table" if row.weight is None else f"weight {row.weight}"
            told.append(f"{name}: {server} {row.health}, {weight}")
    return told


def check_machine(options: Options) -> None:
    """One clear line when the machine cannot do it."""
    if os.geteuid() != 0:
        raise SystemFault("the laboratory makes network namespaces and needs root")
    if shutil.which("ip") is None:
        raise SystemFault("the laboratory needs the program ip (Debian: apt-get install iproute2)")
    for feature in ("veth", "bridge"):
        if not kernel.has(feature):
            raise SystemFault(f"the laboratory needs a kernel with {feature}")
    ipvs, nft = kernel.has("ip_vs"), kernel.has("nft")
    if options.dataplane == "ipvs" and not ipvs:
        raise SystemFault("this kernel has no IPVS (module ip_vs): try --dataplane nft")
    if (options.dataplane == "nft" and not nft) or not (ipvs or nft):
        raise SystemFault(
            "this kernel has no nftables NAT" + ("" if ipvs else " and no IPVS") + ": nothing can balance"
        )
    if options.director == "keepalived" and options.dataplane == "nft" and ipvs:
        raise SystemFault("keepalived balances with IPVS only: leave out --dataplane nft")
