"""`fastha plan` between two files, and its claims beside what the checker then really does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from fastha.checker.ending import Ending
from fastha.cli import kernel_changes
from fastha.cli.main import main
from fastha.config.difference import Change, difference
from fastha.dataplane.rows import Op
from fastha.model import Config, Script, SorryServer, TcpCheck, VirtualServer
from unit.test_checker_child import VS, World, server

OLD = """\
vrrp_instance A {
    interface eth0
    virtual_router_id 1
    priority 150
    authentication {
        auth_type PASS
        auth_pass old
    }
    virtual_ipaddress {
        10.0.0.1
        10.0.0.2
    }
}
vrrp_instance B {
    interface eth0
    virtual_router_id 2
    virtual_ipaddress {
        10.0.0.3
    }
}
virtual_server 10.0.0.1 80 {
    protocol TCP
    lvs_sched wrr
    lvs_method NAT
    real_server 10.1.0.1 80 {
        TCP_CHECK {
            connect_timeout 3
        }
    }
    real_server 10.1.0.2 80 {
        TCP_CHECK {
        }
    }
}
virtual_server 10.0.0.3 80 {
    protocol TCP
    lvs_sched rr
    lvs_method DR
    real_server 10.1.0.9 80 {
    }
}
"""
NEW = (
    OLD.replace("        10.0.0.2\n", "")
    .replace("        10.0.0.3\n", "        10.0.0.2\n        10.0.0.3\n        10.0.0.4\n")
    .replace("priority 150", "priority 90")
    .replace("auth_pass old", "auth_pass new")
    .replace("connect_timeout 3", "connect_timeout 4")
    .replace("real_server 10.1.0.2 80 {", "real_server 10.1.0.3 80 {\n        weight 3")
)


def plan(tmp_path: Path, old: str, new: str, *options: str) -> int:
    (tmp_path / "old.conf").write_text(old)
    (tmp_path / "new.conf").write_text(new)
    return main(["plan", "--from", str(tmp_path / "old.conf"), "-f", str(tmp_path / "new.conf"), *options])


def test_plan_tells_what_a_reload_would_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(tmp_path, OLD, NEW) == 2
    assert capsys.readouterr().out.splitlines() == [
        "~ vrrp_instance A changed",
        "      priority 150 -> 90",
        "      auth_pass (hidden) -> (another)",
        "~ vrrp_instance B changed",
        "    > address 10.0.0.2/32 moved (from A)",
        "    + address 10.0.0.4/32 added",
        "  virtual_server 10.0.0.1:80/tcp",
        "    - real_server 10.1.0.2:80 removed",
        "    ~ check 10.1.0.1:80 TCP_CHECK restarted: connect_timeout 3 -> 4",
        "    + real_server 10.1.0.3:80 added",
        "2 vrrp_instances changed, 1 address moved, 1 address added, 1 real_server removed, 1 check restarted, "
        "1 real_server added; 2 operations on the table; 0 of 2 instances and 1 of 2 virtual servers stay as they are",
    ]


def test_nothing_is_status_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commented = OLD.replace("vrrp_instance B", "# nothing else\nvrrp_instance B")
    assert plan(tmp_path, OLD, commented) == 0
    assert capsys.readouterr().out == "nothing would change\n"


def test_a_refused_file_is_status_5(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(tmp_path, OLD, NEW.replace("priority 90", "priority 900")) == 5
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "new.conf:4:14: error: priority must be 1 to 255, not 900" in captured.err
    assert plan(tmp_path, "nonsense\n", NEW) == 5


def test_wrong_use_is_status_1() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["plan"])
    assert caught.value.code == 1


def test_no_daemon_is_status_3(tmp_path: Path) -> None:
    (tmp_path / "new.conf").write_text(NEW)
    assert main(["plan", "-f", str(tmp_path / "new.conf"), "--control", str(tmp_path / "none")]) == 3


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(tmp_path, OLD, NEW, "--json") == 2
    data = orjson.loads(capsys.readouterr().out)
    assert data["format"] == 1
    assert data["operations"] == {"destination added": 1, "destination removed": 1}
    assert {
        "kind": "address",
        "action": "moved",
        "name": "10.0.0.2/32",
        "inside": "B",
        "words": [],
        "note": "from A",
    } in data["changes"]


def test_another_identity_is_another_instance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(tmp_path, OLD, OLD.replace("virtual_router_id 2", "virtual_router_id 7")) == 2
    out = capsys.readouterr().out
    assert "- vrrp_instance B removed (it starts anew: its virtual_router_id, interface or unicast source" in out
    assert "+ vrrp_instance B added (it starts as backup)" in out


# -- beside the checker


@pytest.fixture
def world() -> Iterator[World]:
    one = World()
    yield one
    one.close()


def real(world: World, *servers: VirtualServer) -> list[Op]:
    """The operations of a reload with these virtual servers."""
    done: list[Op] = []
    apply = world.kernel.apply

    def watched(ops: list[Op]) -> list[int]:
        done.extend(ops)
        return apply(ops)

    world.kernel.apply = watched  # type: ignore[method-assign]
    world.configure(*servers)
    world.kernel.apply = apply  # type: ignore[method-assign]
    return done


CHANGES = {
    "nothing": (VS,),
    "a weight and a check": (replace(VS, real_servers=(server(1, weight=7), server(2, checks=()), server(3))),),
    "a server for another": (replace(VS, real_servers=(server(1), server(2), server(4))),),
    "the scheduler": (replace(VS, scheduler="wrr", persistence_timeout_s=60),),
    "a quorum that is out of reach": (replace(VS, quorum=3, sorry_server=SorryServer(ip="192.0.2.99", port=80)),),
    "another service": (VS, replace(VS, ip="203.0.113.2")),
    "it goes": (replace(VS, ip="203.0.113.2"),),
    "only a script": (replace(VS, quorum_up=Script(("/bin/true",))),),
    "a new server that has to prove itself": (
        replace(
            VS,
            real_servers=(
                *VS.real_servers,
                server(5, alpha=True, checks=(TcpCheck(ip="192.0.2.5", port=80, alpha=True),)),
            ),
        ),
    ),
}


@pytest.mark.parametrize("new", CHANGES.values(), ids=CHANGES)
def test_the_table_changes_as_planned(world: World, new: tuple[VirtualServer, ...]) -> None:
    world.configure(VS)
    world.end((1, Ending.REFUSED), (2, Ending.CONNECTED))
    closed, opened = world.engine.closed, world.engine._opened
    old, wanted = Config(virtual_servers=(VS,)), Config(virtual_servers=new)
    planned = kernel_changes.operations(old, wanted, world.picture)
    changes = difference(old, wanted)
    done = real(world, *new)
    assert Counter(map(repr, done)) == Counter(map(repr, planned))
    assert bool(changes) == (new != (VS,))
    # What is not named goes on in the slot it has.
    assert world.engine.closed - closed == ended(changes, "restarted", "removed", old)
    assert world.engine._opened - opened == ended(changes, "restarted", "added", wanted)


def ended(changes: list[Change], restarted: str, whole: str, config: Config) -> int:
    """Checks that are named by themselves, or with the server they belong to."""
    count = sum(c.kind == "check" and c.action in (restarted, whole) for c in changes)
    for vs in config.virtual_servers:
        gone = any((c.kind, c.action, c.name) == ("virtual_server", whole, vs.key) for c in changes)
        for rs in vs.real_servers:
            if gone or any((c.kind, c.action, c.name) == ("real_server", whole, rs.key) for c in changes):
                count += len(rs.checks)
    return count
