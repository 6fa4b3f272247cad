"""A small process that runs commands for a big one: `python -P -m fastha.scripts.spawner`, its channel on descriptor 0.

Forking a process copies its page tables; those of the checker of ten thousand servers are large, those of this one are
not. One datagram (SOCK_SEQPACKET) each way, JSON:

    -> {"run": id, "argv": [...], "user": "", "group": "", "supplementary": false, "timeout_ns": n}
    -> {"kill": id}              ends it; its end is still reported
    -> {"defaults": {...}, "secure": bool}     identity.Defaults, for the commands that follow
    <- {"id": id, "begun": pid}
    <- {"id": id, "started_ns": n, "ended_ns": n, "status": n, "late": bool, "output": "..."}
    <- {"id": id, "refused": "why it was not run", "started_ns": n, "ended_ns": n}

`status`: the exit status, or minus the signal. `late`: it was out of time and was ended: SIGTERM to its process group,
SIGKILL KILL_NS later. When a command ends, what is left of its process group ends with it. When the channel closes,
all of them do, and so does this process.
"""

from __future__ import annotations

import ctypes
import heapq
import itertools
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from fastha.scripts.identity import Defaults
from fastha.scripts.launch import Refused, launch, signal_group

KILL_NS = 2_000_000_000  # between SIGTERM and SIGKILL
OUTPUT = 512  # bytes of output that are kept: the last ones
TAKE = 1 << 16  # bytes read from one command in one turn
MESSAGE = 1 << 18  # of the channel, at most
PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(slots=True)
class Running:
    id: int
    process: subprocess.Popen[bytes]
    pidfd: int
    output_fd: int
    started_ns: int
    output: bytes = b""
    late: bool = False
    killed: bool = False


class Spawner:
    """`run()` until the channel closes."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._selector = selectors.DefaultSelector()
        self._selector.register(channel, selectors.EVENT_READ, self._hear)
        self._running: dict[int, Running] = {}
        self._deadlines: list[tuple[int, int, int]] = []  # (when, order, id)
        self._order = itertools.count()
        self._defaults, self._secure = Defaults(), False
        self._open = True
        self._prctl = ctypes.CDLL(None).prctl

    def run(self) -> None:
        while self._open:
            wait_s = None
            if self._deadlines:
                wait_s = max(0, self._deadlines[0][0] - time.monotonic_ns()) / 1e9
            for key, _ in self._selector.select(wait_s):
                if self._selector.get_map().get(key.fd) is key:
                    key.data()
            now = time.monotonic_ns()
            while self._deadlines and self._deadlines[0][0] <= now:
                self._expired(heapq.heappop(self._deadlines)[2])
        for running in self._running.values():
            signal_group(running.process.pid, signal.SIGKILL)

    def _hear(self) -> None:
        try:
            data = self._channel.recv(MESSAGE)
        except OSError:
            data = b""
        if not data:
            self._open = False
            return
        message = json.loads(data)
        if "run" in message:
            self._start(message)
        elif "kill" in message:
            self._end(message["kill"])
        else:
            self._defaults, self._secure = Defaults(**message["defaults"]), message["secure"]

    def _start(self, order: dict[str, Any]) -> None:
        now = time.monotonic_ns()
        read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(write, True)  # the command need not know
        try:
            process = launch(
                order["argv"],
                order["user"],
                order["group"],
                order["supplementary"],
                self._defaults,
                secure=self._secure,
                output=write,
                first=self._die_with_us,
            )
        except Refused as why:
            os.close(read)
            self._say({"id": order["run"], "refused": str(why), "started_ns": now, "ended_ns": time.monotonic_ns()})
            return
        finally:
            os.close(write)
        running = Running(order["run"], process, os.pidfd_open(process.pid), read, now)
        self._running[running.id] = running
        self._say({"id": running.id, "begun": process.pid})
        self._selector.register(running.pidfd, selectors.EVENT_READ, lambda: self._ended(running))
        self._selector.register(read, selectors.EVENT_READ, lambda: self._read(running))
        heapq.heappush(self._deadlines, (now + order["timeout_ns"], next(self._order), running.id))

    def _die_with_us(self) -> None:
        """In the new process, as its final user. Should we be killed, nobody would watch it any more."""
        self._prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def _read(self, running: Running) -> None:
        try:
            data = os.read(running.output_fd, TAKE)
        except BlockingIOError:
            return
        if data:
            running.output = (running.output + data)[-OUTPUT:]
        else:
            self._close_output(running)

    def _ended(self, running: Running) -> None:
        status = running.process.wait()
        signal_group(running.process.pid, signal.SIGKILL)
        if running.output_fd >= 0:
            self._read(running)
            self._close_output(running)
        self._selector.unregister(running.pidfd)
        os.close(running.pidfd)
        del self._running[running.id]
        self._say(
            {
                "id": running.id,
                "started_ns": running.started_ns,
                "ended_ns": time.monotonic_ns(),
                "status": status,
                "late": running.late,
                "output": running.output.decode("utf-8", "replace"),
            }
        )

    def _close_output(self, running: Running) -> None:
        if running.output_fd >= 0:
            self._selector.unregister(running.output_fd)
            os.close(running.output_fd)
            running.output_fd = -1

    def _expired(self, id_: int) -> None:
        """Out of time: first politely."""
        if (running := self._running.get(id_)) is None:
            return
        running.late = running.late or not running.killed
        if running.killed:
            signal_group(running.process.pid, signal.SIGKILL)
        else:
            self._end(id_)

    def _end(self, id_: int) -> None:
        if (running := self._running.get(id_)) is not None and not running.killed:
            running.killed = True
            signal_group(running.process.pid, signal.SIGTERM)
            heapq.heappush(self._deadlines, (time.monotonic_ns() + KILL_NS, next(self._order), id_))

    def _say(self, message: dict[str, Any]) -> None:
        try:
            self._channel.send(json.dumps(message).encode())  # may wait: who asked must hear it
        except OSError:
            self._open = False


def main() -> int:
    """Descriptor 0 is the channel; scripts get /dev/null there."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        # Who ends us closes the channel. A handler, not SIG_IGN: that would be inherited by the commands.
        signal.signal(number, lambda _number, _frame: None)
    with socket.socket(fileno=os.dup(0)) as channel:
        Spawner(channel).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
