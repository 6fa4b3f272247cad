"""Network namespaces: make them, wire them, run programs in them, and leave nothing behind.

Interfaces are made inside the namespaces, never in the host's own, so deleting the namespaces removes everything. The
work is done by the `ip` program in batches: one call of 2 ms configures a whole namespace, and what it did can be
repeated by hand.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fastha.errors import SystemFault
from fastha.lab import owner
from fastha.lab.signals import signals_ignored
from fastha.setns import entered

RUN_NETNS = Path("/run/netns")


def ip(*lines: str, namespace: str | None = None) -> None:
    """Run lines of the `ip` program as one batch (`link set lo up`, ...). Raises SystemFault with its message."""
    argv = ["ip", *(("-n", namespace) if namespace else ()), "-batch", "-"]
    done = subprocess.run(argv, input="\n".join(lines) + "\n", capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemFault(f"ip in {namespace or 'the host'}: {done.stderr.strip()} (of: {'; '.join(lines)})")


class Namespace:
    """One named network namespace. `create` makes it; `delete` (or leaving a `with`) ends its processes and it.

    `Namespace(name)` alone names one that may or may not exist; `add` then makes it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = RUN_NETNS / name
        self._children: list[subprocess.Popen[Any]] = []

    @classmethod
    def create(cls, label: str) -> Self:
        """Make a namespace with a name of its own that ends with `label`."""
        self = cls(owner.make_name(label))
        self.add()
        return self

    def add(self) -> None:
        """Make it; its loopback is up and IPv6 addresses are usable at once (no duplicate detection)."""
        _remove_at_exit()
        try:
            ip(f"netns add {self.name}")
            ip("link set lo up", namespace=self.name)
            for scope in ("all", "default"):
                with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
                    self.sysctl(f"net.ipv6.conf.{scope}.accept_dad", 0)
        except BaseException:
            self.delete()
            raise

    def ip(self, *lines: str) -> None:
        """Run lines of `ip` in here: `ns.ip("addr add 10.0.0.1/24 dev eth0", "link set eth0 up")`."""
        ip(*lines, namespace=self.name)

    def argv(self, argv: Sequence[str | os.PathLike[str]]) -> list[str]:
        """The command line that runs `argv` in here. The process keeps its pid: ip(8) executes, it does not fork."""
        return ["ip", "netns", "exec", self.name, *(os.fspath(word) for word in argv)]

    def run(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        check: bool = True,
        timeout_s: float = 30,
        stdin: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in here to its end, output captured as text. Raises SystemFault when it fails and `check`."""
        done = subprocess.run(
            self.argv(argv), check=False, capture_output=True, text=True, timeout=timeout_s, input=stdin
        )
        if check and done.returncode:
            raise SystemFault(
                f"{argv!r} in {self.name}: exit {done.returncode}: {done.stderr.strip() or done.stdout.strip()}"
            )
        return done

    def popen(self, argv: Sequence[str | os.PathLike[str]], **options: Any) -> subprocess.Popen[Any]:
        """Start a program in here; `options` as for subprocess.Popen. `delete` kills it and closes its pipes.

        It has a process group of its own: Ctrl-C on the terminal is for us, who then tidy up.
        """
        options.setdefault("process_group", 0)
        child = subprocess.Popen(self.argv(argv), **options)
        self._children.append(child)
        return child

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """This thread is in the namespace meanwhile (setns(2)); sockets opened now stay there for good."""
        with entered(self.path):
            yield

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A socket that lives in here; closing it is the caller's."""
        with self.entered():
            return socket.socket(family, kind, protocol)

    def sysctl(self, name: str, value: int | str) -> None:
        """Write `net.ipv4.ip_forward`-like settings of this namespace (a dot in an interface name: write it as /)."""
        with self.entered():  # /proc/sys/net shows the settings of the thread that opens it
            _sysctl_path(name).write_text(str(value))

    def read_sysctl(self, name: str) -> str:
        with self.entered():
            return _sysctl_path(name).read_text().strip()

    def pids(self) -> list[int]:
        """Processes in here (by their main thread); this process is never listed."""
        try:
            wanted = os.stat(self.path)
        except FileNotFoundError:
            return []
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) != os.getpid():
                with contextlib.suppress(OSError):  # ended meanwhile, or a zombie
                    have = os.stat(f"/proc/{entry}/ns/net")
                    if (have.st_ino, have.st_dev) == (wanted.st_ino, wanted.st_dev):
                        found.append(int(entry))
        return found

    def kill_all(self, deadline_s: float = 5) -> None:
        """SIGKILL everything in here, until nothing is left: a fork bomb's last child included.

        All are stopped first, so that nobody lives to see the others die (and, say, says goodbye to its peers).
        """
        end = time.monotonic() + deadline_s
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        while left := self.pids():
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > end:
                raise SystemFault(f"{self.name}: processes {left} survive SIGKILL")
            time.sleep(0.002)
            for child in self._children:
                child.poll()

    def delete(self) -> None:
        """Kill what runs in here and remove the namespace. Does nothing when it is already gone."""
        if not self.path.exists():
            return
        self.kill_all()
        for child in self._children:  # one that moved on to another namespace, or is dying
            child.kill()  # does nothing to one that has been waited for
            child.wait()
            for pipe in (child.stdin, child.stdout, child.stderr):
                if pipe is not None:
                    with contextlib.suppress(OSError):  # what its standard input still held
                        pipe.close()
        self._children.clear()
        with contextlib.suppress(SystemFault):  # somebody else's sweep may be quicker
            ip(f"netns delete {self.name}")
        if self.path.exists():
            raise SystemFault(f"{self.name}: cannot be deleted")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with signals_ignored():
            self.delete()

    def __repr__(self) -> str:
        return f"<Namespace {self.name}>"


def _sysctl_path(name: str) -> Path:
    return Path("/proc/sys", *(part.replace("/", ".") for part in name.split(".")))


def owned() -> list[str]:
    """Names of the namespaces this process made and that still exist."""
    return [name for name in _names() if owner.is_ours(name)]


@functools.cache
def _remove_at_exit() -> None:
    """The last net: an interrupt may have hit between two lines of those who would have tidied up."""
    atexit.register(remove_owned)


def remove_owned() -> None:
    """Delete every namespace this process made and that still exists."""
    with signals_ignored():
        for name in owned():
            Namespace(name).delete()


def _names() -> list[str]:
    try:
        return sorted(os.listdir(RUN_NETNS))
    except FileNotFoundError:
        return []


def sweep() -> list[str]:
    """Remove namespaces (with what runs in them) and folders that dead runs left behind; returns their names."""
    swept = []
    for name in filter(owner.is_stale, _names()):
        Namespace(name).delete()
        swept.append(name)
    for path in Path(tempfile.gettempdir()).glob(f"{owner.PREFIX}-*"):
        if owner.is_stale(path.name):
            shutil.rmtree(path, ignore_errors=True)
            swept.append(str(path))
    return swept
