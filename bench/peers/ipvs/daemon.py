"""In the guest: one `fastha run`, and what it does between its start and its end."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from watch import Service, Tap, rules
from workload import changed, destinations, ipvsadm_rules, keepalived_conf

from fastha.cli.client import NoAnswer, ask

PATIENCE_S = 60.0


class Daemon:
    """`with Daemon(file)`: started on entry (`started`, time.monotonic), killed on exit unless `stop` came first; the
    rows stay then."""

    def __init__(self, file: Path) -> None:
        self._control = str(file.with_suffix(".sock"))
        self._log = file.with_suffix(".log")
        command = [sys.executable, "-m", "fastha.cli", "run", "-f", str(file), "--dataplane", "ipvs"]
        self._command = [*command, "--control", self._control]

    def __enter__(self) -> Daemon:
        with self._log.open("wb") as log:
            self.started = time.monotonic()
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stderr=log)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: TracebackType | BaseException | None) -> None:
        if kind is not None:
            print(self._log.read_text()[-3000:], flush=True)
        if self._process.poll() is None:
            # the checker first: one whose parent is gone would still write its last words
            if pid := self._child().get("pid"):
                subprocess.run(["kill", "-STOP", str(self._process.pid)], check=True)
                subprocess.run(["kill", "-KILL", str(pid)], check=True)
            self._process.kill()
        self._process.wait()

    def ask(self, command: str) -> dict[str, Any]:
        return ask(self._control, command, PATIENCE_S)

    def _child(self) -> dict[str, Any]:
        try:
            return dict(self.ask("status")["daemon"]["children"].get("checker", {}))
        except NoAnswer:
            return {}

    def running(self) -> dict[str, Any]:
        """The status once every child has confirmed its configuration."""
        end = time.monotonic() + PATIENCE_S
        while True:
            status = self.ask("status")
            if status["daemon"]["state"] == "running" and self._child().get("state") == "running":
                return self.ask("status")
            if time.monotonic() > end:
                raise TimeoutError(status["daemon"])
            time.sleep(0.05)

    def healthy(self) -> dict[str, Any]:
        """The same, with nobody killed or in trouble on the way."""
        status = self.running()
        checker = status["daemon"]["children"]["checker"]
        assert checker["restarts"] == 0, checker
        facts = status["checker"]["dataplane"]
        assert facts["errors"] == 0, facts
        assert facts["drift"] == 0, facts
        return status

    def operations(self) -> int:
        return int(self.healthy()["checker"]["dataplane"]["operations"])

    def reload(self) -> float:
        """Seconds until the daemon says that it runs the new configuration."""
        start = time.monotonic()
        answer = self.ask("reload")
        assert answer["ok"], answer
        return time.monotonic() - start

    def stop(self) -> float:
        """Seconds from SIGTERM to the end of the process."""
        start = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(PATIENCE_S)
        assert status == 0, status
        return time.monotonic() - start


def reloads_and_stop(folder: Path, service: Service, count: int) -> dict[str, Any]:
    """A service under rr: reload without a change, with ten changes, then stop. What was sent is counted twice: by the
    daemon, and on the wire by `Tap`."""
    file, dests = folder / "life.conf", destinations(count)
    found: dict[str, Any] = {}
    tap = Tap()
    try:
        file.write_text(keepalived_conf("rr", dests))
        with Daemon(file) as daemon:
            service.wait("rr", count)
            assert daemon.operations() == count + 1
            assert sum(tap.take().values()) == count + 1
            found["unchanged_s"] = daemon.reload()
            found["unchanged"] = (daemon.operations() - count - 1, dict(tap.take()))
            file.write_text(keepalived_conf("rr", changed(dests)))
            found["changed_s"] = daemon.reload()
            found["changed"] = (daemon.operations() - count - 1, dict(tap.take()))
            assert rules() == sorted(ipvsadm_rules("rr", changed(dests)).splitlines())
            found["stop_s"] = daemon.stop()
            found["stop"] = dict(tap.take())
        assert rules() == []
    finally:
        tap.close()
    return found
