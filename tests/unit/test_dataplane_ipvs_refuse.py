"""What the IPVS backend says it cannot carry, and that it says nothing about the rest."""

from __future__ import annotations

import pytest

from fastha.dataplane.ipvs import refusal
from fastha.model import RealServer, SorryServer, VirtualServer

V4, V6 = "10.2.0.1", "2001:db8::2"


def server(real_ip: str, forward: str = "NAT", ip: str = "10.0.0.1", **more: object) -> VirtualServer:
    real = RealServer(ip=real_ip, port=80, forward=forward)
    return VirtualServer(ip=ip, port=80 if ip else 0, real_servers=(real,), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "good",
    [
        server(V4),
        server(V4, "DR"),
        server(V6, "TUN"),  # mixed families are possible with tunnels
        server(V6, ip="2001:db8::1"),
        server(V6, ip="", fwmark=7, family="inet6"),
        server(V4, protocol="SCTP", scheduler="a" * 15),
    ],
)
def test_what_the_kernel_carries(good: VirtualServer) -> None:
    assert refusal(good) == ""


def test_what_it_does_not() -> None:
    assert refusal(server(V6)) == (
        "[2001:db8::2]:80: the kernel forwards from inet to another address family by TUN only, not NAT"
    )
    assert "inet6 to another" in refusal(server(V4, "DR", ip="", fwmark=7, family="inet6"))
    assert "not DR" in refusal(server(V4, sorry_server=SorryServer(ip=V6, port=80, forward="DR")))
    assert "at most 15 ASCII characters" in refusal(server(V4, scheduler="a" * 16))
    limited = RealServer(ip=V4, port=80, uthreshold=5, lthreshold=6)
    assert refusal(VirtualServer(ip="10.0.0.1", port=80, real_servers=(limited,))) == (
        "10.2.0.1:80: lthreshold 6 is above uthreshold 5"
    )
    assert "persistence_engine" in refusal(server(V4, persistence_engine="s" * 16))
