"""Scripts and files that instances follow, with real commands and a real file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fastha.lab.network import Network
from fastha.model import Config, Script, Tracker, TrackFile, VrrpScript
from netns.vrrp_director import Director, directors, has_vip, instance

pytestmark = [pytest.mark.root]
MS = 1_000_000


class Following(Director):
    """With scripts and files besides."""

    vrrp_scripts: tuple[VrrpScript, ...] = ()
    files: tuple[TrackFile, ...] = ()

    def config(self, values: tuple[Any, ...]) -> Config:
        return Config(instances=values, vrrp_scripts=self.vrrp_scripts, track_files=self.files)

    def until_priority(self, wanted: int) -> None:
        self.until(lambda: self.router().get("priority") == wanted, f"priority {wanted}", 20)

    def until_fault(self, wanted: list[str]) -> None:
        self.until(lambda: self.router().get("faults") == wanted, f"faults {wanted}", 20)


def script_of(flag: Path, **values: Any) -> VrrpScript:
    """Succeeds while `flag` is there."""
    script = Script(("/usr/bin/test", "-e", str(flag)))
    return VrrpScript(name="s", script=script, interval_ns=100 * MS, timeout_ns=5000 * MS, **values)


def test_a_script_without_weight_is_waited_for_and_needed(network: Network, tmp_path: Path) -> None:
    a, b = directors(network)
    flag = tmp_path / "flag"
    flag.touch()
    with Following(a) as us, Director.start(b, instance(priority=50)) as them:
        us.vrrp_scripts = (script_of(flag),)
        us.configure(instance(priority=200, track=(Tracker("script", "s"),)))
        us.until_role("master", deadline_s=20)
        flag.unlink()
        us.until_role("fault", deadline_s=20)
        us.until_fault(["script s fails"])
        them.until_role("master", deadline_s=20)
        flag.touch()
        us.until_role("master", deadline_s=20)
        them.until_role("backup", deadline_s=20)
        assert us.facts["scripts"]["s"]["up"] is True
        assert us.stop() == 0


def test_a_script_with_weight_and_how_it_may_end(network: Network, tmp_path: Path) -> None:
    a, _ = directors(network)
    flag = tmp_path / "flag"
    with Following(a) as us:
        us.vrrp_scripts = (script_of(flag),)
        us.configure(instance(track=(Tracker("script", "s", -30),)))
        us.until_role("master", deadline_s=20)
        us.until_priority(70)
        flag.touch()
        us.until_priority(100)
        for script, timeout_ms in (
            (Script((str(tmp_path / "missing"),)), 5000),  # keepalived 2.2.7 takes this for success
            (Script(("/bin/sh", "-c", "exit 127")), 5000),  # and this
            (Script(("/bin/sleep", "1000")), 50),
            (Script(("/bin/sh", "-c", "kill -9 $$")), 5000),
        ):
            us.vrrp_scripts = (
                VrrpScript(name="s", script=script, interval_ns=100 * MS, timeout_ns=timeout_ms * MS),
            )  # fmt: skip
            us.configure(instance(track=(Tracker("script", "s", -30),)))
            us.until_priority(70)
            us.vrrp_scripts = (script_of(flag),)
            us.configure(instance(track=(Tracker("script", "s", -30),)))
            us.until_priority(100)
        assert us.stop() == 0
    assert "1000" not in a.run(["ps", "-o", "args", "-C", "sleep"], check=False).stdout


def test_a_script_that_starts_as_failed(network: Network, tmp_path: Path) -> None:
    """keepalived has the word, and it changes nothing (keepalived.md Appendix A, 8)."""
    a, _ = directors(network)
    flag = tmp_path / "flag"
    flag.touch()
    with Following(a) as us:
        us.vrrp_scripts = (script_of(flag, init_fail=True, rise=3),)
        us.configure(instance(track=(Tracker("script", "s"),)))
        us.until_role("master", deadline_s=20)
        roles = [event["text"] for event in us.events if event["kind"] == "state"]
        assert roles[0].startswith("init -> fault")
        assert us.stop() == 0


def test_a_file_moves_the_priority_and_takes_it_all(network: Network, tmp_path: Path) -> None:
    a, _ = directors(network)
    path = tmp_path / "number"
    with Following(a) as us:
        us.files = (TrackFile("f", str(path)),)
        us.configure(instance(track=(Tracker("file", "f", 2),)))
        us.until_role("master", deadline_s=20)
        for text, wanted in (("10", 120), ("-10\n", 80), ("0x10", 132), ("nothing", 100), ("500", 254), ("-60", 1)):
            path.write_text(text)
            us.until_priority(wanted)
        path.write_text("-127")  # times 2: all of it
        us.until_role("fault", deadline_s=20)
        path.unlink()
        us.until_role("master", deadline_s=20)
        us.until_priority(100)
        us.configure(instance(track=(Tracker("file", "f"),)))
        path.write_text("1")
        us.until_fault(["track_file f is not 0"])
        us.until(lambda: not has_vip(a), "the address is given up", 20)
        us.configure(instance(track=(Tracker("file", "f", 0, True),)))
        us.until_role("master", deadline_s=20)
        path.write_text("0")
        us.until_fault(["track_file f is 0"])
        us.configure(instance())
        us.until_role("master", deadline_s=20)
        assert us.stop() == 0
