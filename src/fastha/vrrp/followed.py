"""What this process finds out itself about things that instances follow: scripts, files and processes (shell).

What is not followed by any instance is not run and not watched.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Set
from functools import partial

from fastha.child import Child
from fastha.child.files import Files
from fastha.child.runner import Runner
from fastha.child.told import Told
from fastha.model import Config, TrackFile
from fastha.scripts.configured import defaults
from fastha.vrrp.process_watch import ProcessWatch
from fastha.vrrp.scripts import Scripts

Known = Callable[[str, dict[str, int]], object]  # kind, {name: state}


class Followed:
    """`follow` says what there is; `known` hears of every state: of files at once, of scripts with the first result,
    of processes when all of them were looked at."""

    def __init__(self, child: Child, known: Known) -> None:
        self._child, self._known = child, known
        self._runner = Runner(child.reactor)
        self._scripts = Scripts(child.reactor, self._runner, self._judged)
        self._files = Files(child.reactor)
        self._processes = ProcessWatch(child, self._counted)
        self._watched: dict[str, tuple[TrackFile, Callable[[int], object]]] = {}
        self._told: dict[tuple[str, str], Told] = {}

    def follow(self, config: Config, tracked: Set[tuple[str, str]]) -> None:
        """From now on these; `tracked`: (kind, name) of all that instances follow."""
        self._runner.configure(defaults(config.globals), config.globals.scripts.secure)
        self._scripts.follow(s for s in config.vrrp_scripts if ("script", s.name) in tracked)
        wanted = {f.name: f for f in config.track_files if ("file", f.name) in tracked}
        for name, (file, changed) in list(self._watched.items()):
            if wanted.get(name) is None or wanted[name].path != file.path:
                del self._watched[name]
                self._files.leave(file.path, changed)
        for name, file in wanted.items():
            if name not in self._watched:
                changed = partial(self._number, name)
                self._watched[name] = file, changed
                self._known("file", {name: self._files.follow(file.path, changed)})
        self._processes.follow(
            (p for p in config.processes if ("process", p.name) in tracked), config.globals.buffers.process_monitor
        )
        there = {("scripts", s.name) for s in config.vrrp_scripts} | {("processes", p.name) for p in config.processes}
        for kind, name in self._told.keys() - there:
            del self._told[kind, name]
            self._child.facts({kind: {name: None}})

    def publish(self) -> None:
        """Tell the parent what is known of scripts and processes."""
        for kind, things in (("scripts", self._scripts.facts()), ("processes", self._processes.facts())):
            for name, facts in things.items():
                self._told.setdefault((kind, name), Told(self._child, kind)).publish(name, facts)

    def close(self) -> None:
        """Idempotent."""
        self._scripts.close()
        self._files.close()
        self._processes.close()
        self._watched.clear()

    def _judged(self, name: str, up: bool, why: str) -> None:
        level = logging.INFO if up else logging.WARNING
        self._child.event("script", name, f"{'up' if up else 'down'}: {why}", level, why)
        self._known("script", {name: up})
        self.publish()

    def _counted(self, states: dict[str, bool]) -> None:
        for name, up in states.items():
            running = self._processes.facts()[name]["running"]
            text = f"{'up' if up else 'down'}: {running} running"
            self._child.event("process", name, text, logging.INFO if up else logging.WARNING)
        self._known("process", dict(states))
        self.publish()

    def _number(self, name: str, value: int) -> None:
        self._child.limited(f"track_file {name}", 1.0, f"track_file {name} holds {value}")
        self._known("file", {name: value})
