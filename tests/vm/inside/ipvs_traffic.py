"""Real traffic through a real kernel: curl in a client's namespace, IPVS NAT on the director, nginx behind it.

    client 10.1.0.10 --- 10.1.0.1 director 10.2.1.1 --- 10.2.1.2 real1
                      (10.1.0.100 service) 10.2.2.1 --- 10.2.2.2 real2

Real servers answer through the director (their default route), so IPVS can put the service address back.
"""

from __future__ import annotations

import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import need
from fastha.dataplane.ipvs import IpvsBackend
from fastha.dataplane.reconcile import describe, reconcile
from fastha.dataplane.rows import Dest, DestKey, Forward, Service, ServiceKey, ServiceRow, Table
from vm import guest, nginx

guest.only_inside()

KEY = ServiceKey(socket.AF_INET, socket.IPPROTO_TCP, "10.1.0.100", 80)
REALS = {name: DestKey(f"10.2.{i}.2", 8080) for i, name in enumerate(("real1", "real2"), 1)}


def ip_batch(lines: list[str]) -> None:
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", text=True, check=True)


def network() -> None:
    ip_batch([f"netns add {name}" for name in ("client", *REALS)])
    lines = []
    for number, (name, net) in enumerate([("client", "10.1.0"), ("real1", "10.2.1"), ("real2", "10.2.2")]):
        lines += [
            f"link add to-{name} type veth peer name eth0 netns {name}",
            f"address add {net}.1/24 dev to-{name}",
            f"link set to-{name} up",
        ]
        host = f"{net}.{2 if number else 10}"
        inner = [f"address add {host}/24 dev eth0", "link set lo up", "link set eth0 up"]
        lines += [f"-n {name} {line}" for line in inner]
    ip_batch([line for line in lines if not line.startswith("-n")])
    for name in ("client", *REALS):
        inner = [line.removeprefix(f"-n {name} ") for line in lines if line.startswith(f"-n {name} ")]
        gateway = "10.1.0.1" if name == "client" else f"10.2.{name[-1]}.1"
        text = "\n".join([*inner, f"route add default via {gateway}"]) + "\n"
        subprocess.run(["ip", "-n", name, "-batch", "-"], input=text, text=True, check=True)
    ip_batch(["address add 10.1.0.100/32 dev to-client"])
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, nginx.Server]]:
    """One nginx in each real server's namespace, answering."""
    network()
    running = {}
    for name, dest_key in REALS.items():
        running[name] = nginx.Server(tmp_path_factory.mktemp(name), name, name, dest_key.port)
        url = f"http://{dest_key}/"
        need.wait_until(lambda url=url: curl(url) is not None, 20, f"nginx of {name} answers")
    yield running
    for server in running.values():
        server.close()


@pytest.fixture
def backend() -> Iterator[IpvsBackend]:
    opened = IpvsBackend()
    yield opened
    make_true(opened, {})
    opened.close()


def make_true(backend: IpvsBackend, wanted: Table) -> None:
    ops = reconcile(wanted, backend.dump(), {KEY})
    assert not any(backend.apply(ops)), [describe(op) for op in ops]


def curl(url: str, *words: str) -> str | None:
    done = subprocess.run([*words, "curl", "-sf", "--max-time", "5", url], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def ask(times: int) -> Counter[str | None]:
    """What the client gets at the service address."""
    return Counter(curl("http://10.1.0.100/", "ip", "netns", "exec", "client") for _ in range(times))


def nat(**weights: int) -> Table:
    dests = {REALS[name]: Dest(Forward.NAT, weight) for name, weight in weights.items()}
    return {KEY: ServiceRow(Service("rr"), dests)}


def test_a_client_reaches_both_servers_and_they_see_its_address(servers: object, backend: IpvsBackend) -> None:
    make_true(backend, nat(real1=1, real2=1))
    assert ask(6) == {"real1 for 10.1.0.10": 3, "real2 for 10.1.0.10": 3}
    # the kernel adds up its per-CPU statistics every 2 s
    need.wait_until(
        lambda: sorted(c["connections"] for c in backend.counters().values()) == [3, 3, 6], 10, "both are at 3"
    )
    counted = backend.counters()
    assert {dest for _, dest in counted} == {"", "10.2.1.2:8080", "10.2.2.2:8080"}
    own, parts = counted[KEY, ""], [counted[KEY, str(REALS[name])] for name in ("real1", "real2")]
    assert all(part["active"] == 0 and part["persistent"] == 0 for part in parts)
    for name in ("connections", "in_packets", "out_packets", "in_bytes", "out_bytes"):
        assert own[name] == sum(part[name] for part in parts)
        assert own[name] >= 6
    assert own["in_bytes"] > 40 * own["in_packets"]  # with their IP and TCP headers
    assert own["connections_per_s"] <= 6


def test_a_removed_or_drained_server_gets_no_more(servers: object, backend: IpvsBackend) -> None:
    make_true(backend, nat(real1=1, real2=1))
    make_true(backend, nat(real1=1))
    assert ask(3) == {"real1 for 10.1.0.10": 3}
    make_true(backend, nat(real1=0, real2=1))
    assert ask(3) == {"real2 for 10.1.0.10": 3}


def test_an_open_connection_survives_a_scheduler_change(servers: object, backend: IpvsBackend) -> None:
    """SET_SERVICE and NEW_DEST touch no connection: the request of one opened before is answered after."""
    make_true(backend, nat(real1=1))
    with subprocess.Popen(
        ["ip", "netns", "exec", "client", "bash", "-c", "exec 3<>/dev/tcp/10.1.0.100/80; echo open; read; "
         "printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as client:  # fmt: skip
        assert client.stdout
        assert client.stdout.readline() == "open\n"
        make_true(backend, {KEY: ServiceRow(Service("mh"), {k: Dest(Forward.NAT, 1) for k in REALS.values()})})
        answer, _ = client.communicate("go on\n", timeout=20)
    assert "real1 for 10.1.0.10" in answer


def test_without_a_live_server_the_client_is_told(servers: object, backend: IpvsBackend) -> None:
    make_true(backend, {})
    assert ask(1) == {None: 1}
