"""`fastha dump` and `fastha plan` beside a daemon that runs: what it has, and what a reload then really does."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import need
from fastha.cli.client import ask
from fastha.config.load import load
from fastha.lab.network import Network
from netns.test_parent_whole import FASTHA, Director

MORE = """
virtual_server 10.9.0.101 80 {
    lb_algo wrr
    protocol TCP
    lb_kind NAT
    real_server 10.9.0.1 8099 {
        TCP_CHECK {
        }
    }
    real_server 10.9.0.2 8099 {
        weight 3
        TCP_CHECK {
            alpha
        }
    }
}
"""


def fastha(director: Director, *words: str) -> subprocess.CompletedProcess[str]:
    command = [*FASTHA, *words, "--control", director.control]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def operations(director: Director) -> int:
    return int(director.status()["checker"]["dataplane"]["operations"])


def counts(changes: list[dict[str, Any]], kind: str, action: str) -> int:
    return sum(change["kind"] == kind and change["action"] == action for change in changes)


def test_the_daemon_has_what_dump_says_and_does_what_plan_says(network: Network, tmp_path: Path) -> None:
    director = Director(network, tmp_path)
    need.wait_until(director.master, 15, f"it is master; {director.log_file}")

    dumped = fastha(director, "dump", "--secrets")
    assert (dumped.returncode, dumped.stderr) == (0, "")
    (tmp_path / "dumped.conf").write_text(dumped.stdout)
    assert load(str(tmp_path / "dumped.conf")).checked() == load(str(director.file)).checked()
    plain = json.loads(fastha(director, "dump", "--json").stdout)
    assert plain["config"]["instances"][0]["vrid"] == 51

    assert fastha(director, "plan", "-f", str(tmp_path / "dumped.conf")).returncode == 0
    before = operations(director)
    director.write(140, MORE)
    director.file.write_text(director.file.read_text().replace("        10.9.0.101/24\n", "        10.9.0.102/24\n"))
    planned = fastha(director, "plan", "-f", str(director.file), "--json")
    assert planned.returncode == 2, planned.stderr
    plan = json.loads(planned.stdout)
    assert operations(director) == before
    assert director.instance()["priority"] == 150

    answer = ask(director.control, "reload", 30)
    assert answer["outcome"] == "committed"
    need.wait_until(lambda: "10.9.0.102/24" in director.addresses(), 5, "the new address is there")
    need.wait_until(lambda: "10.9.0.101:80/tcp" in director.status()["checker"]["virtual_servers"], 5, "it is told")
    assert operations(director) - before == sum(plan["operations"].values())
    changed = answer["changed"]
    assert changed["instances"] == {"added": 0, "removed": 0, "changed": counts(plan["changes"], "instance", "changed")}
    assert changed["virtual servers"]["added"] == counts(plan["changes"], "virtual_server", "added") == 1
    moves = {(c["action"], c["name"]) for c in plan["changes"] if c["kind"] == "address"}
    assert moves == {("removed", "10.9.0.101/24"), ("added", "10.9.0.102/24")}
    need.wait_until(lambda: "10.9.0.101/24" not in director.addresses(), 5, "the old address is gone")

    after = fastha(director, "plan", "-f", str(director.file))
    assert (after.returncode, after.stdout) == (0, "nothing would change\n")
    director.file.write_text("nonsense\n")
    assert fastha(director, "plan", "-f", str(director.file)).returncode == 5
