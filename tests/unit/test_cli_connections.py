"""Active connections join the picture: which services a virtual server has, and what is added where."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from fastha.cli import connections
from fastha.cli.connections import Connections, services
from fastha.dataplane.rows import ServiceKey

IN, IN6 = socket.AF_INET, socket.AF_INET6


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (ServiceKey(IN, 6, "10.0.0.1", 80), "10.0.0.1:80/tcp"),
        (ServiceKey(IN6, 17, "2001:db8::1", 53), "[2001:db8::1]:53/udp"),
        (ServiceKey(IN, 132, "10.0.0.1", 0), "10.0.0.1:0/sctp"),
        (ServiceKey(IN, 0, fwmark=7), "fwmark 7/inet"),
        (ServiceKey(IN6, 0, fwmark=7), "fwmark 7/inet6"),
    ],
)
def test_a_name_means_its_service(key: ServiceKey, name: str) -> None:
    assert str(key) == name  # what the daemon calls it
    assert services(name, {}) == [key]


def test_a_group_has_one_for_each_address_and_mark() -> None:
    members = [
        ["10.0.0.1", "10.0.0.3", 80, 0, "inet"],
        ["", "", 0, 9, "inet6"],
        ["10.0.0.1", "10.0.0.1", 80, 0, "inet"],
    ]
    assert services("group web/tcp", {"members": members}) == [
        *(ServiceKey(IN, 6, f"10.0.0.{n}", 80) for n in (1, 2, 3)), ServiceKey(IN6, 0, fwmark=9),
    ]  # fmt: skip
    assert services("group web/tcp", {"members": members[:1], "mark": 5}) == [ServiceKey(IN, 0, fwmark=5)]


def test_what_the_daemon_does_not_say_is_nothing() -> None:
    assert services("nonsense", {}) == []


class Table:
    """A kernel's table: two servers of one service have connections."""

    def __init__(self) -> None:
        self.asked: list[set[ServiceKey]] = []

    def counters(self, keys: set[ServiceKey]) -> dict[tuple[ServiceKey, str], dict[str, int]]:
        self.asked.append(keys)
        key = ServiceKey(IN, 6, "10.0.0.1", 80)
        return {(key, "10.2.0.1:80"): {"active": 3}, (key, "10.2.0.2:80"): {"active": 0}, (key, "10.2.0.3:80"): {}}


def answer(backend: str = "ipvs", **dataplane: str) -> dict[str, Any]:
    real = {f"10.2.0.{n}:80": {"in_table": 1} for n in (1, 2, 3, 4)}
    real["10.2.0.9:80"] = {}
    servers = {"10.0.0.1:80/tcp": {"real_servers": real}}
    checker = {"dataplane": {"backend": backend, **dataplane}, "virtual_servers": servers}
    return {"daemon": {"children": {}}, "checker": checker}


def active(doc: dict[str, Any]) -> list[int | None]:
    return [one.get("active") for one in doc["checker"]["virtual_servers"]["10.0.0.1:80/tcp"]["real_servers"].values()]


def test_what_the_kernel_counts_is_added_and_paced(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table()
    monkeypatch.setattr(connections, "open_backend", lambda _name: table)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(connections, "entered", lambda _path: Here())
    clock = [100.0]

    def monotonic() -> float:
        clock[0] += 0.5  # a look takes half a second
        return clock[0]

    monkeypatch.setattr("time.monotonic", monotonic)
    reader = Connections()
    assert active(reader.add(answer())) == [3, 0, None, None, None]
    assert active(reader.add(answer())) == [3, 0, None, None, None]
    assert len(table.asked) == 1  # the second look was too soon
    clock[0] += 11
    reader.add(answer())
    assert len(table.asked) == 2
    assert active(Connections().add(answer("none"))) == [None] * 5


class Here:
    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def test_without_privilege_the_picture_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert active(Connections().add(answer())) == [None] * 5


def test_they_are_read_where_the_table_is(monkeypatch: pytest.MonkeyPatch) -> None:
    paths: list[str] = []

    def entering(path: str) -> Here:
        paths.append(path)
        return Here()

    monkeypatch.setattr(connections, "open_backend", lambda _name: Table())
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(connections, "entered", entering)
    Connections().add(answer())
    Connections().add(answer(namespace="/run/netns/other"))
    assert paths == ["/proc/self/ns/net", "/run/netns/other"]
