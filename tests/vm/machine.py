"""Runs one command as root on another Linux kernel that has IPVS, with the host's files under a throw-away overlay.

The guest can write everywhere; nothing of it reaches the host but the folder `$FASTHA_VM_IO`. Modules load on demand.
The command sees the caller's environment and folder, no standard input; its output is streamed into a file.

By hand, from the project's root:  python tests/vm/machine.py [uml|tcg] COMMAND...
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from vm.kit import BOOT, Kit, Unfit, load_order, prepare

MEMORY_MIB = 1024
BOOT_TIMEOUT_S = 90.0
# in the order they are tried; $FASTHA_VM_BACKEND allows one alone
BACKENDS = tuple(b for b in ("uml", "tcg") if os.environ.get("FASTHA_VM_BACKEND", b) == b)


@dataclass(frozen=True)
class Ending:
    """How a guest ended. `status`: the command's, or None; then `why` says what happened."""

    backend: str
    status: int | None
    why: str
    booted: bool
    console: str


def run(
    command: Sequence[str],
    output: BinaryIO,
    timeout_s: float,
    *,
    io: Path | None = None,
    env: Mapping[str, str] | None = None,
    backends: Sequence[str] = BACKENDS,
    exact: bool = False,
) -> Ending:
    """Boot, run, power off. What the command writes into `$FASTHA_VM_IO` is left in `io`.

    `exact`: the guest's clock counts the instructions of its only CPU, one a nanosecond (qemu's -icount), so that what
    is measured in it does not depend on how busy the host is.

    The next backend is tried only when one cannot be prepared or its guest does not come up. Unfit if none can.
    """
    reasons = []
    for backend in backends:
        try:
            kit = prepare(backend)
        except Unfit as fault:
            reasons.append(str(fault))
            continue
        if exact and backend != "tcg":
            continue
        ending = _run(kit, command, output, timeout_s, io, {**os.environ, **(env or {})}, exact)
        if ending.booted:
            return ending
        reasons.append(f"{backend}: {ending.why}\n{ending.console[-2000:]}")
    raise Unfit("; ".join(reasons))


def _run(
    kit: Kit,
    command: Sequence[str],
    output: BinaryIO,
    timeout_s: float,
    io: Path | None,
    env: Mapping[str, str],
    exact: bool,
) -> Ending:
    with tempfile.TemporaryDirectory(prefix="fastha-vm-", ignore_cleanup_errors=True) as name:
        control = Path(name)
        control.chmod(0o755)
        for folder in ("io", "new", "tmpfs", "uml"):
            (control / folder).mkdir()
        _write_scripts(kit, control, command, timeout_s, env)
        read_end, write_end = os.pipe()
        with (control / "console").open("wb") as console, _reaped() as guests:
            argv, guest_env = _argv(kit, control, write_end, env, exact)
            guest = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env=guest_env,
                pass_fds=[write_end],
                start_new_session=True,
                cwd="/",
            )
            guests.append(guest)
            os.close(write_end)
            try:
                status, why, booted = _watch(guest, control / "io", read_end, output, timeout_s)
            finally:
                os.close(read_end)
        if io:
            shutil.copytree(control / "io", io, dirs_exist_ok=True)
        text = (control / "console").read_text(errors="replace")
        return Ending(kit.backend, status, why, booted, text)


def _watch(
    guest: subprocess.Popen[bytes], io: Path, read_end: int, output: BinaryIO, timeout_s: float
) -> tuple[int | None, str, bool]:
    """Pump the output until the guest has said how its command ended, died, or is late: (status, why, booted)."""
    start = time.monotonic()
    booted = False
    sources = [read_end]

    def pump(wait_s: float) -> bool:
        if not sources:
            time.sleep(wait_s)
            return False
        if not select.select(sources, [], [], wait_s)[0]:
            return False
        data = os.read(read_end, 65536)
        if not data:
            sources.clear()
        output.write(data)
        return bool(data)

    while True:
        pump(0.02)
        passed_s = time.monotonic() - start
        booted = booted or (io / "up").exists()
        if (io / "status").exists():
            while pump(0.05):
                pass
            return int((io / "status").read_text()), "", True
        if guest.poll() is not None:
            return None, f"the guest ended (status {guest.returncode}) without a result", booted
        if not booted and passed_s > BOOT_TIMEOUT_S:
            return None, f"the guest is not up after {BOOT_TIMEOUT_S:g} s", False
        if booted and passed_s > timeout_s:
            return None, f"the guest is not done after {timeout_s:g} s", True


def _write_scripts(kit: Kit, control: Path, command: Sequence[str], timeout_s: float, env: Mapping[str, str]) -> None:
    io = control / "io"
    hidden = {"LD_PRELOAD", "_", "SHLVL", "PWD", "OLDPWD"}
    exported = {k: v for k, v in env.items() if re.fullmatch(r"[A-Za-z_]\w*", k) and k not in hidden}
    exported |= {"FASTHA_VM": kit.backend, "FASTHA_VM_IO": str(io)}
    lines = [f"export {k}={shlex.quote(v)}" for k, v in exported.items()]
    lines += [f"cd {shlex.quote(os.getcwd())} || exit 125", f"exec {shlex.join(command)}"]
    (io / "command").write_text("\n".join(lines) + "\n")
    values = {
        "CONTROL": str(control),
        "MODULES": str(kit.modules),
        "OUTPUT": "/dev/tty1" if kit.backend == "uml" else "$(ls /dev/vport*p1)",
        "TMPFS_MIB": str(MEMORY_MIB * 8 // 10),
        "OVERLAY": shlex.join(map(str, load_order(kit.modules, ["overlay"]))),
        "LIFETIME_S": str(int(timeout_s) + 60),
    }
    for source, target in (("stage1-uml.sh", control / "stage1"), ("stage2.sh", io / "stage2")):
        text = (BOOT / source).read_text()
        for word, value in values.items():
            text = text.replace(f"@{word}@", value)
        target.write_text(text)
        target.chmod(0o755)


def _argv(
    kit: Kit, control: Path, out_fd: int, env: Mapping[str, str], exact: bool
) -> tuple[list[str], dict[str, str]]:
    """The command line that boots, and its environment."""
    if kit.backend == "uml":
        argv = [str(kit.kernel), f"mem={MEMORY_MIB}M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"]
        argv += [f"init={control}/stage1", "con=null", "con0=null,fd:1", f"con1=null,fd:{out_fd}", "ssl=null"]
        argv += [f"uml_dir={control}/uml", "umid=v", "quiet", "panic=-1", "random.trust_cpu=1"]
        return argv, {**env, "TMPDIR": _memory_folder(control), "LD_PRELOAD": str(kit.preload)}
    share = "local,path=%s,mount_tag=%s,security_model=none,multidevs=remap"
    words = "console=ttyS0 quiet panic=-1 mitigations=off nokaslr no_timer_check tsc=reliable audit=0"
    argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    threads, cpus = ("single", "1") if exact else ("multi", "2")
    argv += ["-accel", f"tcg,thread={threads},tb-size=512", "-cpu", "Nehalem", "-smp", cpus, "-m", str(MEMORY_MIB)]
    argv += ["-icount", "shift=0,sleep=on"] if exact else []
    argv += ["-kernel", str(kit.kernel), "-initrd", str(kit.initrd), "-serial", "stdio"]
    argv += ["-append", f"{words} control={control}"]
    argv += ["-virtfs", share % ("/", "hostroot") + ",readonly=on", "-virtfs", share % (control / "io", "control")]
    argv += ["-device", "virtio-rng-pci", "-device", "virtio-serial-pci"]
    argv += ["-chardev", f"file,id=o,path=/dev/fd/{out_fd}", "-device", "virtserialport,chardev=o"]
    return argv, dict(env)


def _memory_folder(control: Path) -> str:
    """Where user-mode Linux keeps its memory file: RAM if there is room to run from (a container's may be 64 MiB)."""
    with contextlib.suppress(OSError):
        room = os.statvfs("/dev/shm")
        if room.f_bavail * room.f_frsize > MEMORY_MIB << 20 and not room.f_flag & os.ST_NOEXEC:
            return "/dev/shm"
    return str(control)


@contextlib.contextmanager
def _reaped() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Guests put into the list are gone afterwards, whatever happens: they get a moment to power off by themselves."""
    guests: list[subprocess.Popen[bytes]] = []
    try:
        yield guests
    finally:
        for guest in guests:
            with contextlib.suppress(subprocess.TimeoutExpired):
                guest.wait(0.3)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(guest.pid, signal.SIGKILL)
            # user-mode Linux has a host process for each guest address space, outside its group: found by session
            for stat in Path("/proc").glob("[0-9]*/stat"):
                with contextlib.suppress(OSError, IndexError):
                    if int(stat.read_text().rsplit(")", 1)[1].split()[3]) == guest.pid:
                        os.kill(int(stat.parent.name), signal.SIGKILL)
            guest.wait()


def main() -> int:
    command = sys.argv[1:]
    backends = (command.pop(0),) if command and command[0] in BACKENDS else BACKENDS
    if not command:
        print(__doc__)
        return 2
    start = time.monotonic()
    try:
        with os.fdopen(os.dup(1), "wb", buffering=0) as output:
            ending = run(command, output, timeout_s=3600, backends=backends)
    except Unfit as fault:
        print(fault, file=sys.stderr)
        return 126
    print(f"{ending.backend}: {time.monotonic() - start:.1f} s {ending.why}", file=sys.stderr)
    if ending.why:
        print(ending.console[-4000:], file=sys.stderr)
    return 125 if ending.status is None else ending.status


if __name__ == "__main__":
    sys.exit(main())
