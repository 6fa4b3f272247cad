"""What a backup's VMAC says of its groups: nothing, in either family."""

from __future__ import annotations

import subprocess

import pytest

from fastha.lab.network import Network
from fastha.model import Device, VirtualAddress
from netns.vrrp_director import Director, directors, instance

pytestmark = pytest.mark.root

MAC = "00:00:5e:00:02:33"


@pytest.mark.parametrize("filtered", [True, False])
def test_a_backup_reports_no_groups(network: Network, filtered: bool) -> None:
    """Without the table (it is deleted, and the VMAC set up anew) it would: the test sees what it looks for."""
    a, b = directors(network)
    device = Device("vrrp6.51", "eth0", MAC, ipv6=True)
    six = {"family": 6, "addresses": (VirtualAddress("fe80::100", 64),), "vmac": device}
    watch = a.popen(
        ["tshark", "-l", "-n", "-i", "eth0", "-a", "duration:20", "-Y", "icmpv6.type == 143 or vrrp", "-T", "fields",
         "-e", "eth.src", "-e", "ipv6.src", "-e", "icmpv6.type"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in watch.stderr:
        if "Capturing" in line:
            break
    with Director.start(a, instance(priority=150, **six)) as first:
        first.until_role("master", deadline_s=10)
        with Director.start(b, instance(**six)) as second:
            second.until(lambda: second.router().get("received", 0) > 3, "the backup hears the master", 10)
            if not filtered:
                b.run(["nft", "delete", "table", "ip6", "keepalived"])
            b.ip("link set vrrp6.51 down")  # it is set up again, and reports its groups anew
            heard = second.router()["received"]
            second.until(lambda: second.router()["received"] > heard + 30, "three seconds", 15)
            assert second.router()["state"] == "backup"
    watch.terminate()
    rows = [line.rstrip("\n").split("\t") for line in watch.stdout]
    reports = {(mac, source) for mac, source, kind in rows if kind == "143"}
    assert any(mac != MAC for mac, _ in reports), "the interfaces themselves report"
    assert (MAC, "fe80::100") in reports, "and a master, whose address it is"
    assert ((MAC, "::") in reports) is not filtered, reports
