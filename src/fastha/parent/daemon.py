"""The parent process: its beginning, its signals, its control socket, its end.

start        load, check privileges, open the control socket, propose; all ready: commit, READY=1
             any fault or refusal: one clear line, nothing left behind, status 2 (configuration), 4 (system) or 1
SIGHUP       load, propose, commit or abandon; asked for during a reload: once more after it
SIGTERM/INT  vrrp, then checker give everything up; scripts end; status 0
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import fastha
from fastha.channel.status import Exit
from fastha.errors import ConfigError, FasthaError, SystemFault
from fastha.log import Log
from fastha.model.units import NS_PER_MS, NS_PER_S
from fastha.parent import protocol
from fastha.parent.control import Reply, Server
from fastha.parent.events import Events
from fastha.parent.loop import READ, Loop
from fastha.parent.memory import Memory
from fastha.parent.protocol import BadRequest, Request
from fastha.parent.readiness import notify
from fastha.parent.reloads import Load, Outcome, Reloads
from fastha.parent.scripts import Scripts
from fastha.parent.spawn import PROCESSES, Process
from fastha.parent.state import STATE_PATH
from fastha.parent.status import document
from fastha.parent.supervisor import Supervisor

SNAPSHOT_NS = 100 * NS_PER_MS  # `status` may be so old, however many ask; not older than an event or an admin's answer
SCRIPT_WAIT_NS = 5 * NS_PER_S  # for scripts that the children asked for in their last words


class Daemon:
    """`run()` is its whole life and returns the exit status."""

    def __init__(
        self,
        config_path: str,
        load: Load,
        *,
        dataplane: str = "auto",
        control_path: str = protocol.CONTROL_PATH,
        pid_path: str = "",
        state_path: str = "",
        log: Log | None = None,
        processes: Sequence[Process] = PROCESSES,
    ) -> None:
        self._config_path = os.path.abspath(config_path)
        self._dataplane, self._control_path, self._pid_path = dataplane, control_path, pid_path
        self._log = log or Log("fastha")
        self._loop = Loop()
        self._events = Events(self._log)
        self._scripts = Scripts(self._loop, self._log)
        self._memory = Memory(os.path.abspath(state_path or beside(control_path)), self._log, self._events)
        self._supervisor = Supervisor(
            self._loop, self._log, self._events, self._scripts, processes, dataplane, self._memory
        )
        self._reloads = Reloads(
            self._loop, self._log, self._events, self._supervisor, load, self._config_path, dataplane
        )
        self._server: Server | None = None
        self._state = "starting"
        self._exit = Exit.OK
        self._started_at, self._started_ns = time.time(), self._loop.now_ns()
        self._snapshot = b""
        self._snapshot_until_ns = 0
        self._snapshot_of: tuple[object, ...] = ()

    def run(self) -> Exit:
        """Start, serve until told to stop, leave nothing behind."""
        try:
            with Signals(self._loop, self._signal):
                loaded = self._reloads.read()
                self._server = Server(self._loop, self._control_path, self._command)
                self._write_pid()
                self._memory.load()  # after the control socket: nobody else is using the file now
                self._log.info(f"fastha {fastha.__version__} starts with {self._config_path}")
                if not loaded.config or not (loaded.config.instances or loaded.config.virtual_servers):
                    self._log.warning(f"{self._config_path}: no vrrp_instance and no virtual_server: nothing to do")
                self._reloads.first(loaded, self._begun)
                self._loop.run()
        except ConfigError as error:
            self._log.error(f"not started: {self._config_path} has {len(error.faults)} error(s)")
            self._exit = Exit.REFUSED
        except SystemFault as error:
            self._log.error(f"not started: {error}")
            self._exit = Exit.SYSTEM
        except FasthaError as error:
            self._log.error(f"not started: {error}")
            self._exit = Exit.FAILED
        finally:
            self._close()
        return self._exit

    def _begun(self, outcome: Outcome) -> None:
        if outcome.status is Exit.OK:
            self._state = "running"
            notify(f"READY=1\nMAINPID={os.getpid()}")
        elif self._state == "starting":
            self._log.error(f"not started: {outcome.text}")
            self._stop(outcome.status)

    # -- stopping --

    def _stop(self, status: Exit = Exit.OK) -> None:
        if self._state == "stopping":
            self._log.info("already stopping")
            return
        self._state, self._exit = "stopping", status
        notify("STOPPING=1")
        self._log.info("stopping")
        self._reloads.cancel()
        self._supervisor.stop(self._children_gone)

    def _children_gone(self) -> None:
        if self._scripts.pending:
            self._log.info(f"waiting for {self._scripts.pending} scripts")
        self._loop.call_later(SCRIPT_WAIT_NS, self._loop.stop)
        self._scripts.when_idle(self._loop.stop)

    def _close(self) -> None:
        self._scripts.abandon()
        if self._server is not None:
            self._server.close()
            self._remove_pid()
        if self._state == "stopping":
            self._log.info("stopped")
        self._loop.close()
        self._log.close()

    # -- asked from outside --

    def _signal(self, number: int) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            self._log.info(f"{signal.Signals(number).name} received")
            self._stop()
        elif number == signal.SIGHUP:
            self._reloads.request()
        else:
            self._log.info(f"{signal.Signals(number).name} received: ask `fastha status` instead")

    def _command(self, request: Request, reply: Reply) -> None:
        """Handler of the control socket; protocol.COMMANDS is the list."""
        command = request.command
        if protocol.COMMANDS[command].admin:
            reply = self._outdating(reply)
        if command == "status":
            reply(self._status())
        elif command == "version":
            reply(protocol.answer({"version": fastha.__version__, "protocol": protocol.VERSION}))
        elif command == "configuration":
            reply(self._configuration())
        elif command == "reload":
            self._reloads.request(lambda outcome: reply(protocol.answer(_plain(outcome))))
        elif command == "overrides":
            reply(
                protocol.answer({"overrides": self._memory.listing(self._supervisor.config, self._supervisor.servers)})
            )
        elif command == "override":
            reply(self._override(request))
        elif command == "resync":
            self._supervisor.resync(lambda done: reply(protocol.answer(_resynced(done))))
        elif command == "stop":
            reply(protocol.answer({"pid": os.getpid()}))
            self._stop()

    def _configuration(self) -> bytes:
        reloads, config = self._reloads, self._supervisor.config
        if config is None:
            return protocol.refusal(BadRequest("busy", f"the daemon is {self._state}"))
        return protocol.answer(
            {
                "configuration": config,
                "file": self._config_path,
                "files": reloads.files,
                "loaded": reloads.loaded_at,
                "not_supported": reloads.noted,
            }
        )

    def _override(self, request: Request) -> bytes:
        try:
            if self._state != "running":
                raise BadRequest("busy", f"the daemon is {self._state}")
            changes = self._memory.decide(
                request.fields, self._supervisor.config, self._supervisor.servers, request.uid
            )
        except BadRequest as error:
            return protocol.refusal(error)
        if not request.fields.get("dry_run") and any(change.before != change.after for change in changes):
            self._supervisor.tell_overrides()
        return protocol.answer({"changes": changes, "dry_run": bool(request.fields.get("dry_run"))})

    def _outdating(self, reply: Reply) -> Reply:
        """`reply` to who changes something: what `status` says next is younger than the answer."""

        def answered(answer: bytes) -> None:
            self._snapshot_until_ns = 0
            reply(answer)

        return answered

    def _status(self) -> bytes:
        now = self._loop.now_ns()
        supervisor = self._supervisor
        of = (self._state, self._events.last, supervisor.generation, *(c.state for c in supervisor.children.values()))
        if now >= self._snapshot_until_ns or of != self._snapshot_of:
            self._snapshot_until_ns, self._snapshot_of = now + SNAPSHOT_NS, of
            self._snapshot = protocol.answer(document(supervisor, self._about(now), now))
        return self._snapshot

    def _about(self, now_ns: int) -> dict[str, Any]:
        reloads = self._reloads
        return {
            "version": fastha.__version__,
            "pid": os.getpid(),
            "state": self._state,
            "started": self._started_at,
            "uptime_s": round((now_ns - self._started_ns) / 1e9, 3),
            "dataplane": self._dataplane,
            "config": {"file": self._config_path, "files": reloads.files, "loaded": reloads.loaded_at},
            "last_reload": reloads.last.plain() if reloads.last else None,
            "state_file": self._memory.path,
            "overrides": self._memory.listing(self._supervisor.config, self._supervisor.servers),
            "scripts": {**self._scripts.counts, "pending": self._scripts.pending},
            "events": self._events.last,
        }

    # -- the pid file --

    def _write_pid(self) -> None:
        if not self._pid_path:
            return
        self._pid_path = os.path.abspath(self._pid_path)
        try:
            with open(f"{self._pid_path}.new", "w") as file:
                file.write(f"{os.getpid()}\n")
            os.rename(f"{self._pid_path}.new", self._pid_path)
        except OSError as error:
            raise SystemFault(f"pid file {self._pid_path}: {error.strerror or error}") from None

    def _remove_pid(self) -> None:
        if self._pid_path:
            try:
                os.unlink(self._pid_path)
            except OSError:
                pass


def _plain(outcome: Outcome) -> dict[str, Any]:
    """The answer to `reload`."""
    plain = outcome.plain() | {"ok": outcome.status is Exit.OK}
    return plain if plain["ok"] else plain | {"code": "refused", "error": outcome.text}


def _resynced(done: dict[str, Any]) -> dict[str, Any]:
    """The answer to `resync`."""
    return done if done["ok"] else done | {"code": "failed", "error": done["text"]}


def beside(control_path: str) -> str:
    """Where the state is kept unless somebody says otherwise: a daemon with a control socket of its own (a second one
    on this machine) has its state beside it."""
    return STATE_PATH if control_path == protocol.CONTROL_PATH else f"{control_path}.state"


class Signals:
    """While entered, signals arrive as calls of `callback(number)` from the loop (signal.set_wakeup_fd)."""

    TAKEN = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)

    def __init__(self, loop: Loop, callback: Callable[[int], object]) -> None:
        self._loop, self._callback = loop, callback

    def __enter__(self) -> Signals:
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)
        self._old_fd = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        self._old = {number: signal.signal(number, _nothing) for number in self.TAKEN}
        self._loop.add(self._read.fileno(), READ, self._event)
        return self

    def _event(self, _events: int) -> None:
        for number in self._read.recv(4096):
            if number in self.TAKEN:
                self._callback(number)

    def __exit__(self, *_exc: object) -> None:
        self._loop.remove(self._read.fileno())
        for number, handler in self._old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_fd)
        self._read.close()
        self._write.close()


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """A handler that lets the wakeup descriptor do the work."""
