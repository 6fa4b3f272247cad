"""The same session with Debian's keepalived and with `fastha-keepalived`: flags, pid files, signals, dumps as an
exporter reads them, exit statuses."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import need
from fastha.lab.netns import Namespace

pytestmark = [pytest.mark.root, pytest.mark.interop]

OURS = [sys.executable, "-m", "fastha.standin"]
FILE = """
global_defs {
    router_id lab1
}
vrrp_instance VI_1 {
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority 150
    advert_int 1
    garp_master_delay 1
    authentication {
        auth_type PASS
        auth_pass secret
    }
    virtual_ipaddress {
        10.9.0.100/24 dev eth0 label eth0:1
        10.9.0.101
    }
}
vrrp_instance VI_2 {
    state MASTER
    interface eth0
    virtual_router_id 52
    priority 90
    version 3
    advert_int 0.5
    unicast_src_ip 10.9.0.1
    unicast_peer {
        10.9.0.2
    }
    virtual_ipaddress {
        10.9.0.110
    }
}
"""


def programs() -> dict[str, list[str]]:
    return {"keepalived": [need.tool("keepalived")], "fastha": OURS}


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    need.kernel("veth")
    with Namespace.create("standin") as one:
        one.ip(
            "link set lo up",
            "link add eth0 type veth peer name peer0",
            "addr add 10.9.0.1/24 dev eth0",
            "link set eth0 up",
            "link set peer0 up",
        )
        yield one


def exporter_reads(data: str) -> dict[str, dict[str, Any]]:
    """The way an exporter goes through keepalived.data: {instance: {field: value, "vips": []}}."""
    found: dict[str, dict[str, Any]] = {}
    one: dict[str, Any] = {}
    inside = ""
    for line in data.splitlines():
        if match := re.fullmatch(r" VRRP Instance = (.*)", line):
            one = found[match[1]] = {"vips": []}
        elif one and (match := re.fullmatch(r"   (Virtual IP) \(\d+\):", line)):
            inside = match[1]
        elif one and inside and (match := re.fullmatch(r"     (\S.*)", line)):
            one["vips"].append(match[1])
        elif one and (match := re.fullmatch(r"   (\S[^=]*) = (.*)", line)):
            one[match[1]], inside = match[2], ""
        elif line.startswith("------<"):
            one, inside = {}, ""
        else:
            inside = ""
    return found


FIELDS = (
    *("VRRP Version", "State", "Wantstate", "Interface", "Virtual Router ID", "Priority", "Effective priority", "vips"),
    *("Advert interval", "Gratuitous ARP delay", "Gratuitous ARP repeat", "Down timer adverts", "Accept", "Preempt"),
)


def stats_read(text: str) -> dict[str, dict[str, int]]:
    """keepalived.stats: {instance: {"Section/Label": n}}."""
    found: dict[str, dict[str, int]] = {}
    section = ""
    for line in text.splitlines():
        if match := re.fullmatch(r"VRRP Instance: (.*)", line):
            one = found[match[1]] = {}
        elif match := re.fullmatch(r"  (\S.*):", line):
            section = match[1]
        elif match := re.fullmatch(r"(  +)(\S.*): (\d+)", line):
            one[f"{section if len(match[1]) > 2 else ''}/{match[2]}"] = int(match[3])
        else:
            raise AssertionError(line)
    return found


@dataclass
class Session:
    """One program from its start to its end in a namespace; `seen` is what it showed."""

    program: list[str]
    namespace: Namespace
    folder: Path
    seen: dict[str, Any] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        return self.folder / name

    def signum(self, name: str) -> int:
        out = subprocess.run([*self.program, f"--signum={name}"], capture_output=True, check=True).stdout
        return int(out)

    def play(self) -> None:
        conf = self.path("keepalived.conf")
        conf.write_text(FILE)
        flags = ["-n", "-l", "-D", "-P", "-f", str(conf), "-p", str(self.path("parent.pid"))]
        flags += ["-r", str(self.path("vrrp.pid")), "-c", str(self.path("checkers.pid"))]
        with open(self.path("log"), "wb") as log:
            process = self.namespace.popen(
                [*self.program, *flags], stderr=log, stdout=log, env=os.environ | {"TMPDIR": str(self.folder)}
            )
        try:
            self._play(process, conf)
        except BaseException:
            print(self.path("log").read_text()[-4000:])
            raise
        finally:
            process.kill()
            process.wait()

    def _play(self, process: subprocess.Popen[Any], conf: Path) -> None:
        need.wait_until(lambda: {"10.9.0.100", "10.9.0.110"} <= self.addresses(), 30, "both are master")
        parent = int(self.path("parent.pid").read_text())
        child = int(self.path("vrrp.pid").read_text())
        assert parent == process.pid != child
        assert not self.path("checkers.pid").exists()
        self.seen["mode"] = oct(self.asked(parent, "DATA", "keepalived.data").stat().st_mode)
        self.seen["data"] = self.instances()
        self.seen["stats"] = stats_read(self.asked(parent, "STATS", "keepalived.stats").read_text())
        self.seen["json"] = json.loads(self.asked(parent, "JSON", "keepalived.json").read_text())
        conf.write_text(FILE.replace("priority 150", "priority 151"))
        os.kill(parent, self.signum("RELOAD"))

        def reloaded() -> bool:
            self.asked(parent, "DATA", "keepalived.data")
            return bool(self.instances()["VI_1"]["Priority"] == "151")

        need.wait_until(reloaded, 30, "the priority has changed", 0.2)
        self.seen["after reload"] = self.instances()
        assert int(self.path("parent.pid").read_text()) == parent
        assert int(self.path("vrrp.pid").read_text()) == child
        os.kill(parent, self.signum("STATS_CLEAR"))
        need.wait_until(
            lambda: (
                stats_read(self.asked(parent, "STATS", "keepalived.stats").read_text())["VI_1"]["/Became master"] == 0
            ),
            30,
            "the counters are cleared",
            0.2,
        )
        os.kill(child, signal.SIGKILL)
        need.wait_until(lambda: self.vrrp_pid() not in (0, child), 30, "another child's pid is in the file")
        os.kill(parent, self.signum("STOP"))
        self.seen["status"] = process.wait(30)
        self.seen["left"] = sorted(p.name for p in self.folder.iterdir() if p.suffix == ".pid")
        self.seen["addresses"] = self.addresses()

    def vrrp_pid(self) -> int:
        try:
            return int(self.path("vrrp.pid").read_text() or 0)
        except FileNotFoundError:
            return 0

    def instances(self) -> dict[str, dict[str, Any]]:
        found = exporter_reads(self.path("keepalived.data").read_text())
        return {name: {key: one.get(key) for key in FIELDS} for name, one in found.items()}

    def asked(self, pid: int, what: str, name: str) -> Path:
        """Send the signal and wait for the file."""
        path = self.path(name)
        path.unlink(missing_ok=True)
        os.kill(pid, self.signum(what))
        sizes: list[int] = []

        def whole() -> bool:
            sizes.append(path.stat().st_size if path.exists() else 0)
            return len(sizes) > 2 and sizes[-1] == sizes[-2] == sizes[-3] > 0

        need.wait_until(whole, 20, f"{name} is written", 0.05)
        return path

    def addresses(self) -> set[str]:
        out = self.namespace.run(["ip", "-j", "-4", "addr", "show", "dev", "eth0"]).stdout
        return {a["local"] for a in json.loads(out)[0]["addr_info"]}


@pytest.fixture
def sessions(namespace: Namespace, tmp_path: Path) -> dict[str, dict[str, Any]]:
    out = {}
    for name, program in programs().items():
        folder = tmp_path / name
        folder.mkdir()
        session = Session(program, namespace, folder)
        session.play()
        out[name] = session.seen
    return out


def test_a_session_looks_the_same(sessions: dict[str, dict[str, Any]]) -> None:
    theirs, ours = sessions["keepalived"], sessions["fastha"]
    for what in ("mode", "data", "after reload", "status", "left", "addresses"):
        assert ours[what] == theirs[what], what
    assert ours["status"] == 0
    assert ours["left"] == []
    assert ours["addresses"] == {"10.9.0.1"}
    assert ours["stats"].keys() == theirs["stats"].keys()
    for name, counters in theirs["stats"].items():
        assert list(ours["stats"][name]) == list(counters)
        moving = ("Advertisements/Sent",)
        assert {k: v for k, v in ours["stats"][name].items() if k not in moving} == {
            k: v for k, v in counters.items() if k not in moving
        }
        assert ours["stats"][name]["Advertisements/Sent"] > 0
    for mine, its in zip(ours["json"], theirs["json"], strict=True):
        assert mine["stats"].keys() == its["stats"].keys()
        assert mine["data"].keys() == its["data"].keys()
        for key, value in its["data"].items():
            assert type(mine["data"][key]) is type(value), key
            if key not in ("last_transition", "auth_data"):  # fastha tells no password
                assert mine["data"][key] == value, key


CASES = {
    "fit": FILE,
    "unknown keyword": f"foo bar\n{FILE}",
    "corrected": FILE.replace("state MASTER", "state MASTER\n    nopreempt"),
    "insecure script": FILE.replace("state BACKUP", 'state BACKUP\n    notify_master "/bin/true"'),
    "secure script": FILE.replace("state BACKUP", 'state BACKUP\n    notify_master "/bin/true"').replace(
        "router_id lab1", "enable_script_security\n    script_user root"
    ),
}


def test_tests_of_configurations_end_alike(tmp_path: Path) -> None:
    found: dict[str, dict[str, int]] = {}
    for name, program in programs().items():
        for case, text in CASES.items():
            (tmp_path / "conf").write_text(text)
            done = subprocess.run([*program, "-t", "-f", str(tmp_path / "conf")], capture_output=True, check=False)
            found.setdefault(case, {})[name] = done.returncode
        subprocess.run([*program, f"--config-test={tmp_path / name}", "-f", str(tmp_path / "conf")], check=False)
        assert (tmp_path / name).exists()
    assert {case: one["fastha"] for case, one in found.items()} == {
        case: one["keepalived"] for case, one in found.items()
    }
    assert found["fit"]["fastha"] == 0
    assert found["unknown keyword"]["fastha"] == 5
    done = subprocess.run([*OURS, "-t", "-f", str(tmp_path / "nothing")], capture_output=True, check=False)
    assert done.returncode == 4  # as keepalived's later releases; 2.2.7 says 0


def test_numbers_of_signals() -> None:
    for name in ("STOP", "RELOAD", "DATA", "STATS", "STATS_CLEAR", "JSON", "NOTHING"):
        both = [
            subprocess.run([*program, f"--signum={name}"], capture_output=True, check=False)
            for program in programs().values()
        ]
        assert both[0].stdout == both[1].stdout
        assert both[0].returncode == both[1].returncode


def test_in_the_background(namespace: Namespace, tmp_path: Path) -> None:
    """Without -n the command ends once the pid files are there, and the daemon goes on; -V leaves the addresses."""
    conf, pid = tmp_path / "conf", tmp_path / "parent.pid"
    conf.write_text(FILE)
    flags = [
        "-f",
        str(conf),
        "-p",
        str(pid),
        "-r",
        str(tmp_path / "v.pid"),
        "-g" + str(tmp_path / "log"),
        "-G",
        "-P",
        "-V",
    ]
    done = namespace.run([*OURS, *flags])
    assert (done.stdout, done.stderr) in ((b"", b""), ("", ""))
    number = int(pid.read_text())
    session = Session(OURS, namespace, tmp_path)
    need.wait_until(lambda: "10.9.0.100" in session.addresses(), 30, "it is master")
    os.kill(number, signal.SIGTERM)
    need.wait_until(lambda: not pid.exists(), 30, "it has ended")
    assert {"10.9.0.100", "10.9.0.101", "10.9.0.110"} <= session.addresses()
    assert "stopped" in (tmp_path / "log").read_text()
    conf.write_text("nonsense\n")
    refused = namespace.popen([*OURS, *flags])
    assert refused.wait(30) == 2


def test_without_respawn_the_end_of_a_child_is_the_end(namespace: Namespace, tmp_path: Path) -> None:
    conf, pid, child = tmp_path / "conf", tmp_path / "parent.pid", tmp_path / "v.pid"
    conf.write_text(FILE)
    process = namespace.popen([*OURS, "-n", "-G", "-P", "-R", "-f", str(conf), "-p", str(pid), "-r", str(child)])
    need.wait_until(child.exists, 30, "the child runs")
    os.kill(int(child.read_text()), signal.SIGKILL)
    assert process.wait(30) == 1
    assert not pid.exists()


OWN_RUN = 'mount --make-rprivate / && mount -t tmpfs none /run && exec "$@"'
PLACES = [
    ("use_pid_dir\n", [], ["keepalived/keepalived.pid", "keepalived/vrrp.pid"]),
    ("use_pid_dir\n", ["-p", "/run/mine.pid"], ["keepalived/vrrp.pid", "mine.pid"]),
    ("instance red\n", [], ["keepalived/keepalived_red.pid", "keepalived/vrrp_red.pid"]),
]


@pytest.mark.parametrize("program", ["keepalived", "fastha"])
@pytest.mark.parametrize(("words", "flags", "files"), PLACES)
def test_use_pid_dir_moves_what_no_flag_has_named(
    program: str, words: str, flags: list[str], files: list[str], namespace: Namespace, tmp_path: Path
) -> None:
    """With a /run of its own."""
    conf = tmp_path / "keepalived.conf"
    conf.write_text(words + FILE)
    command = ["unshare", "-m", "sh", "-c", OWN_RUN, "sh", *programs()[program], "-n", "-l", "-f", str(conf), *flags]
    with open(tmp_path / "log", "wb") as log:
        process = namespace.popen(command, stdout=log, stderr=log)
    run = Path(f"/proc/{process.pid}/root/run")

    def found() -> list[str]:
        files = [*run.glob("*.pid"), *(run / "keepalived").glob("*.pid")]
        return sorted(str(path.relative_to(run)) for path in files)

    try:
        need.wait_until(lambda: found() == files, 30, f"the pid files are {files}")
        parent = next(name for name in files if "vrrp" not in name)
        assert int((run / parent).read_text()) == process.pid
    finally:
        process.terminate()
        process.wait(30)
