"""What it takes to boot another kernel: fetched once, unpacked into a cache, nothing installed.

uml  user-mode Linux of Debian (kernel 6.1 in bookworm): a 41 MB package, gcc once for boot/xstate.c
tcg  Debian's linux-image-amd64 under qemu's emulation: a 71 MB package; qemu-system-x86_64 must be installed

The cache is $FASTHA_VM_CACHE, else ~/.cache/fastha-vm. Preparing is idempotent and locked, so that test runs side by
side share it; a stamp file marks a complete kit.
"""

from __future__ import annotations

import fcntl
import lzma
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
BOOT = HERE / "boot"


class Unfit(Exception):
    """This machine cannot boot the guest; the message is the reason."""


@dataclass(frozen=True)
class Kit:
    """Everything a backend boots with."""

    backend: str
    kernel: Path
    modules: Path  # the kernel's module tree
    preload: Path | None = None  # uml
    initrd: Path | None = None  # tcg


def cache() -> Path:
    return Path(os.environ.get("FASTHA_VM_CACHE") or Path.home() / ".cache" / "fastha-vm")


def prepare(backend: str) -> Kit:
    """The kit of `backend`; seconds the first time, nothing later. Unfit if it cannot be had."""
    try:
        cache().mkdir(parents=True, exist_ok=True)
        with (cache() / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return {"uml": _uml, "tcg": _tcg}[backend](cache() / backend)
    except (OSError, subprocess.CalledProcessError, lzma.LZMAError) as fault:
        raise Unfit(f"{backend}: {fault}") from fault


def _uml(home: Path) -> Kit:
    if not (home / "ok").exists():
        shutil.rmtree(home, ignore_errors=True)
        _unpack("user-mode-linux", home)
        (home / "ok").touch()
    preload = home / "xstate.so"
    if not preload.exists() or preload.stat().st_mtime < (BOOT / "xstate.c").stat().st_mtime:
        compiler = shutil.which("gcc") or shutil.which("cc")
        if compiler is None:
            raise Unfit("uml: no C compiler (Debian: apt-get install gcc)")
        new = home / "xstate.new"
        subprocess.run([compiler, "-O2", "-shared", "-fPIC", BOOT / "xstate.c", "-o", new], check=True)
        new.rename(preload)
    modules = next((home / "usr/lib/uml/modules").iterdir())
    if not (modules / "modules.dep").exists():
        base = home / "depmod/lib/modules"  # depmod insists on this shape of tree
        base.mkdir(parents=True, exist_ok=True)
        if not (base / modules.name).exists():
            (base / modules.name).symlink_to(modules)
        _run("depmod", "-b", home / "depmod", modules.name)
    return Kit("uml", home / "usr/bin/linux.uml", modules, preload=preload)


def _tcg(home: Path) -> Kit:
    if not shutil.which("qemu-system-x86_64"):
        raise Unfit("tcg: no qemu-system-x86_64 (Debian: apt-get install --no-install-recommends qemu-system-x86)")
    if not (home / "ok").exists():
        shutil.rmtree(home, ignore_errors=True)
        found = re.search(r"Depends: (linux-image-\S+)", _run("apt-cache", "depends", "linux-image-amd64"))
        if found is None:
            raise Unfit("tcg: apt knows no linux-image-amd64")
        _unpack(found.group(1), home)
        modules = next((home / "lib/modules").iterdir())
        _run("depmod", "-b", home, modules.name)
        (home / "vmlinux").write_bytes(_plain_kernel(next((home / "boot").glob("vmlinuz-*")).read_bytes()))
        _unpack("busybox-static", home / "busybox")
        (home / "initrd").write_bytes(_initrd(modules, next((home / "busybox").glob("**/bin/busybox"))))
        (home / "ok").touch()
    return Kit("tcg", home / "vmlinux", next((home / "lib/modules").iterdir()), initrd=home / "initrd")


def _plain_kernel(image: bytes) -> bytes:
    """The kernel inside a bzImage: it boots through PVH and saves the emulated machine the decompression."""
    start = image.find(b"\xfd7zXZ\0")
    return lzma.LZMADecompressor().decompress(image[start:]) if start > 0 else image


def _initrd(modules: Path, busybox: Path) -> bytes:
    needed = load_order(modules, ["virtio_pci", "9pnet_virtio", "9p", "overlay", "virtio_console", "virtio_rng"])
    folders = [(name, 0o40755, b"") for name in ("bin", "m", "dev")]
    files = [
        ("bin/busybox", 0o100755, busybox.read_bytes()),
        ("init", 0o100755, (BOOT / "stage1-tcg.sh").read_bytes()),
        ("order", 0o100644, "\n".join(m.name for m in needed).encode()),
    ]
    return _cpio(folders + files + [(f"m/{m.name}", 0o100644, m.read_bytes()) for m in needed])


def load_order(modules: Path, names: Iterable[str]) -> list[Path]:
    """The module files of `names` and of what they need, in the order to load them."""
    table = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        file, needs = line.split(":")
        table[Path(file).name.split(".ko")[0].replace("-", "_")] = [*reversed(needs.split()), file]
    return list(dict.fromkeys(modules / file for name in names for file in table.get(name, [])))


def _cpio(entries: list[tuple[str, int, bytes]]) -> bytes:
    """A newc archive (linux Documentation/driver-api/early-userspace/buffer-format.rst)."""
    out = bytearray()
    for i, (name, mode, data) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        text = name.encode() + b"\0"
        fields = (i, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(text), 0)
        for part in (b"070701" + b"".join(b"%08X" % f for f in fields) + text, data):
            out += part
            out += bytes(-len(out) % 4)
    return bytes(out)


def _unpack(package: str, into: Path) -> None:
    """Fetch a Debian package with the system's apt and unpack it; nothing is installed."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Unfit(f"{package}: no apt-get and dpkg-deb to fetch it with")
    with tempfile.TemporaryDirectory(dir=cache()) as folder:
        download = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package]
        try:
            _run(*download, cwd=folder)
        except subprocess.CalledProcessError:
            try:
                _run("apt-get", "-q", "update")
                _run(*download, cwd=folder)
            except subprocess.CalledProcessError as fault:
                raise Unfit(f"{package}: apt-get download failed: {fault.stderr.strip()[-200:]}") from fault
        _run("dpkg-deb", "-x", next(Path(folder).glob("*.deb")), Path(folder) / "x")
        into.parent.mkdir(parents=True, exist_ok=True)
        (Path(folder) / "x").rename(into)


def _run(*command: str | Path, cwd: str | None = None) -> str:
    done = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=cwd)
    return done.stdout
