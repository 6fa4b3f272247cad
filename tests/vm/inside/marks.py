"""`nftables_ipvs` on a real IPVS kernel: a group is one service by mark, and nftables marks what is for its members."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from fastha.cli.client import ask
from fastha.lab.network import Network
from vm import guest
from vm.inside.groups import GROUP, MARKED, RANGE, SINGLE, Site

guest.only_inside()

HEAD = "global_defs {\nnftables_ipvs marks\nnftables_ipvs_start_fwmark 500\n}\n"
SERVICES = {"-f 500", "-f 9"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if subprocess.run(["modprobe", "nf_tables"]).returncode:
        pytest.skip("this kernel has no nftables")
    # An emulated machine reads its files slowly: what the daemon needs is read before somebody waits for it.
    subprocess.run([sys.executable, "-c", "import fastha.checker.child, fastha.dataplane.nft, fastha.vrrp"], check=True)
    subprocess.run(["nft", "list", "ruleset"], check=True)
    with Network() as network, ExitStack() as stack:
        site = Site(network, tmp_path_factory.mktemp("marks"), HEAD)
        for web in site.servers.values():
            stack.callback(web.close)
        site.until(site.healthy, "all are up", 120)
        yield site


def tables(site: Site) -> str:
    return site.director.run(["nft", "list", "ruleset"]).stdout


def test_a_group_is_one_service_and_its_own_mark(site: Site) -> None:
    assert site.is_whole(SERVICES), site.table()
    assert f"{RANGE[0]}-{RANGE[-1]} . 80" in tables(site)


def test_marked_traffic_is_served(site: Site) -> None:
    for place in (f"{RANGE[0]}:80", f"{RANGE[-1]}:80", f"{SINGLE}:8080", f"{MARKED}:443"):
        assert site.curls(place, place) == {"far1": 1, "far2": 1}, place
    assert site.curls(f"{SINGLE}:80") == {"failed": 1}, "no mark, no service"


def test_a_ruined_table_of_marks_is_made_true(site: Site) -> None:
    site.director.run(["nft", "flush", "ruleset"])
    assert ask(site.control, "resync", 10)["ok"]
    assert site.curls(f"{RANGE[1]}:80", f"{RANGE[1]}:80") == {"far1": 1, "far2": 1}


def test_a_reload_changes_the_marks_alone(site: Site) -> None:
    before = ask(site.control, "status")["checker"]["dataplane"]["operations"]
    site.write(GROUP.replace(f"{SINGLE} 8080", f"{SINGLE} 80"))
    assert ask(site.control, "reload", 10)["ok"]
    site.until(lambda: site.curls(f"{SINGLE}:80", f"{SINGLE}:80") == {"far1": 1, "far2": 1}, "the new port is served")
    assert site.curls(f"{SINGLE}:8080") == {"failed": 1}
    assert ask(site.control, "status")["checker"]["dataplane"]["operations"] == before, "the service is the same"


def test_stop_leaves_nothing(site: Site) -> None:
    site.daemon.terminate()
    assert site.daemon.wait(30) == 0, site.log.read_text()
    assert site.table() == {}
    assert "table" not in tables(site)
