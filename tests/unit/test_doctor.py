"""The doctor's rules over snapshots that are made up: each bites where it should, and is silent where it should not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fastha.config.load import load
from fastha.doctor.look import look
from fastha.doctor.rules import CODES, examine
from fastha.doctor.values import SEVERITIES, Host, Wants, wants_of

NOW = 1_700_000_000.0
WELL = Wants(
    interfaces=frozenset({"eth0"}), addresses=(("eth0", "10.0.0.100", 32),), vrids=(("eth0", 51, "VI_1"),),
    forwards=frozenset({"NAT"}), families=frozenset({"inet"}), schedulers=frozenset({"wlc"}), services=10,
    destinations=50, checks=50,
)  # fmt: skip
SOUND = {
    "net/ipv4/ip_forward": "1", "net/ipv4/vs/expire_nodest_conn": "1", "net/ipv4/vs/expire_quiescent_template": "1",
    "net/ipv4/vs/conn_reuse_mode": "1", "net/ipv4/vs/conntrack": "0", "net/netfilter/nf_conntrack_max": "1048576",
    "net/netfilter/nf_conntrack_count": "1000", "net/ipv4/ip_local_port_range": "10240\t65535",
    "net/ipv4/neigh/default/gc_thresh3": "1024", "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/eth0/rp_filter": "2", "net/ipv4/conf/all/arp_ignore": "1", "net/ipv4/conf/all/arp_announce": "2",
    "net/ipv4/conf/eth0/promote_secondaries": "1",
}  # fmt: skip
INSTANCE: dict[str, Any] = {
    "state": "master", "since": NOW - 900, "interface": "eth0", "vrid": 51, "advert_int_ns": 10**9,
    "late_max_ns": 10**6,
    "peers": [{"ip": "10.0.0.2", "priority": 0, "heard": NOW - 100}], "discarded": {"ttl": 0},
}  # fmt: skip
STATUS: dict[str, Any] = {
    "now": NOW, "daemon": {"children": {"vrrp": {"state": "running", "pid": 2}}},
    "vrrp": {"instances": {"VI_1": INSTANCE}, "interfaces": {"eth0": {"strangers": []}}},
    "checker": {"dataplane": {"backend": "ipvs"}},
}  # fmt: skip
HEALTHY = Host(
    kernel=(6, 1), sysctl=SOUND, interfaces=("eth0", "eth1", "lo"), programs={"sshd": (1,)},
    children={"vrrp": {"caps": 0x3FFFFFFFFF, "files": 1024}, "checker": {"caps": 1 << 12, "files": 65536}},
    ipvs={"bits": 18, "services": 10, "destinations": 50, "connections": 1000}, schedulers=("ip_vs_wlc",), clock="tsc",
    clocks=("tsc", "hpet"), status=STATUS,
)  # fmt: skip


def sysctl(**values: object) -> Host:
    """`net__ipv4__x`: that sysctl."""
    return replace(HEALTHY, sysctl=SOUND | {name.replace("__", "/"): str(v) for name, v in values.items()})


def instance(**values: object) -> Host:
    return replace(HEALTHY, status={**STATUS, "vrrp": {**STATUS["vrrp"], "instances": {"VI_1": INSTANCE | values}}})


def backend(host: Host, name: str) -> Host:
    return replace(host, status={**(host.status or {}), "checker": {"dataplane": {"backend": name}}})


SICK: list[tuple[str, str, Host, Wants]] = [
    ("ipvs-missing", "modprobe ip_vs", replace(HEALTHY, ipvs=None, status={**STATUS, "checker": {}}), WELL),
    ("ipvs-scheduler", "modprobe ip_vs_mh", HEALTHY, replace(WELL, schedulers=frozenset({"mh"}))),
    (
        "ipvs-table-small", "conn_tab_bits=",
        replace(HEALTHY, ipvs={"bits": 12, "services": 1, "destinations": 1, "connections": 10**6}), WELL,
    ),
    ("estimators", "", HEALTHY, replace(WELL, destinations=10_000, checks=100)),
    ("estimators", "run_estimation=0", replace(HEALTHY, kernel=(6, 6)), replace(WELL, destinations=10_000, checks=100)),
    ("expire-nodest", "expire_nodest_conn=1", sysctl(net__ipv4__vs__expire_nodest_conn=0), WELL),
    (
        "expire-quiescent", "expire_quiescent_template=1", sysctl(net__ipv4__vs__expire_quiescent_template=0),
        replace(WELL, persistent=True),
    ),
    ("conn-reuse", "conn_reuse_mode=0", replace(sysctl(net__ipv4__vs__conntrack=1), kernel=(4, 19)), WELL),
    ("conn-reuse", "conn_reuse_mode=1", sysctl(net__ipv4__vs__conn_reuse_mode=0), WELL),
    ("conntrack-full", "nf_conntrack_max=", sysctl(net__netfilter__nf_conntrack_count=1_000_000), WELL),
    ("conntrack-small", "nf_conntrack_max=", backend(sysctl(net__netfilter__nf_conntrack_max=65536), "nft"), WELL),
    ("clock", "echo tsc >", replace(HEALTHY, clock="hpet"), WELL),
    ("privileges", "CAP_NET_RAW", replace(HEALTHY, children={"vrrp": {"caps": 1 << 12}}), WELL),
    ("descriptors", "LimitNOFILE", replace(HEALTHY, children={"checker": {"caps": -1, "files": 1024}}),
     replace(WELL, checks=2000)),
    ("ports", "ip_local_port_range", sysctl(net__ipv4__ip_local_port_range="32768 33000"), WELL),
    ("forwarding", "ip_forward=1", sysctl(net__ipv4__ip_forward=0), WELL),
    ("forwarding", "net.ipv6.conf.all.forwarding=1", sysctl(net__ipv6__conf__all__forwarding=0),
     replace(WELL, families=frozenset({"inet6"}))),
    ("rp-filter", "rp_filter=2", sysctl(net__ipv4__conf__eth0__rp_filter=1),
     replace(WELL, forwards=frozenset({"TUN"}))),
    ("arp-ignore", "arp_ignore=1", sysctl(net__ipv4__conf__all__arp_ignore=0), WELL),
    ("arp-announce", "arp_announce=2", sysctl(net__ipv4__conf__all__arp_announce=0), WELL),
    ("promote-secondaries", "promote_secondaries=1", sysctl(net__ipv4__conf__eth0__promote_secondaries=0),
     replace(WELL, addresses=(("eth0", "10.0.0.100", 24),))),
    ("neighbour-table", "gc_thresh3=", HEALTHY, replace(WELL, destinations=600)),
    ("interface", "", HEALTHY, replace(WELL, interfaces=frozenset({"eth7"}), vrids=(("eth7", 1, "VI_9"),))),
    ("namespace", "ip netns list", Host(kernel=(6, 1), status=STATUS, unseen="the network namespace x: gone"), WELL),
    ("manager", "nmcli device set eth0", replace(HEALTHY, managed={"eth0": "NetworkManager"}), WELL),
    ("manager", "KeepConfiguration=yes", replace(HEALTHY, managed={"eth0": "systemd-networkd"}), WELL),
    ("daemon", "systemctl start", replace(HEALTHY, status=None), WELL),
    ("daemon", "fastha reload",
     replace(HEALTHY, status={**STATUS, "daemon": {"children": {"vrrp": {"state": "held", "last_end": "x"}}}}), WELL),
    ("balancer", "systemctl disable --now keepalived", replace(HEALTHY, programs={"keepalived": (7, 8)}), WELL),
    ("vrid-foreign", "tcpdump",
     replace(HEALTHY, status={**STATUS, "vrrp": {"interfaces": {"eth0": {"strangers": [[9, "10.0.0.9"]]}}}}), WELL),
    ("vrid-conflict", "tcpdump", instance(peers=[{"ip": "10.0.0.2", "priority": 90, "heard": NOW - 0.5}]), WELL),
    ("adverts-refused", "tcpdump", instance(discarded={"auth_password": 4}), WELL),
    ("late", "vmstat", instance(late_max_ns=2 * 10**8), WELL),
]  # fmt: skip


def test_a_healthy_host_has_nothing() -> None:
    assert examine(HEALTHY, WELL) == []


@pytest.mark.parametrize(("code", "mend", "host", "wants"), SICK, ids=[f"{s[0]}-{i}" for i, s in enumerate(SICK)])
def test_each_rule_bites_alone_and_says_what_mends_it(code: str, mend: str, host: Host, wants: Wants) -> None:
    (finding,) = [one for one in examine(host, wants) if one.code == code]
    assert mend in finding.mend
    assert finding.severity in SEVERITIES
    assert finding.what
    assert finding.why


def test_every_code_has_a_snapshot_that_shows_it() -> None:
    assert {code for code, *_ in SICK} == set(CODES)


@pytest.mark.parametrize(
    ("host", "wants"),
    [
        (backend(sysctl(net__ipv4__vs__expire_nodest_conn=0), "nft"), WELL),  # IPVS balances nothing
        (backend(replace(HEALTHY, ipvs=None), "nft"), WELL),
        (sysctl(net__ipv4__ip_forward=0), replace(WELL, forwards=frozenset({"DR"}))),
        (sysctl(net__ipv4__conf__eth0__rp_filter=1), WELL),  # NAT: replies come back the same way
        (replace(sysctl(net__ipv4__conf__all__arp_ignore=0), interfaces=("eth0", "lo")), WELL),
        (instance(peers=[{"ip": "10.0.0.2", "priority": 90, "heard": NOW - 60}]), WELL),  # long ago
        (instance(since=NOW - 1, peers=[{"ip": "10.0.0.2", "priority": 90, "heard": NOW - 0.5}]), WELL),  # a handover
        (instance(state="backup", peers=[{"ip": "10.0.0.2", "priority": 90, "heard": NOW - 0.5}]), WELL),
        (replace(HEALTHY, managed={"eth3": "NetworkManager"}), WELL),  # not ours
        (Host(kernel=(6, 1), status=STATUS), WELL),  # nothing could be read: nothing is claimed
    ],
)
def test_silent_where_it_does_not_matter(host: Host, wants: Wants) -> None:
    assert [one for one in examine(host, wants) if one.code != "ipvs-missing"] == []


def test_what_mends_it_is_said_for_the_namespace_where_it_is() -> None:
    host = sysctl(net__ipv4__ip_forward=0, net__ipv4__vs__expire_nodest_conn=0)

    def mends(**namespaces: str) -> dict[str, str]:
        return {one.code: one.mend for one in examine(host, replace(WELL, **namespaces))}  # type: ignore[arg-type]

    assert mends(namespace="red") == {
        "forwarding": "ip netns exec red sysctl -w net.ipv4.ip_forward=1",
        "expire-nodest": "ip netns exec red sysctl -w net.ipv4.vs.expire_nodest_conn=1",
    }
    apart = mends(namespace="red", ipvs_namespace="blue")
    assert apart["expire-nodest"] == "ip netns exec blue sysctl -w net.ipv4.vs.expire_nodest_conn=1"
    assert mends(namespace="red", ipvs_namespace="")["expire-nodest"].startswith("sysctl -w net.ipv4.vs.expire_nodest")


def test_a_namespace_that_is_not_there_hides_no_other_finding() -> None:
    host = look(replace(WELL, namespace="none-such"), None, "nobody")
    assert host.unseen == "the network namespace none-such: No such file or directory"
    assert {one.code for one in examine(host, WELL)} >= {"namespace", "daemon"}


def test_the_worst_comes_first() -> None:
    host = replace(sysctl(net__ipv4__ip_forward=0, net__ipv4__conf__all__arp_ignore=0), clock="hpet")
    assert [one.severity for one in examine(host, WELL)] == ["error", "warning", "note"]


def test_what_a_configuration_wants(tmp_path: Path) -> None:
    path = tmp_path / "k.conf"
    path.write_text(
        "virtual_server_group g {\n10.0.0.1-3 80\n}\nvirtual_server group g {\nlb_algo mh\nlb_kind TUN\n"
        "persistence_timeout 60\nprotocol TCP\nreal_server 10.1.0.1 80 {\nTCP_CHECK {\n}\n}\n"
        "real_server 10.1.0.2 80 {\nTCP_CHECK {\n}\n}\n}\n"
        "vrrp_instance v {\ninterface eth0\nvirtual_router_id 7\nvirtual_ipaddress {\n10.0.0.1/24 dev eth1\n}\n}\n"
    )
    loaded = load(str(path))
    assert not loaded.errors
    wants = wants_of(loaded.config)
    assert wants.interfaces == {"eth0", "eth1"}
    assert wants.addresses == (("eth1", "10.0.0.1", 24),)
    assert (wants.forwards, wants.schedulers, wants.persistent) == ({"TUN"}, {"mh"}, True)
    assert (wants.destinations, wants.checks) == (wants.services * 2, 2)


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    return tree(
        tmp_path,
        {
            "proc/sys/kernel/osrelease": "5.15.0-91-generic\n",
            "proc/sys/net/ipv4/ip_forward": "0\n",
            "proc/sys/net/ipv4/conf/eth0/rp_filter": "1\n",
            "proc/41/comm": "keepalived\n", "proc/42/comm": "systemd-network\n", "proc/43/comm": "NetworkManager\n",
            "proc/7/status": "Name:\tx\nCapEff:\t0000000000001000\n",
            "proc/7/limits": "Limit   Soft Limit   Hard Limit   Units\nMax open files            1024  524288  files\n",
            "proc/net/ip_vs": "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n"
            "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n"
            "TCP  0A000001:0050 wlc\n  -> 0A010001:0050 Masq 1 300 40\n  -> 0A010002:0050 Masq 1 2 0\n",
            "sys/class/net/eth0/ifindex": "2\n", "sys/class/net/eth1/ifindex": "3\n",
            "sys/module/ip_vs/parameters/conn_tab_bits": "12\n", "sys/module/ip_vs_wlc/refcnt": "1\n",
            "sys/devices/system/clocksource/clocksource0/current_clocksource": "acpi_pm\n",
            "sys/devices/system/clocksource/clocksource0/available_clocksource": "tsc acpi_pm\n",
            "run/systemd/netif/links/2": "NETWORK_FILE=/etc/systemd/network/a.network\n",
            "run/NetworkManager/devices/3": "[device]\nmanaged=true\n",
        },
    )  # fmt: skip


def test_looking_at_a_host(fake: Path) -> None:
    wants = replace(WELL, interfaces=frozenset({"eth0", "eth1"}))
    status = {"daemon": {"children": {"checker": {"pid": 7}}}}
    host = look(wants, status, "", fake)
    assert (host.kernel, host.number("net/ipv4/ip_forward"), host.interfaces) == ((5, 15), 0, ("eth0", "eth1"))
    assert host.children == {"checker": {"caps": 1 << 12, "files": 1024}}
    assert host.ipvs == {"bits": 12, "services": 1, "destinations": 2, "connections": 342}
    assert (host.schedulers, host.clock, host.clocks) == (("ip_vs_wlc",), "acpi_pm", ("tsc", "acpi_pm"))
    assert host.managed == {"eth0": "systemd-networkd", "eth1": "NetworkManager"}
    tree(fake, {"etc/systemd/network/a.network.d/keep.conf": "[Network]\nKeepConfiguration=yes\n"})
    assert look(wants, status, "", fake).managed == {"eth1": "NetworkManager"}
    codes = {one.code for one in examine(host, wants)}
    assert {"forwarding", "clock", "balancer", "manager", "daemon"} >= codes & {"forwarding", "clock", "balancer"}
    assert {"forwarding", "clock", "balancer", "manager"} <= codes


def test_an_empty_host_breaks_nothing(tmp_path: Path) -> None:
    host = look(WELL, None, "nobody", tmp_path)
    assert host.ipvs is None
    assert {one.code for one in examine(host, WELL)} == {"daemon", "ipvs-missing"}
