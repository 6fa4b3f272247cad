"""FIFO lines, byte for byte."""

from __future__ import annotations

from fastha.model import RealServer, VirtualServer
from fastha.scripts import lines

V4 = VirtualServer(ip="10.0.0.1", port=80)
RS = RealServer(ip="10.2.0.11", port=8080)


def test_servers() -> None:
    assert lines.encode(lines.virtual_server(V4, True), "lvs") == b"VS [10.0.0.1]:tcp:80 UP\n\0"
    assert (
        lines.encode(lines.real_server(V4, RS, False), "lvs") == b"RS [10.2.0.11]:tcp:8080 [10.0.0.1]:tcp:80 DOWN\n\0"
    )
    six = VirtualServer(ip="2001:db8::1", port=53, protocol="UDP", family="inet6")
    assert lines.virtual_server(six, False) == "VS [2001:db8::1]:udp:53 DOWN"
    assert lines.virtual_server(VirtualServer(fwmark=7), True) == "VS FWM 7 UP"
    assert lines.virtual_server(VirtualServer(group="web", protocol="TCP"), True) == "VS [web]:0 UP"
    assert lines.real_server(VirtualServer(group="web"), RS, True) == "RS [10.2.0.11]:tcp:8080 [web]:0 UP"


def test_instances() -> None:
    """The captured sample of the reference."""
    said = [
        lines.group("G", "BACKUP"),
        lines.instance("V", "BACKUP", 150),
        lines.instance("V", "MASTER", 150),
        lines.group("G", "MASTER"),
    ]
    assert b"".join(lines.encode(line, "vrrp") for line in said) == (
        b'GROUP "G" BACKUP 0\nINSTANCE "V" BACKUP 150\nINSTANCE "V" MASTER 150\nGROUP "G" MASTER 0\n'
    )
