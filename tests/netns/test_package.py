"""`make wheel` and `make deb`: what comes out of them installs in an empty place and runs there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import need
from booted import Booted, installed_from_package
from fastha.lab.network import Network
from systemd_session import Session

ROOT = Path(__file__).resolve().parent.parent.parent
CONF = """
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority 150
    virtual_ipaddress {
        10.9.0.100/24
    }
}
virtual_server 10.9.0.100 80 {
    lb_algo rr
    lb_kind NAT
    real_server 10.9.0.1 8099 {
        TCP_CHECK {
        }
    }
}
"""
# Nothing of this tree may be found instead of what was installed.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
pytestmark = [pytest.mark.campaign, pytest.mark.timeout(1800)]


def make(target: str) -> Path:
    done = subprocess.run(["make", "-s", target], cwd=ROOT, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT / "dist" / Path(done.stdout.split()[-1]).name


def starts(network: Network, folder: Path, command: list[str], environment: dict[str, str] | None = None) -> None:
    """`command` is `fastha run`: it says READY, has its children, and ends well."""
    director = network.namespace("director")
    network.attach("lan", director, "eth0", "10.9.0.1/24")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(folder / "notify"))
        systemd.settimeout(120)
        process = director.popen(command, env={**CLEAN, **(environment or {}), "WATCHDOG_USEC": "1000000"}, cwd="/")
        heard: list[bytes] = []
        while b"WATCHDOG=1" not in heard:
            heard.append(systemd.recv(1000))
        assert any(line.startswith(b"READY=1") for line in heard)
        process.terminate()
        assert process.wait(120) == 0
        while b"STOPPING=1" not in heard:
            heard.append(systemd.recv(1000))


def test_a_wheel_runs_in_an_empty_environment(network: Network, tmp_path: Path) -> None:
    wheel = make("wheel")
    venv, conf = tmp_path / "venv", tmp_path / "conf"
    conf.write_text(CONF)
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    subprocess.run(
        [venv / "bin/pip", "install", "-q", wheel], check=True, stderr=subprocess.DEVNULL, timeout=600, env=CLEAN
    )
    fastha = str(venv / "bin/fastha")
    for words in (
        ["check", "--no-here", "-f", str(conf)],
        ["version"],
        ["metrics", "--control", str(tmp_path / "none")],
    ):
        done = subprocess.run(
            [fastha, *words], cwd=tmp_path, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    run = [fastha, "run", "-f", str(conf), "--dataplane", "none", "--control", str(tmp_path / "control.sock")]
    starts(network, tmp_path, run, {"NOTIFY_SOCKET": str(tmp_path / "notify")})


@pytest.fixture
def throwaway(tmp_path: Path) -> Iterator[Path]:
    """This machine's root under an overlay: what is done in it is gone afterwards."""
    need.root()
    top = tmp_path / "top"
    top.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", top], check=True)
    root = top / "root"
    for name in ("upper", "work", "root"):
        (top / name).mkdir()
    options = f"lowerdir=/,upperdir={top}/upper,workdir={top}/work"
    if subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, root], check=False).returncode:
        subprocess.run(["umount", top], check=True)
        need.lack("no overlay over / here")
    for name in ("proc", "dev"):
        subprocess.run(["mount", "--rbind", f"/{name}", root / name], check=True)
        subprocess.run(["mount", "--make-rslave", root / name], check=True)
    yield root
    for name in ("proc", "dev"):
        subprocess.run(["umount", "-l", root / name], check=True)
    subprocess.run(["umount", "-l", root], check=True)
    subprocess.run(["umount", "-l", top], check=True)


def test_a_debian_package_installs_runs_and_goes(network: Network, tmp_path: Path, throwaway: Path) -> None:
    need.tool("dpkg-deb")
    package = make("deb")
    listing = subprocess.run(["dpkg-deb", "-c", package], capture_output=True, text=True, check=True).stdout
    for path in (
        "./usr/bin/fastha", "./usr/bin/fastha-keepalived", "./etc/default/fastha",
        "./lib/systemd/system/fastha.service", "./usr/lib/fastha/bin/python3",
        "./usr/share/bash-completion/completions/fastha", "./usr/share/man/man8/fastha.8.gz",
    ):  # fmt: skip
        assert path in listing, path
    (throwaway / "tmp/fastha.deb").write_bytes(package.read_bytes())

    def inside(*command: str) -> str:
        done = subprocess.run(["chroot", throwaway, *command], capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    inside("dpkg", "--force-depends", "-i", "/tmp/fastha.deb")
    inside("getent", "passwd", "fastha-watch")
    assert inside("dpkg-query", "-W", "-f", "${Conffiles}", "fastha").split()[0] == "/etc/default/fastha"
    conf = throwaway / "etc/keepalived/keepalived.conf"
    conf.parent.mkdir(exist_ok=True)
    conf.write_text(CONF)
    inside("/usr/bin/fastha", "check", "--no-here", "-f", "/etc/keepalived/keepalived.conf")
    unit = (throwaway / "lib/systemd/system/fastha.service").read_text()
    command = unit.split("ExecStart=")[1].splitlines()[0].replace("$FASTHA_OPTIONS", "--dataplane none").split()
    folder = throwaway / "run/fastha-test"
    folder.mkdir()
    starts(network, folder, ["chroot", str(throwaway), *command], {"NOTIFY_SOCKET": "/run/fastha-test/notify"})
    inside("dpkg", "--purge", "fastha")
    assert not (throwaway / "usr/lib/fastha").exists()
    assert not (throwaway / "etc/default/fastha").exists()


def test_the_packages_service_lives_under_systemd(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Installing is starting where there is a configuration; an upgrade restarts; removed, nothing is left."""
    package = make("deb")
    with Booted(tmp_path_factory.mktemp("machine")) as machine:
        session = Session(machine, ipvs=False)
        installed_from_package(machine, package)
        assert machine.run("systemctl", "is-enabled", "fastha").strip() == "enabled"
        session.is_at_work()
        session.reloads()
        session.others_watch()
        main = session.main_pid()
        installed_from_package(machine, package)  # the same again: an upgrade to dpkg
        assert session.main_pid() not in (0, main)
        machine.until(session.has_address, "the new one has the address")
        session.a_stopped_child_is_replaced()
        session.a_stopped_parent_is_replaced()
        session.the_journal_has_fields()
        machine.run("dpkg", "--purge", "fastha")
        assert not session.has_address()
        assert "10.1.0.100" not in session.table()
        assert "fastha" not in machine.run("systemctl", "list-units", "--all", "--plain", "fastha*")
        installed_from_package(machine, package)
        session.stops()
        session.refuses_a_bad_file()
        session.in_keepaliveds_place()
