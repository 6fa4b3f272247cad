"""The client's measurements against outages of known length."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from fastha.lab.network import Network
from fastha.lab.witness import Witness, now_ns
from need import wait_until

SERVER = "10.9.0.2"
IN_FLIGHT_NS = 20_000_000  # a request that is under way at the moment may end in either way
OUTAGE = """
import subprocess, sys, time

def nft(text):
    subprocess.run(["nft", "-f", "-"], input=text.encode(), check=True)

begin = time.monotonic_ns()
nft("table netdev t { chain c { type filter hook ingress device eth0 priority 0; tcp dport 80 drop; }; }")
dark = time.monotonic_ns()
time.sleep(float(sys.argv[1]))
light = time.monotonic_ns()
nft("delete table netdev t")
print(light - dark, time.monotonic_ns() - begin)
"""


@pytest.fixture
def witness(network: Network) -> Witness:
    """A client that is being answered by one server directly; the server's namespace is network.namespaces[1]."""
    client, server = network.namespace("client"), network.namespace("server")
    network.attach("lan", client, "eth0", "10.9.0.1/24")
    network.attach("lan", server, "eth0", f"{SERVER}/24")
    server.popen([sys.executable, "-m", "fastha.lab.server", "--name", "real", "--port", "80"])
    witness = Witness(client, SERVER, 80, rate=250)
    wait_for(witness, lambda: witness.answered_since(0, "real"), "the server answers")
    return witness


def wait_for(witness: Witness, condition: Callable[[], object], why: str, deadline_s: float = 10) -> None:
    def poll() -> object:
        witness.poll()
        return condition()

    wait_until(poll, deadline_s, why)


def pause(witness: Witness, seconds: float) -> None:
    """Let the client go on for a while (the duration itself is what the test is about)."""
    end = now_ns() + int(seconds * 1e9)
    wait_for(witness, lambda: now_ns() >= end, "time passes")


@pytest.mark.parametrize("outage_s", [0.1, 0.3])
def test_gap_of_an_outage_is_as_long_as_the_outage(network: Network, witness: Witness, outage_s: float) -> None:
    """A stand-in for a director drops every packet for a known time."""
    server = network.namespaces[1]
    begin = now_ns()
    pause(witness, 0.3)
    # One process begins and ends the outage, so that its length does not depend on how quickly two are started.
    child = server.popen([sys.executable, "-c", OUTAGE, str(outage_s)], stdout=subprocess.PIPE, text=True)
    wait_for(witness, lambda: child.poll() is not None, "the outage is over")
    assert child.stdout is not None
    least_ms, most_ms = (int(word) / 1e6 for word in child.stdout.read().split())
    child.stdout.close()
    pause(witness, 0.3)
    end = now_ns()
    wait_for(witness, lambda: witness.complete_until(end), "all requests are over")
    seen, late_ms = witness.seen(begin, end), witness.late_ms(begin, end)
    slowest_ms = max((r.end_ns - r.start_ns) / 1e6 for r in witness.requests if r.outcome == "ok")
    witness.close()
    # At 250 requests per second the gap is at most two request intervals (4 ms) and an answer's time longer than the
    # outage, which is known to within nft's own time; the client itself may be late when the machine is busy, also in
    # reading the last answer before the outage.
    assert least_ms - 2 - late_ms <= seen.gap_ms <= most_ms + 2 * 4 + 5 + slowest_ms + late_ms, (
        least_ms,
        most_ms,
        late_ms,
    )
    assert seen.lost == {"timeout": seen.lost_total}
    assert 0.5 * 250 * outage_s <= seen.lost_total <= 250 * (most_ms + 60 + late_ms) / 1000, seen
    assert seen.servers == {"real": seen.answered}
    assert seen.sent == seen.answered + seen.lost_total


def test_no_outage_no_gap_and_the_pace_is_kept(network: Network, witness: Witness) -> None:
    begin = now_ns()
    pause(witness, 1)
    end = now_ns()
    wait_for(witness, lambda: witness.complete_until(end), "all requests are over")
    seen, late_ms = witness.seen(begin, end), witness.late_ms(begin, end)
    slowest_ms = max((r.end_ns - r.start_ns) / 1e6 for r in witness.requests)
    witness.close()
    assert seen.lost == {}
    assert seen.gap_ms <= 2 * 4 + 5 + slowest_ms + late_ms
    assert abs(seen.sent - 250 * seen.seconds) <= 25 + 0.25 * late_ms


def test_a_killed_server_refuses_and_a_pulled_cable_times_out(network: Network, witness: Witness) -> None:
    server = network.namespaces[1]
    server.kill_all()
    dead = now_ns()
    pause(witness, 0.2)
    server.ip("link set eth0 down")
    silent = now_ns()
    pause(witness, 0.2)
    end = now_ns()
    wait_for(witness, lambda: witness.complete_until(end), "all requests are over")
    refused, timed_out = witness.seen(dead + IN_FLIGHT_NS, silent - IN_FLIGHT_NS), witness.seen(silent, end)
    witness.close()
    assert refused.lost == {"refused": refused.sent}
    assert refused.sent > 10
    assert timed_out.answered == 0
    assert set(timed_out.lost) <= {"timeout", "unreachable"}


def test_the_client_ends_when_nobody_listens(network: Network) -> None:
    client = network.namespace("client")
    child = client.popen([sys.executable, "-m", "fastha.lab.client", "127.0.0.1", "9"], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    child.stdout.close()
    assert child.wait(5) == 0
