"""The namespace toolkit: it connects, it runs things, and it leaves nothing behind, not even after SIGKILL."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap

import pytest

from fastha.errors import SystemFault
from fastha.lab import netns, owner
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from need import wait_until


def test_programs_and_sockets_live_in_their_namespace(network: Network) -> None:
    a, b = network.namespace("a"), network.namespace("b")
    network.attach("lan", a, "eth0", "10.9.0.1/24")
    network.attach("lan", b, "eth0", "10.9.0.2/24")
    assert "10.9.0.1/24" in a.run(["ip", "-4", "addr"]).stdout
    with (
        b.socket(socket.AF_INET, socket.SOCK_STREAM) as listener,
        a.socket(socket.AF_INET, socket.SOCK_STREAM) as caller,
    ):
        listener.bind(("10.9.0.2", 80))
        listener.listen()
        caller.settimeout(5)
        caller.connect(("10.9.0.2", 80))
        peer, address = listener.accept()
        peer.close()
        assert address[0] == "10.9.0.1"
    assert not os.path.exists("/sys/class/net/lan"), "no interface appears on the host"


def test_cable_carries_and_pulling_it_takes_the_carrier_away(network: Network) -> None:
    a, b = network.namespace("a"), network.namespace("b")
    network.cable(a, "left", b, "right")
    port = network.attach("lan", a, "eth0", "10.9.0.1/24")
    carrier = lambda: a.run(["cat", "/sys/class/net/eth0/carrier"]).stdout.strip()  # noqa: E731
    assert a.run(["cat", "/sys/class/net/left/carrier"]).stdout.strip() == "1"
    wait_until(lambda: carrier() == "1", 2, "the port of the switch is up")
    network.unplug(port)
    wait_until(lambda: carrier() == "0", 2, "the pulled cable shows")
    network.plug(port)
    wait_until(lambda: carrier() == "1", 2, "the cable is back")


def test_sysctls_are_the_namespaces_own(network: Network) -> None:
    a, b = network.namespace("a"), network.namespace("b")
    a.sysctl("net.ipv4.ip_forward", 1)
    b.sysctl("net.ipv4.ip_forward", 0)
    assert (a.read_sysctl("net.ipv4.ip_forward"), b.read_sysctl("net.ipv4.ip_forward")) == ("1", "0")


def test_entered_comes_back_also_from_an_exception(network: Network) -> None:
    a = network.namespace("a")
    home = os.stat("/proc/thread-self/ns/net").st_ino
    with pytest.raises(KeyError), a.entered():  # noqa: PT012
        assert os.stat("/proc/thread-self/ns/net").st_ino == os.stat(a.path).st_ino != home
        raise KeyError
    assert os.stat("/proc/thread-self/ns/net").st_ino == home


def test_delete_kills_what_runs_inside_grandchildren_too() -> None:
    with Namespace.create("busy") as busy:
        busy.popen(["sh", "-c", "setsid sleep 1000 & sleep 1000 & wait"])
        wait_until(lambda: len(busy.pids()) == 3, 5, "three processes run")
        pids = busy.pids()
    assert not busy.path.exists()
    wait_until(lambda: not any(owner.birth(pid) for pid in pids), 2, "all three are gone")


def test_everything_goes_when_the_body_raises() -> None:
    with pytest.raises(RuntimeError), Network() as net:  # noqa: PT012
        net.attach("lan", net.namespace("a"), "eth0", "10.9.0.1/24")
        (net.folder / "file").write_text("x")
        folder = net.folder
        raise RuntimeError
    assert netns.owned() == []
    assert not folder.exists()


def test_a_failing_program_is_one_clear_error(network: Network) -> None:
    a = network.namespace("a")
    with pytest.raises(SystemFault, match="exit 3: no luck"):
        a.run(["sh", "-c", "echo no luck >&2; exit 3"])
    with pytest.raises(SystemFault, match="nonesuch"):
        a.ip("link set nonesuch up")
    with pytest.raises(ValueError, match="15"):
        network.attach("lan", a, "sixteencharacter")


MAKER = """
    import signal, sys, time
    from fastha.lab.network import Network
    from fastha.lab.signals import signals_unwind
    with signals_unwind(), Network() as net:
        ns = net.namespace("left")
        net.attach("lan", ns, "eth0", "10.9.0.1/24")
        ns.popen(["sleep", "1000"])
        print(ns.name, net.switch.name, net.folder, flush=True)
        time.sleep(1000)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_nothing_stays_after_the_maker_was_killed(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(MAKER)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as maker:
        try:
            assert maker.stdout is not None
            name, switch, folder = maker.stdout.readline().split()
            inside = Namespace(name)
            wait_until(inside.pids, 5, "the process inside runs")
            pids = inside.pids()
            assert {name, switch, folder}.isdisjoint(netns.sweep()), "a living maker's things are not stale"
            maker.send_signal(number)
            maker.wait(10)
        finally:
            maker.kill()
    if number == signal.SIGKILL:
        assert inside.path.exists(), "SIGKILL leaves it to the sweep"
        assert {name, switch, folder} <= set(netns.sweep())
    assert not inside.path.exists()
    assert not (netns.RUN_NETNS / switch).exists()
    assert not os.path.exists(folder)
    wait_until(lambda: not any(owner.birth(pid) for pid in pids), 2, "the process inside is gone")


def test_a_reused_pid_does_not_hide_a_leftover() -> None:
    pid = os.getpid()
    assert owner.is_ours(owner.make_name("x"))
    here = owner.realm()
    assert not owner.is_stale(f"fastha-{pid}-{owner.birth(pid)}-{here}-1-x")
    assert owner.is_stale(f"fastha-{pid}-0-{here}-1-x"), "same pid, other start time: another process"
    assert owner.is_stale(f"fastha-4194305-1-{here}-1-x"), "beyond the largest pid"
    assert not owner.is_stale("fastha-4194305-1-elsewhere-1-x"), "pids of another boot or container say nothing"
    assert not owner.is_stale("fastha-notours"), "names of other forms are nobody's to remove"
    assert not owner.is_stale("mynet")
