"""The parent process: its beginning, its signals, its control socket, its end.

start        load, check privileges, open the control socket, propose; all ready: commit, READY=1
             any fault or refusal: one clear line, nothing left behind, status 2 (configuration), 4 (system) or 1
SIGHUP       load, propose, commit or abandon; asked for during a reload: once more after it
SIGTERM/INT  vrrp, checker, then bfd give everything up; scripts end; status 0
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

import fastha
from fastha.channel.status import Exit
from fastha.errors import ConfigError, FasthaError, SystemFault
from fastha.log import Log
from fastha.model import Processes, ScriptDefs
from fastha.model.units import NS_PER_MS, NS_PER_S
from fastha.parent import protocol
from fastha.parent.accept import accepted
from fastha.parent.access import access
from fastha.parent.configuration import Configuration
from fastha.parent.control import Reply, Server
from fastha.parent.disclose import plain
from fastha.parent.events import Events
from fastha.parent.fifos import Fifos
from fastha.parent.loop import Loop
from fastha.parent.mail import Post
from fastha.parent.marker import clear
from fastha.parent.memory import Memory
from fastha.parent.place import Place
from fastha.parent.protocol import BadRequest, Request
from fastha.parent.readiness import Feeder, notify, watchdog_ns
from fastha.parent.reading import ARGV, Read
from fastha.parent.reloads import Outcome, Reloads
from fastha.parent.scripts import Scripts
from fastha.parent.setting import Setting, enter, run_folder
from fastha.parent.signals import Signals
from fastha.parent.spawn import PROCESSES, Process
from fastha.parent.state import STATE_PATH
from fastha.parent.status import document, sentence
from fastha.parent.stream import Stream
from fastha.parent.supervisor import Supervisor
from fastha.parent.timed import Timed
from fastha.parent.whole_file import write_pid

SNAPSHOT_NS = 100 * NS_PER_MS  # `status` may be so old, however many ask; not older than an event or an admin's answer
SCRIPT_WAIT_NS = 5 * NS_PER_S  # for scripts that the children asked for in their last words


class Daemon:
    """`run()` is its whole life and returns the exit status."""

    def __init__(
        self,
        config_path: str,
        *,
        reading: Sequence[str] = ARGV,
        dataplane: str = "auto",
        control_path: str = protocol.CONTROL_PATH,
        pid_path: str = "",
        state_path: str = "",
        readers: str = "",
        admins: str = "",
        log: Log | None = None,
        processes: Sequence[Process] = PROCESSES,
        place: Place | None = None,
    ) -> None:
        self._config_path = os.path.abspath(config_path)
        self._dataplane, self._control_path, self._pid_path = dataplane, control_path, pid_path
        self._readers, self._admins = readers, admins  # groups, by name
        self._log = log or Log("fastha")
        self._place = place
        self._loop = Loop()
        self._events = Events(self._log)
        self._stream = Stream(self._loop, self._events)
        self._scripts = Scripts(self._loop, self._log)
        self._fifos = Fifos(self._loop, self._log)
        self._post = Post(self._loop, self._log)
        self._memory = Memory(os.path.abspath(state_path or beside(control_path)), self._log, self._events)
        self._supervisor = Supervisor(
            self._loop,
            self._log,
            self._events,
            self._scripts,
            processes,
            dataplane,
            self._memory,
            self._fifos,
            self._post,
        )
        self._reloads = Reloads(
            self._loop,
            self._log,
            self._events,
            self._supervisor,
            self._config_path,
            dataplane,
            argv=reading,
            committed=self._committed,
        )
        self._timed = Timed(self._loop, self._log, self._reloads.request)
        self._feeder = Feeder(
            self._loop,
            watchdog_ns(os.environ, os.getpid()),
            lambda: [child.role for child in self._supervisor.children.values() if child.stuck],
            lambda: sentence(self._supervisor),
        )
        self._setting = Setting(self._log)
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
            with Signals(self._loop, self._signal, self._place.signals if self._place else ()):
                read = self._read_first()
                if read is None or read.configuration is None:
                    return self._exit  # told to stop meanwhile
                self._settle(read.configuration.globals.processes)
                self._server = Server(
                    self._loop, self._control_path, self._command, access(self._readers, self._admins)
                )
                self._write_pid()
                self._tell_place()
                self._supervisor.processes_changed = self._tell_place
                if self._place is not None and not self._place.respawn:
                    self._supervisor.unexpected = self._not_alone
                self._memory.load()  # after the control socket: nobody else is using the file now
                self._log.info(f"fastha {fastha.__version__} starts with {self._config_path}")
                if not any(read.configuration.has(kind) for kind in ("instance", "virtual_server", "bfd", "static")):
                    self._log.warning(f"{self._config_path}: no vrrp_instance and no virtual_server: nothing to do")
                self._started(read.configuration, lambda: self._reloads.first(read, self._begun))
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

    def _settle(self, wanted: Processes) -> None:
        """Where this daemon lives: its namespace, and a folder of its own if it has a name. SystemFault."""
        if wanted.namespace:
            enter(wanted.namespace)
        folder = run_folder(wanted)
        if wanted.tag and self._control_path == protocol.CONTROL_PATH:
            os.makedirs(folder, mode=0o755, exist_ok=True)
            self._control_path = f"{folder}/control.sock"
            self._memory.path = beside(self._control_path)
            self._log.info(f"control socket {self._control_path}")
        theirs = self._place is not None and self._place.settle(wanted)
        if wanted.uses_pid_dir and not theirs:
            self._supervisor.pids.folder = folder
            self._pid_path = self._pid_path or self._supervisor.pids.path("fastha")
            os.makedirs(folder, mode=0o755, exist_ok=True)

    def _read_first(self) -> Read | None:
        """What the start needs before anything else; None if a signal ended the daemon meanwhile. FasthaError."""
        outcome: list[Read | FasthaError] = []
        self._reloads.start(outcome.append)
        while not outcome and self._state == "starting":
            self._loop.turn()
        if not outcome:
            return None
        if isinstance(outcome[0], FasthaError):
            raise outcome[0]
        clear(outcome[0].configuration.globals.reload_file if outcome[0].configuration else "")
        return outcome[0]

    def _committed(self) -> None:
        """A configuration has taken effect: what the parent itself takes from it."""
        config = self._supervisor.config
        assert config is not None
        self._setting.follow(config.globals.processes)
        self._timed.follow(config.globals.reload_time_file, config.globals.reload_repeat)

    def _started(self, configuration: Configuration, then: Callable[[], object]) -> None:
        """keepalived.md 1.3: startup_script runs before the children start."""
        defs = configuration.globals
        self._scripts.configure(defs)
        if defs.scripts.startup is None:
            then()
            return
        self._scripts.run(defs.scripts.startup, "startup_script", defs.scripts.startup_timeout_ns)
        self._scripts.when_idle(lambda: None if self._state == "stopping" else then())

    def _begun(self, outcome: Outcome) -> None:
        if outcome.status is Exit.OK:
            self._state = "running"
            notify(f"READY=1\nMAINPID={os.getpid()}")
            self._feeder.start()
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
        self._timed.close()
        self._reloads.cancel()
        self._supervisor.stop(self._children_gone, self._place.keep if self._place else ())

    def _children_gone(self) -> None:
        if self._scripts.pending:
            self._log.info(f"waiting for {self._scripts.pending} scripts")
        once = Once(self._shutdown)
        self._loop.call_later(SCRIPT_WAIT_NS, once)
        self._scripts.when_idle(lambda: self._post.when_idle(once))

    def _shutdown(self) -> None:
        """keepalived.md 1.3: shutdown_script runs after they have stopped."""
        config = self._supervisor.config
        defs = config.globals.scripts if config is not None else ScriptDefs()
        if defs.shutdown is None:
            self._loop.stop()
            return
        self._scripts.run(defs.shutdown, "shutdown_script", defs.shutdown_timeout_ns)
        self._loop.call_later(defs.shutdown_timeout_ns + SCRIPT_WAIT_NS, self._loop.stop)
        self._scripts.when_idle(self._loop.stop)

    def _close(self) -> None:
        self._feeder.close()
        self._scripts.abandon()
        self._fifos.close()
        self._post.close()
        if self._server is not None:
            self._server.close()
            self._remove_pid()
            if self._place is not None:
                self._place.close()
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
        elif self._place is not None and number in self._place.signals:
            self._place.signal(number, self._supervisor)
        else:
            self._log.info(f"{signal.Signals(number).name} received: ask `fastha status` instead")

    def _not_alone(self, text: str) -> None:
        """A child has ended, and nothing shall take its place."""
        if self._state != "stopping":
            self._log.error(f"{text}: no respawn is wanted")
            self._stop(Exit.FAILED)

    def _tell_place(self) -> None:
        if self._place is not None:
            children = self._supervisor.children.values()
            self._place.processes({"parent": os.getpid()} | {c.role: c.pid for c in children if c.alive})

    def _command(self, request: Request, reply: Reply) -> None:
        """Handler of the control socket; protocol.COMMANDS is the list."""
        command = request.command
        if protocol.COMMANDS[command].admin:
            reply = self._outdating(reply)
        if command == "status":
            reply(self._status(request.fields.get("only")))
        elif command == "version":
            reply(protocol.answer({"version": fastha.__version__, "protocol": protocol.VERSION}))
        elif command == "events":
            self._stream.ask(request.fields, reply)
        elif command == "configuration":
            reply(self._configuration())
        elif command == "reload":
            self._reloads.request(lambda outcome: reply(protocol.answer(_plain(outcome))))
        elif command == "overrides":
            reply(protocol.answer({"overrides": self._overrides(), "vrrp": self._vrrp_overrides()}))
        elif command == "override":
            reply(self._override(request))
        elif command == "vrrp":
            reply(self._vrrp(request))
        elif command == "accept":
            reply(self._accept(request))
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
                "configuration": plain(config),
                "file": self._config_path,
                "files": reloads.files,
                "loaded": reloads.loaded_at,
                "not_supported": reloads.noted,
            }
        )

    def _overrides(self) -> list[dict[str, Any]]:
        return self._memory.listing(self._supervisor.config, self._supervisor.servers)

    def _vrrp_overrides(self) -> list[dict[str, Any]]:
        return self._memory.vrrp_listing(self._supervisor.config, self._supervisor.instances)

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

    def _vrrp(self, request: Request) -> bytes:
        supervisor = self._supervisor
        try:
            if self._state != "running":
                raise BadRequest("busy", f"the daemon is {self._state}")
            changes = self._memory.decide_vrrp(request.fields, supervisor.config, supervisor.instances, request.uid)
        except BadRequest as error:
            return protocol.refusal(error)
        if not request.fields.get("dry_run") and any(change.before != change.after for change in changes):
            supervisor.tell_vrrp_overrides()
        return protocol.answer({"changes": changes, "dry_run": bool(request.fields.get("dry_run"))})

    def _accept(self, request: Request) -> bytes:
        try:
            found = accepted(request.fields.get("virtual_servers"), self._supervisor.servers)
        except BadRequest as error:
            return protocol.refusal(error)
        self._supervisor.accept(one["virtual_server"] for one in found)
        return protocol.answer({"accepted": found})

    def _outdating(self, reply: Reply) -> Reply:
        """`reply` to who changes something: what `status` says next is younger than the answer."""

        def answered(answer: bytes) -> None:
            self._snapshot_until_ns = 0
            reply(answer)

        return answered

    def _status(self, only: Any = None) -> bytes:
        now = self._loop.now_ns()
        supervisor = self._supervisor
        if only is not None:
            if not isinstance(only, list) or not all(isinstance(word, str) for word in only):
                return protocol.refusal(BadRequest("malformed", "only is a list of words"))
            whole = document(supervisor, self._about(now), now)
            return protocol.answer({word: whole[word] for word in only if word in whole})
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
            "next_reload": self._timed.at or None,
            "last_reload": reloads.last.plain() if reloads.last else None,
            "state_file": self._memory.path,
            "overrides": self._overrides(),
            "vrrp_overrides": self._vrrp_overrides(),
            "scripts": {**self._scripts.counts, "pending": self._scripts.pending},
            "fifos": self._fifos.facts(),
            "mail": self._post.facts(),
            "events": self._events.last,
        }

    # -- the pid file --

    def _write_pid(self) -> None:
        if not self._pid_path:
            return
        self._pid_path = os.path.abspath(self._pid_path)
        try:
            write_pid(self._pid_path, os.getpid())
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


class Once:
    """Calls `then` the first time it is called."""

    def __init__(self, then: Callable[[], object]) -> None:
        self._then: Callable[[], object] | None = then

    def __call__(self) -> None:
        then, self._then = self._then, None
        if then is not None:
            then()
