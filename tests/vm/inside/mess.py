"""Random trouble with an IPVS table, as somebody with ipvsadm and no idea would make it. Pure, seeded."""

from __future__ import annotations

from collections.abc import Collection
from random import Random

from vm.inside.ipvsadm import Row, Rows

SCHEDULERS = ("rr", "wrr", "lc", "wlc", "sh", "dh", "sed", "nq")
FORWARDS = ("-m", "-g", "-i")
TUNNELS = ("--tun-type ipip", "--tun-type gre --tun-nocsum", "--tun-type gue --tun-port 6080 --tun-nocsum")


class Mess:
    """Edits of `rows`, in ipvsadm's words (`lines`); `rows` is kept as the kernel must then show it.

    `ours`: the services that are not foreign; `foreign`: names that foreign services may have.
    """

    def __init__(self, random: Random, rows: Rows, ours: Collection[str], foreign: Collection[str]) -> None:
        self.rows = rows
        self.lines: list[str] = []
        self._random = random
        self._ours = sorted(ours)
        self._foreign = sorted(foreign)

    def make(self, edits: int) -> None:
        for _ in range(edits):
            kinds = [self._remove_dest, self._edit_dest, self._add_dest, self._edit_service, self._foreign_service]
            self._random.choices([*kinds, self._remove_service], weights=(6, 8, 4, 3, 4, 1))[0]()

    def _any_service(self) -> str | None:
        return self._random.choice(sorted(self.rows)) if self.rows else None

    def _any_dest(self) -> tuple[str, str] | None:
        name = self._any_service()
        if name is None or not self.rows[name].dests:
            return None
        return name, self._random.choice(sorted(self.rows[name].dests))

    def _remove_dest(self) -> None:
        if found := self._any_dest():
            name, dest = found
            del self.rows[name].dests[dest]
            self.lines.append(f"-d {name} -r {dest}")

    def _options(self) -> str:
        forward, weight = self._random.choice(FORWARDS), self._random.randrange(0, 9)
        return f"{forward} -w {weight}" + (f" {self._random.choice(TUNNELS)}" if forward == "-i" else "")

    def _edit_dest(self) -> None:
        """Another weight, another way to forward, another tunnel."""
        if found := self._any_dest():
            name, dest = found
            self.rows[name].dests[dest] = options = self._options()
            self.lines.append(f"-e {name} -r {dest} {options}")

    def _add_dest(self) -> None:
        name = self._any_service()
        dest = f"10.8.99.{self._random.randrange(1, 255)}:80"
        if name is not None and dest not in self.rows[name].dests:
            self.rows[name].dests[dest] = options = self._options()
            self.lines.append(f"-a {name} -r {dest} {options}")

    def _service_options(self) -> str:
        persistence = self._random.choice(("", "", " -p 30", " -p 600"))
        return f"-s {self._random.choice(SCHEDULERS)}{persistence}"

    def _edit_service(self) -> None:
        if (name := self._any_service()) is not None:
            self.rows[name].options = options = self._service_options()
            self.lines.append(f"-E {name} {options}")

    def _remove_service(self) -> None:
        """Gone; or gone and there again with nothing in it."""
        if (name := self._any_service()) is not None:
            del self.rows[name]
            self.lines.append(f"-D {name}")
            if self._random.random() < 0.5:
                self._add_service(name)

    def _add_service(self, name: str) -> None:
        self.rows[name] = Row(self._service_options())
        self.lines.append(f"-A {name} {self.rows[name].options}")

    def _foreign_service(self) -> None:
        name = self._random.choice(self._foreign)
        if name in self.rows:
            del self.rows[name]
            self.lines.append(f"-D {name}")
        else:
            self._add_service(name)
            for _ in range(self._random.randrange(3)):
                self._add_dest()
