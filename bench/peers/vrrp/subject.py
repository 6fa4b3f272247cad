"""The programs that are compared: each runs one keepalived.conf in a namespace and says what its VRRP process costs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from fastha.lab.netns import Namespace
from fastha.lab.wait import wait_until

START_S = 60.0
FIFO_PRIORITY = 10


class Subject:
    """`with Subject(...)`: started on entry, killed with all its processes on exit, without a last word."""

    name = ""
    vrrp_words: tuple[str, ...] = ()  # of the command line of the process that speaks VRRP

    def __init__(self, namespace: Namespace, folder: Path, conf: str, core: int = 0) -> None:
        """`core`: which one of those this process may use."""
        self.namespace = namespace
        self._core = sorted(os.sched_getaffinity(0))[core]
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.conf = folder / f"{self.name}.conf"
        self.conf.write_text(conf)
        self.log = folder / f"{self.name}.log"

    def argv(self) -> Sequence[str | os.PathLike[str]]:
        raise NotImplementedError

    def __enter__(self) -> Subject:
        with self.log.open("wb") as log:
            self._process = self.namespace.popen(self.argv(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.pid = wait_until(self._vrrp, START_S, f"{self.name} has a VRRP process")
        # Others use this machine: what is compared is what the programs do, not how long they wait for a core. Two that
        # run first come first served must not meet on one core either: whichever is there runs until it sleeps.
        os.sched_setaffinity(self.pid, {self._core})
        os.sched_setscheduler(self.pid, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(FIFO_PRIORITY))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(self.log.read_text(errors="replace")[-2000:])
        self.kill()

    def kill(self) -> None:
        """Loss of power: everything of it at once."""
        pids = [pid for pid in self.namespace.pids() if self._is_ours(pid)]
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    continue
        self._process.wait()

    def cpu_s(self) -> float:
        """What the VRRP process has used so far (proc_pid_schedstat: ns on the CPU, system calls included)."""
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[0]) / 1e9

    def rss_kb(self) -> int:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))

    def _vrrp(self) -> int:
        """Its pid; the last one that was started, if there are several."""
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.name} ended: {self.log.read_text(errors='replace')[-3000:]}")
        found = [pid for pid in self.namespace.pids() if self._speaks(pid)]
        return max(found, default=0)

    def _words(self, pid: int) -> list[str]:
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            return []

    def _is_ours(self, pid: int) -> bool:
        raise NotImplementedError

    def _speaks(self, pid: int) -> bool:
        raise NotImplementedError


class Fastha(Subject):
    name = "fastha"

    def argv(self) -> Sequence[str | os.PathLike[str]]:
        control = self.folder / "control.sock"
        return [sys.executable, "-m", "fastha.cli", "run", "-f", self.conf, "--dataplane", "none", "--control", control]

    def _is_ours(self, pid: int) -> bool:
        return any(word.startswith("fastha.") for word in self._words(pid))

    def _speaks(self, pid: int) -> bool:
        return "fastha.vrrp" in self._words(pid)


class Keepalived(Subject):
    name = "keepalived"

    def argv(self) -> Sequence[str | os.PathLike[str]]:
        words = ("pid", "vrrp_pid", "checkers_pid")
        for word in words:  # one that was killed leaves them, and their numbers may be somebody's by now
            (self.folder / word).unlink(missing_ok=True)
        pids = [f"--{word}={self.folder / word}" for word in words]
        return ["keepalived", "-P", "-n", "-l", "-G", "-f", self.conf, *pids]

    def _is_ours(self, pid: int) -> bool:
        return self._words(pid)[:1] == ["keepalived"]

    def _speaks(self, pid: int) -> bool:
        """The child: its parent is the process that we started."""
        try:
            parent = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            return False
        return self._is_ours(pid) and parent == self._process.pid


SUBJECTS: tuple[type[Subject], ...] = (Fastha, Keepalived)
