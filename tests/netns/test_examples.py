"""Every file of examples/: fit for fastha and for Debian's keepalived, and a real daemon does with it what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import need
from fastha.cli.client import NoAnswer, ask
from fastha.config.load import load
from fastha.lab.netns import Namespace

pytestmark = pytest.mark.root
EXAMPLES = sorted((Path(__file__).resolve().parent.parent.parent / "examples").glob("*.conf"))
LINKS = 4


@pytest.fixture
def host() -> Iterator[Namespace]:
    """Four links; the first is 192.0.2.0/24, and each has 10.N.0.5."""
    need.kernel("veth", "macvlan")
    with Namespace.create("example") as one:
        one.ip("link set lo up")
        for n in range(LINKS):
            one.ip(
                f"link add eth{n} type veth peer name peer{n}",
                f"addr add {'192.0.2.5/24' if n == 0 else f'10.{n}.0.5/16'} dev eth{n}",
                f"link set eth{n} up",
                f"link set peer{n} up",
            )
        yield one


def addresses(host: Namespace) -> set[str]:
    out = host.run(["ip", "-j", "addr", "show", "up"]).stdout
    return {a["local"] for link in json.loads(out) for a in link["addr_info"]}


def test_there_are_examples() -> None:
    assert {path.stem for path in EXAMPLES} >= {
        *("nat", "dr", "tun", "vmac", "unicast", "sync_groups", "bfd", "thousand"),
    }


@pytest.mark.interop
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_it_is_fit(path: Path, host: Namespace) -> None:
    assert load(str(path)).faults == ()
    done = host.run([need.tool("keepalived"), "-G", "-t", "-f", str(path)], check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_it_runs(path: Path, host: Namespace, tmp_path: Path) -> None:
    config = load(str(path)).config
    control = str(tmp_path / "control")
    command = [sys.executable, "-m", "fastha.cli", "run", "-f", str(path), "--control", control, "--dataplane", "none"]
    with open(tmp_path / "log", "wb") as log:
        process = host.popen(command, stderr=log)
    wanted = {a.ip for i in config.instances for a in i.addresses}
    try:
        need.wait_until(
            lambda: states(control) == dict.fromkeys((i.name for i in config.instances), "master"), 60, "all are master"
        )
        need.wait_until(lambda: wanted <= addresses(host), 60, "the addresses are there")
        known = ask(control, "status", 10).get("checker", {}).get("virtual_servers", {})
        assert known.keys() == {v.key for v in config.virtual_servers}
    except BaseException:
        print((tmp_path / "log").read_text()[-3000:])
        raise
    finally:
        process.terminate()
        status = process.wait(60)
    assert status == 0, (tmp_path / "log").read_text()[-3000:]
    assert not wanted & addresses(host)


def states(control: str) -> dict[str, Any]:
    try:
        instances = ask(control, "status", 10).get("vrrp", {}).get("instances", {})
    except (NoAnswer, OSError, subprocess.SubprocessError):
        return {}
    return {name: one.get("state") for name, one in instances.items()}
