"""A machine with a real systemd as its process 1: this one's files under a throw-away overlay, everything else its own.

    with Booted(folder) as machine:
        machine.write("/etc/keepalived/keepalived.conf", CONF)
        machine.run("systemctl", "start", "fastha")

Namespaces (processes, mounts, network, IPC, names, control groups) and not a virtual machine: the kernel is the one
that the tests run on, so inside the guest of tests/vm it has IPVS. Its network has lo alone, until a test adds to it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import need
from fastha.lab.wait import wait_until

# What would set this kernel's own values, wait for hardware, or speak to a terminal.
MASKED = (
    "console-getty.service dev-hugepages.mount dev-mqueue.mount getty.target proc-sys-fs-binfmt_misc.automount"
    " proc-sys-fs-binfmt_misc.mount sys-fs-fuse-connections.mount sys-kernel-config.mount sys-kernel-debug.mount"
    " sys-kernel-tracing.mount systemd-binfmt.service systemd-logind.service systemd-modules-load.service"
    " systemd-sysctl.service systemd-tmpfiles-clean.timer systemd-udevd.service systemd-udev-trigger.service"
    " systemd-update-utmp.service systemd-journald-audit.socket systemd-random-seed.service"
).split()
TREE, PYTHON = "/opt/fastha-tree", "/opt/fastha-python"  # in the machine
# systemd's own target for less than everything: journal, D-Bus and what a test starts.
TARGET = "[Unit]\nRequires=basic.target dbus.service\nAfter=basic.target dbus.service\nAllowIsolate=yes\n"
DEVICES = "null zero full random urandom tty net/tun"
BOOT = """\
set -e
cd {top}
mount --make-rprivate /
mount -t tmpfs -o mode=755 none . && cd {top}
mkdir upper work root
mount -t overlay overlay -o lowerdir=/,upperdir={top}/upper,workdir={top}/work root
cd root
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 cgroup sys/fs/cgroup
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
{binds}
mount -t tmpfs -o mode=755 dev dev
mkdir -p dev/net dev/pts dev/shm
for device in {devices}; do
  [ ! -e /dev/$device ] || {{ : > dev/$device; mount --bind /dev/$device dev/$device; }}
done
mount -t devpts -o newinstance,mode=620,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx; ln -s /proc/self/fd dev/fd
rm -rf etc/systemd/system var/log/journal; mkdir -p etc/systemd/system
: > etc/machine-id; : > etc/fstab
for unit in {masked}; do ln -s /dev/null etc/systemd/system/$unit; done
printf '{target}' > etc/systemd/system/tests.target
mkdir .old
pivot_root . .old
umount -l .old
rmdir .old
exec env -i container=tests PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=tests.target
"""


class Booted:
    """A context manager; what was started in it, and all it wrote, is gone afterwards. `folder` stays empty.

    `shown`: {path in the machine: folder of this one} that can be read there too. Its /tmp is its own, and of this
    machine it has the root file system alone."""

    def __init__(self, folder: Path, shown: Mapping[str, Path] | None = None) -> None:
        need.root()
        need.kernel("veth")
        for name in ("systemctl", "unshare", "nsenter"):
            need.tool(name)
        if not Path("/lib/systemd/systemd").exists():
            need.lack("needs systemd (Debian: apt-get install systemd)")
        self._top = folder
        self._shown = shown or {}
        self._cgroup = _control_group(folder)
        self._outer: subprocess.Popen[bytes] | None = None
        self.pid = 0

    def __enter__(self) -> Self:
        binds = "\n".join(
            f'mkdir -p ".{there}"; mount --bind "{here}" ".{there}"; mount -o remount,bind,ro ".{there}"'
            for there, here in self._shown.items()
        )
        script = BOOT.format(
            top=self._top, binds=binds, devices=DEVICES, masked=" ".join(MASKED), target=TARGET.replace("\n", "\\n")
        )
        unshare = "unshare --pid --mount --net --ipc --uts --cgroup --fork --kill-child -- sh -c"
        # The shell enters the group first: what it is in then is the root of the new machine's own.
        enter = f'echo $$ > "{self._cgroup}/cgroup.procs" && exec {unshare} "$0"'
        with (self._top.parent / f"{self._top.name}.log").open("wb") as log:
            self._outer = subprocess.Popen(
                ["sh", "-c", enter, script], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            wait_until(self._is_there, 120, "process 1 of the machine is systemd")
            wait_until(
                lambda: self.done("systemctl", "is-active", "-q", "tests.target").returncode == 0, 120,
                "systemd has reached its target",
            )  # fmt: skip
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def done(self, *command: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """`command` as root of the machine, whatever its exit status."""
        enter = ["nsenter", "-t", str(self.pid), "-m", "-p", "-n", "-i", "-u", "-C", "-r", "-w", "env", "-i"]
        words = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", *command]
        return subprocess.run(
            [*enter, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s, check=False
        )

    def run(self, *command: str, timeout_s: float = 120) -> str:
        """`command` as root of the machine; its stdout. With what it said, if it fails."""
        done = self.done(*command, timeout_s=timeout_s)
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        file = self.file(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def file(self, path: str) -> Path:
        """Where a file of the machine is from here."""
        return Path(f"/proc/{self.pid}/root{path}")

    def shown(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "-P", name, unit).strip()

    def outside(self, pid: int) -> int:
        """The process that has number `pid` in the machine, as a number here."""
        for status in Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):
                numbers = re.search(r"^NSpid:\t(.*)$", status.read_text(), re.M)
                here = int(status.parent.name)
                if numbers and numbers[1].split()[1:] == [str(pid)] and self._same_pids(here):
                    return here
        raise ProcessLookupError(f"no process {pid} in the machine")

    def until(self, condition: object, why: str, deadline_s: float = 60) -> None:
        """Wait for `condition()`; the journal's end is in the message."""
        assert callable(condition)
        try:
            wait_until(condition, deadline_s, why)
        except Exception as fault:
            journal = self.done("journalctl", "-o", "short-precise", "-n", "60", "--no-pager").stdout
            raise AssertionError(f"{fault}\n{journal}") from fault

    def _is_there(self) -> bool:
        assert self._outer is not None
        if self._outer.poll() is not None:
            raise RuntimeError((self._top.parent / f"{self._top.name}.log").read_text())
        outer = self._outer.pid
        children = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()
        if children and Path(f"/proc/{children[0]}/comm").read_text() == "systemd\n":
            self.pid = int(children[0])
        return self.pid != 0

    def _same_pids(self, pid: int) -> bool:
        return os.readlink(f"/proc/{pid}/ns/pid") == os.readlink(f"/proc/{self.pid}/ns/pid")

    def _end(self) -> None:
        """The end of a process 1 is the end of all processes of its namespace, and of its mounts."""
        if self._outer is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._outer.pid, signal.SIGKILL)
            if self.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGKILL)
            self._outer.wait(60)
        _remove_group(self._cgroup)


def _control_group(folder: Path) -> Path:
    """A control group (version 2) of our own."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            group = Path(where) / f"fastha-{os.getpid()}-{folder.name}"
            try:
                group.mkdir()
            except OSError as fault:
                need.lack(f"no control group can be made here: {fault}")
            break
    else:
        need.lack("no cgroup2 is mounted here")
    return group


def _remove_group(group: Path) -> None:
    deadline = time.monotonic() + 30
    while group.exists():
        for folder, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):  # a process in it has not ended yet
                os.rmdir(folder)
        if not group.exists() or time.monotonic() > deadline:
            return
        time.sleep(0.05)


def from_tree(tree: Path) -> dict[str, Path]:
    """What `Booted` must show for `installed_from_tree`: the tree, and the virtual environment that runs this."""
    return {TREE: tree, PYTHON: Path(sys.prefix)}


def installed_from_tree(machine: Booted, tree: Path) -> None:
    """Units, defaults and commands where the package has them; the program itself is the tree's."""
    for unit in (tree / "packaging/systemd").glob("*.service"):
        shutil.copy(unit, machine.file("/lib/systemd/system"))
    for name, module in (("fastha", "fastha.cli"), ("fastha-keepalived", "fastha.standin")):
        start = f'export PYTHONPATH={TREE}/src\nexec {PYTHON}/bin/python -P -m {module} "$@"'
        machine.write(f"/usr/bin/{name}", f"#!/bin/sh\n{start}\n", 0o755)
    machine.run("systemctl", "daemon-reload")


def installed_from_package(machine: Booted, package: Path) -> None:
    """With dpkg, maintainer scripts and all. What it depends on is what the machine has."""
    machine.file("/tmp/fastha.deb").write_bytes(package.read_bytes())
    machine.run("dpkg", "--force-depends", "-i", "/tmp/fastha.deb", timeout_s=600)
