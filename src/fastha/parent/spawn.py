"""The table of processes, and how one is started.

A child is another program (fork and exec, by posix_spawn): it shares no memory, no descriptor but its end of
the channel, and no signal state with the parent. It leads a session of its own, so Ctrl-C in a terminal reaches the
parent alone, who stops everything in order.

A child lives as long as its channel: when the parent dies, however it dies, the child reads the end of the stream and
ends by itself, in its own way. PR_SET_PDEATHSIG set from here would take that way from it.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastha.parent.configuration import Configuration

CHANNEL_FD = 3
# What an unprivileged or careless environment must not decide for a process that runs as root.
DROPPED = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


@dataclass(frozen=True, slots=True)
class Process:
    """One row of the table. `sees`: the kinds of parts (model/parts.py) this process may ever see; `works_on`: the kind
    without which (or `also`) it has nothing to do."""

    role: str
    argv: tuple[str, ...]  # after the interpreter
    sees: frozenset[str]
    works_on: str
    also: str = ""
    wants_quorums: bool = False  # it is told which virtual servers have quorum
    wants_bfds: bool = False  # it is told which BFD sessions are up
    owned: str = ""  # the field of `previous` that names what earlier daemons put into the kernel
    elects: bool = False  # it is told operators' decisions about instances
    balances: bool = False  # it puts services into the kernel, and is told operators' decisions and vrrp's states

    def works(self, config: Configuration) -> bool:
        """Whether this configuration has work for it."""
        return any(kind and config.has(kind) for kind in (self.works_on, self.also))


# Started in this order, stopped in this order: addresses move to the peer before rows are removed, and nobody who
# follows a BFD session is left when it ends.
PROCESSES: tuple[Process, ...] = (
    Process(
        role="vrrp",
        argv=("-m", "fastha.vrrp"),
        sees=frozenset(("globals", "sync_group", "vrrp_script", "track_process", "instance", "track_file", "static")),
        works_on="instance",
        also="static",
        wants_quorums=True,
        wants_bfds=True,
        owned="owned_addresses",
        elects=True,
    ),
    Process(
        role="checker",
        argv=("-m", "fastha.checker"),
        sees=frozenset(("globals", "virtual_server", "track_file")),
        works_on="virtual_server",
        wants_bfds=True,
        owned="owned_services",
        balances=True,
    ),
    Process(
        role="bfd",
        argv=("-m", "fastha.bfd"),
        sees=frozenset(("globals", "bfd")),
        works_on="bfd",
    ),
)


def every_signal() -> list[int]:
    """All that can have a handler: a new program starts with none of ours."""
    return [s for s in signal.valid_signals() if s not in (signal.SIGKILL, signal.SIGSTOP)]


def spawn(process: Process) -> tuple[int, int, socket.socket]:
    """Start `process`; its pid, a pidfd that becomes readable when it ends (the caller reaps it), and our end of its
    channel. OSError if it cannot be started; then nothing is left of it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        pid = os.posix_spawn(
            sys.executable,
            # -P: a module in the current directory must not become part of a root process.
            [sys.executable, "-P", *process.argv, "--channel", str(CHANNEL_FD)],
            {name: value for name, value in os.environ.items() if name not in DROPPED},
            # Every other descriptor is close-on-exec (PEP 446).
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), CHANNEL_FD),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=every_signal(),
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    try:
        return pid, os.pidfd_open(pid), ours
    except OSError:
        ours.close()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
