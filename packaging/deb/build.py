"""`make deb`: a Debian package of this tree, with a Python environment of its own under /usr/lib/fastha.

    build.py WHEEL OUT_FOLDER

The environment belongs to the Python that runs this (it has to be Debian's own /usr/bin/python3): compiled modules
are for its version, and the package depends on that. Needs pip's index for the dependencies, and dpkg-deb.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SYSTEMD = HERE.parent / "systemd"
PYTHON = Path("/usr/bin/python3")
LIB = "usr/lib/fastha"
DEPENDS = "libc6, libssl3, libnftables1, libpcre2-8-0, iproute2, kmod, procps"
LAUNCH = '#!/bin/sh\nexec /usr/lib/fastha/bin/python3 -P -m {} "$@"\n'
COMMANDS = {"fastha": "fastha.cli", "fastha-keepalived": "fastha.standin"}
DEFAULTS = """\
# Options of the services of fastha. `fastha run --help` and `fastha metrics --help` list them.
FASTHA_OPTIONS=""
#FASTHA_METRICS=127.0.0.1:9650
#FASTHA_PAGE=127.0.0.1:9651
#FASTHA_PAGE_OPTIONS=""
"""
CONTROL = """\
Package: fastha
Version: {version}
Architecture: {architecture}
Maintainer: fastha
Section: net
Priority: optional
Depends: python3 (>= {python}), python3 (<< {after}), {depends}
Suggests: ipvsadm, nftables, prometheus
Description: high availability for Linux load balancers
 VRRP, BFD, mass health checks and IPVS or nftables, in keepalived's place: it reads
 /etc/keepalived/keepalived.conf.
"""


def build(wheel: Path, out: Path) -> Path:
    """Where the package lies."""
    version = wheel.name.split("-")[1]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        environment(root / LIB, wheel)
        for name, module in COMMANDS.items():
            write(root / "usr/bin" / name, LAUNCH.format(module), 0o755)
        write(root / "etc/default/fastha", DEFAULTS)
        for unit in sorted(SYSTEMD.glob("*.service")):
            write(root / "lib/systemd/system" / unit.name, unit.read_text())
        write(root / "usr/share/doc/fastha/copyright", (HERE.parent.parent / "LICENSE").read_text())
        documents(root, out.parent / "build")
        control(root, version)
        out.mkdir(exist_ok=True)
        package = out / f"fastha_{version}_{architecture()}.deb"
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "--build", root, package], check=True, stdout=subprocess.DEVNULL
        )
        return package


def environment(lib: Path, wheel: Path) -> None:
    """What `python3 -m venv` makes, for the place where it will be."""
    packages = lib / f"lib/python{sysconfig.get_python_version()}/site-packages"
    packages.mkdir(parents=True)
    subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-compile", "--target",
         packages, wheel], check=True, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    shutil.rmtree(packages / "bin", ignore_errors=True)
    (lib / "bin").mkdir()
    (lib / "bin/python3").symlink_to(PYTHON)
    write(lib / "pyvenv.cfg", f"home = {PYTHON.parent}\ninclude-system-site-packages = false\n")


def documents(root: Path, build_folder: Path) -> None:
    """Manual pages that `make man` has made, and completion, from the same table of commands."""
    for page in sorted((build_folder / "man").glob("*.[1-8]")):
        target = root / f"usr/share/man/man{page.suffix[1:]}/{page.name}.gz"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(gzip.compress(page.read_bytes(), mtime=0))
    for shell, path in (
        ("bash", "usr/share/bash-completion/completions/fastha"),
        ("zsh", "usr/share/zsh/vendor-completions/_fastha"),
        ("fish", "usr/share/fish/vendor_completions.d/fastha.fish"),
    ):
        done = subprocess.run(
            [sys.executable, "-P", "-m", "fastha.cli", "completion", shell], check=True, capture_output=True, text=True,
            env={"PYTHONPATH": str(next((root / LIB).glob("lib/python*/site-packages"))), "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        write(root / path, done.stdout)


def control(root: Path, version: str) -> None:
    """DEBIAN/: control, conffiles, maintainer scripts."""
    major, minor = sys.version_info[:2]
    text = CONTROL.format(
        version=version, architecture=architecture(), python=f"{major}.{minor}", after=f"{major}.{minor + 1}",
        depends=DEPENDS,
    )  # fmt: skip
    write(root / "DEBIAN/control", text)
    write(root / "DEBIAN/conffiles", "/etc/default/fastha\n")
    for name in ("postinst", "prerm", "postrm"):
        write(root / "DEBIAN" / name, (HERE / name).read_text(), 0o755)


def architecture() -> str:
    return subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True).stdout.strip()


def write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


if __name__ == "__main__":
    print(build(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()))
