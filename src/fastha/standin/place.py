"""The daemon in keepalived's place: its pid files, and what its signals write (shell)."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping

import orjson

from fastha.errors import SystemFault
from fastha.log import Log
from fastha.model import GlobalDefs, Processes, TrackFile, TrackProcess, VirtualServer, VrrpInstance
from fastha.model.codec import read
from fastha.parent.configuration import Configuration
from fastha.parent.disclose import whole
from fastha.parent.supervisor import Supervisor
from fastha.parent.whole_file import write_atomically
from fastha.standin import data, json_dump, stats
from fastha.standin.picture import Counts, Picture, Seen, counts_of
from fastha.standin.pids import PidFiles
from fastha.standin.signals import SIGNALS

DATA = "keepalived.data"
MODE = 0o600  # as keepalived's


class KeepalivedPlace:
    """Keeps `fastha.parent.place.Place`. `directory`: where dumps go; `begun()` is called once when the pid files are
    written for the first time; `respawn`, `keep`: of Place."""

    def __init__(
        self,
        log: Log,
        pids: PidFiles,
        directory: str,
        respawn: bool = True,
        keep: Collection[str] = (),
        begun: Callable[[], object] = lambda: None,
    ) -> None:
        self._log, self._pids, self._directory, self._begun = log, pids, directory, begun
        self.respawn, self.keep = respawn, keep
        self._cleared: dict[str, Counts] = {}
        self._first = True

    @property
    def signals(self) -> Collection[int]:
        return [SIGNALS[name] for name in ("DATA", "STATS", "STATS_CLEAR", "JSON")]

    def settle(self, wanted: Processes) -> bool:
        if wanted.uses_pid_dir:
            self._pids.settle(wanted.tag)
        return True

    def processes(self, pids: Mapping[str, int]) -> None:
        first, self._first = self._first, False
        if first:
            self._pids.write(pids)
            self._begun()
            return
        try:
            self._pids.write(pids)
        except SystemFault as error:  # a daemon that runs goes on without
            self._log.error(str(error))

    def signal(self, number: int, supervisor: Supervisor) -> None:
        picture = self._picture(supervisor)
        if number == SIGNALS["DATA"]:

            def file(role: str) -> str:
                return data_file(picture.globals, role)

            self._write(file("parent"), data.of_parent(picture).encode())
            alive = {role for role, child in supervisor.children.items() if child.alive}
            if "vrrp" in alive:
                self._write(file(""), data.of_vrrp(picture).encode())
            if "checker" in alive:
                self._write(file("check"), data.of_checker(picture).encode())
        elif number == SIGNALS["JSON"]:
            self._write("keepalived.json", json_dump.document(picture, picture.globals.json_version))
        else:
            self._write("keepalived.stats", stats.text(picture.instances).encode())
            if number == SIGNALS["STATS_CLEAR"]:
                facts = instances_of(supervisor)
                self._cleared = {name: counts_of(one) for name, one in facts.items()}

    def _picture(self, supervisor: Supervisor) -> Picture:
        config, facts = supervisor.config or Configuration(), instances_of(supervisor)
        seen = []
        for part in config.of("instance"):
            instance = read(VrrpInstance, orjson.loads(part.head))
            known = facts.get(instance.name, {})
            seen.append(Seen(instance, known, counts_of(known, self._cleared.get(instance.name))))
        servers = [read(VirtualServer, orjson.loads(whole(part))) for part in config.of("virtual_server")]
        files = [read(TrackFile, orjson.loads(part.head)) for part in config.of("track_file")]
        counted: Mapping[str, Mapping[str, object]] = supervisor.picture.of("vrrp").get("processes", {})
        processes = [read(TrackProcess, orjson.loads(part.head)) for part in config.of("track_process")]
        return Picture(
            config.globals,
            tuple(seen),
            tuple(servers),
            tuple(files),
            supervisor.servers,
            tuple((one, counted.get(one.name, {})) for one in processes),
        )

    def _write(self, name: str, content: bytes) -> None:
        path = os.path.join(self._directory, name)
        try:
            write_atomically(path, content, MODE)
        except OSError as error:
            self._log.error(f"{path}: {error.strerror or error}")
        else:
            self._log.info(f"wrote {path}")

    def close(self) -> None:
        self._pids.remove()


def data_file(defs: GlobalDefs, role: str) -> str:
    """Where the state of a process goes, beside the other dumps if that is no path (keepalived.md 1.16). `role`: "" for
    the VRRP process, else "parent" or "check"."""
    folder, name = os.path.split(defs.state_dump_file)
    stem, extension = os.path.splitext(name or DATA)
    tag = defs.processes.tag if defs.data_use_instance else ""
    name = stem + (f"_{role}" if role else "") + (f".{tag}" if tag else "") + extension
    return os.path.join(folder, name)


def instances_of(supervisor: Supervisor) -> Mapping[str, Mapping[str, object]]:
    """Facts of VRRP instances by name."""
    facts: Mapping[str, Mapping[str, object]] = supervisor.picture.of("vrrp").get("instances", {})
    return facts
