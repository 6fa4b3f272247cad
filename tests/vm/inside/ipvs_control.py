"""What a real kernel's IPVS has besides its table: timeouts, synchronisation daemons, flush."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator

import pytest

import need
from fastha.dataplane.backend import KernelBalancer
from fastha.dataplane.ipvs import IpvsBackend
from fastha.dataplane.none import NoneBackend
from fastha.dataplane.rows import Daemon, Dest, DestKey, Forward, Op, Service, ServiceKey, Timeouts, Verb
from vm import guest

guest.only_inside()

KEY = ServiceKey(socket.AF_INET, socket.IPPROTO_TCP, "10.0.0.1", 80)
MASTER, BACKUP = 1, 2


def out_of(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module", autouse=True)
def link() -> Iterator[None]:
    """sync0 is the end of a veth pair with addresses of both families."""
    for line in (
        "modprobe ipv6",  # does not load on demand
        "ip link add sync0 type veth peer name sync1",
        "ip address add 10.9.0.1/24 dev sync0",
        "ip -6 address add 2001:db8:9::1/64 dev sync0 nodad",
        "ip link set sync0 up",
        "ip link set sync1 up",
    ):
        subprocess.run(line.split(), check=True)
    yield
    subprocess.run(["ip", "link", "del", "sync0"], check=True)


@pytest.fixture
def backend() -> Iterator[IpvsBackend]:
    opened = IpvsBackend()
    opened.flush()
    yield opened
    for daemon in opened.daemons():
        opened.stop_daemon(daemon.state)
    opened.close()


@pytest.fixture(params=["ipvs", "none"])
def either(request: pytest.FixtureRequest, backend: IpvsBackend) -> KernelBalancer:
    """The kernel, and what stands for it in unit tests: both have to answer alike."""
    return backend if request.param == "ipvs" else NoneBackend()


def test_both_keep_the_contract(either: KernelBalancer) -> None:
    assert isinstance(either, KernelBalancer)


def test_timeouts_there_and_back(backend: IpvsBackend) -> None:
    for wanted in (Timeouts(900, 120, 300), Timeouts(1, 2, 3), Timeouts(86400, 60, 31), Timeouts(900, 120, 300)):
        backend.set_timeouts(wanted)
        assert backend.timeouts() == wanted
        said = out_of("ipvsadm", "-L", "--timeout").split(":")[1].split()
        assert said == [str(wanted.tcp_s), str(wanted.tcpfin_s), str(wanted.udp_s)]


def test_timeouts_of_zero_stay(either: KernelBalancer) -> None:
    before = either.timeouts()
    assert before == Timeouts(900, 120, 300)
    either.set_timeouts(Timeouts(udp_s=77))
    assert either.timeouts() == Timeouts(900, 120, 77)
    either.set_timeouts(Timeouts())
    assert either.timeouts() == Timeouts(900, 120, 77)
    either.set_timeouts(before)


@pytest.mark.parametrize("wrong", [Timeouts(tcp_s=2**31), Timeouts(1, 2, 2**32), Timeouts(tcp_s=-1)])
def test_timeouts_out_of_range(either: KernelBalancer, wrong: Timeouts) -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        either.set_timeouts(wrong)
    assert either.timeouts() == Timeouts(900, 120, 300)


DAEMONS = {
    "defaults": Daemon(MASTER, "sync0"),
    "backup": Daemon(BACKUP, "sync0", sync_id=255),
    "all": Daemon(MASTER, "sync0", 7, 1000, 5000, 9, "224.0.0.99"),
    "backup all": Daemon(BACKUP, "sync0", 7, 2000, 5000, 9, "239.1.2.3"),
    "inet6": Daemon(MASTER, "sync0", 1, 1200, 8849, 3, "ff02::81"),
    "inet6 defaults": Daemon(MASTER, "sync0", 1, group="ff05::8"),
}


@pytest.mark.parametrize("name", DAEMONS)
def test_a_daemon_there_and_back(either: KernelBalancer, name: str) -> None:
    wanted = DAEMONS[name]
    either.start_daemon(wanted)
    (now,) = either.daemons()
    maxlen = wanted.maxlen or (1452 if ":" in wanted.group else 1472)  # an MTU of 1500
    assert now == Daemon(
        wanted.state,
        "sync0",
        wanted.sync_id,
        maxlen,
        wanted.port or 8848,
        wanted.ttl or 1,
        wanted.group or "224.0.0.81",
    )
    if isinstance(either, IpvsBackend):
        role = {MASTER: "master", BACKUP: "backup"}[wanted.state]
        said = out_of("ipvsadm", "-Ln", "--daemon")
        print(said)
        head = f"{role} sync daemon (mcast=sync0, syncid={now.sync_id}, maxlen={now.maxlen}, group={now.group}, "
        assert said.strip() == head + f"port={now.port}, ttl={now.ttl})"
        thread = f"ipvs-{role[0]}:0:0"  # ip_vs_sync.c; 15 characters of it
        need.wait_until(lambda: thread in threads(), 5, "its thread runs")
    either.stop_daemon(wanted.state)
    assert either.daemons() == []


def threads() -> str:
    return "\n".join(line for line in out_of("ps", "-e", "-o", "comm").splitlines() if "ipvs" in line)


def test_both_daemons_at_once(either: KernelBalancer) -> None:
    either.start_daemon(Daemon(BACKUP, "sync0", 2))
    either.start_daemon(Daemon(MASTER, "sync0", 1))
    assert [(d.state, d.sync_id) for d in either.daemons()] == [(MASTER, 1), (BACKUP, 2)]
    with pytest.raises(FileExistsError):
        either.start_daemon(Daemon(MASTER, "sync0", 3))
    either.stop_daemon(MASTER)
    assert [d.state for d in either.daemons()] == [BACKUP]
    either.stop_daemon(BACKUP)
    with pytest.raises(ProcessLookupError):
        either.stop_daemon(BACKUP)


@pytest.mark.parametrize(
    ("daemon", "error"),
    [
        (Daemon(MASTER, "absent0"), "No such device"),
        (Daemon(MASTER, "sync0" + "x" * 20), "No such device"),
        (Daemon(3, "sync0"), "Invalid argument"),
        (Daemon(MASTER, "sync0", group="10.0.0.1"), "Invalid argument"),
        (Daemon(MASTER, "sync0", group="2001:db8::1"), "Invalid argument"),
        (Daemon(MASTER, "sync0", port=65536), "Invalid argument"),
        (Daemon(MASTER, "sync0", ttl=256), "Invalid argument"),
        (Daemon(MASTER, "sync0", maxlen=-1), "Invalid argument"),
    ],
)
def test_a_daemon_that_cannot_be(either: KernelBalancer, daemon: Daemon, error: str) -> None:
    if isinstance(either, NoneBackend) and daemon.interface == "absent0":
        return  # memory has every interface
    with pytest.raises(OSError, match=error):
        either.start_daemon(daemon)
    assert either.daemons() == []


def test_no_daemon_beside_mixed_families(either: KernelBalancer) -> None:
    mixed = Dest(Forward.TUN, 1)
    ops = [Op(Verb.NEW_SERVICE, KEY, Service("rr")), Op(Verb.NEW_DEST, KEY, None, DestKey("2001:db8:2::1", 80), mixed)]
    assert either.apply(ops) == [0, 0]  # type: ignore[attr-defined]
    with pytest.raises(OSError, match="Invalid argument"):
        either.start_daemon(Daemon(MASTER, "sync0"))


def test_connections_reach_the_backup(backend: IpvsBackend) -> None:
    """A backup in another namespace learns of a connection: the daemon does what it is for."""
    run = lambda line: subprocess.run(line.split(), check=True)  # noqa: E731
    run("ip netns add other")
    try:
        run("ip link set sync1 netns other")
        run("ip -n other address add 10.9.0.2/24 dev sync1")
        run("ip -n other link set sync1 up")
        run("ip -n other link set lo up")
        run("ip netns exec other ipvsadm --start-daemon backup --mcast-interface sync1 --syncid 5")
        run("ip address add 10.0.0.1/32 dev sync0")
        backend.start_daemon(Daemon(MASTER, "sync0", 5))
        key = ServiceKey(socket.AF_INET, socket.IPPROTO_UDP, "10.0.0.1", 53)
        dest = Dest(Forward.NAT, 1)
        ops = [Op(Verb.NEW_SERVICE, key, Service("rr")), Op(Verb.NEW_DEST, key, None, DestKey("10.9.0.2", 53), dest)]
        assert backend.apply(ops) == [0, 0]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:

            def synced() -> bool:
                client.sendto(b"x", ("10.0.0.1", 53))
                return ":53" in out_of("ip", "netns", "exec", "other", "ipvsadm", "-Lnc")

            need.wait_until(synced, 20, "the backup has the connection")
    finally:
        for daemon in backend.daemons():
            backend.stop_daemon(daemon.state)
        run("ip -n other link set sync1 netns 1")
        run("ip link set sync1 up")
        run("ip netns del other")


def test_flush(either: KernelBalancer) -> None:
    ops: list[Op] = []
    for i in range(1, 50):
        key = ServiceKey(socket.AF_INET, 0, fwmark=i)
        ops.append(Op(Verb.NEW_SERVICE, key, Service("rr")))
        ops += (Op(Verb.NEW_DEST, key, None, DestKey(f"10.2.0.{j}", 0), Dest(Forward.DR, 1)) for j in range(1, 5))
    assert not any(either.apply(ops))  # type: ignore[attr-defined]
    either.start_daemon(Daemon(MASTER, "sync0"))
    either.flush()
    assert either.dump() == {}  # type: ignore[attr-defined]
    assert len(either.daemons()) == 1
    either.flush()
    either.stop_daemon(MASTER)
