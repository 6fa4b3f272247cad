"""`fastha status` for people: aligned, nothing cut off, at 80 columns and without a terminal."""

from __future__ import annotations

from typing import Any

import pytest

from fastha.cli.layout import duration, short_ns, table
from fastha.cli.picture import render

NOW = 1_700_000_000.0
WHY = "TCP_CHECK: connection refused by the other side for the third time in a row"
PICTURE: dict[str, Any] = {
    "daemon": {
        "version": "0.1.0", "state": "running", "pid": 123, "uptime_s": 7300.0,
        "config": {"file": "/etc/keepalived/keepalived.conf", "loaded": NOW - 50},
        "last_reload": {
            "outcome": "refused", "text": "1 error; the running configuration stays", "at": NOW - 20,
            "faults": ["/etc/x:1:2: error: unknown keyword 'virtaul_server' (did you mean virtual_server?)"],
        },
        "children": {
            "vrrp": {"state": "running", "pid": 4711, "uptime_s": 7200.0, "restarts": 1, "lag_ns": 123_456,
                     "rss_kb": 30_000, "last_end": "vrrp[4700] gave no sign of life and was killed (signal 9, Killed)"},
            "checker": {"state": "held", "restarts": 3, "last_end": "checker[1] ended (status 4)"},
        },
    },
    "vrrp": {"instances": {
        "VI_1": {
            "state": "master", "since": NOW - 7000, "why": "no advert from the master within 3.61 s",
            "interface": "eth0", "vrid": 51, "version": 3, "advert_int_ns": 10**8, "priority_base": 150,
            "priority": 130, "master": "192.168.100.1", "addresses": [f"10.0.0.{i}/24" for i in range(1, 14)],
            "holding": False, "faults": [], "sent": 123_456, "received": 3, "discarded": {"ttl": 3, "checksum": 0},
            "late_max_ns": 210_000,
        },
        "VI_2": {"state": "fault", "since": NOW - 7, "why": "eth1 is down", "faults": ["eth1 is down", "no address"]},
    }},
    "bfd": {"sessions": {
        "gateway": {
            "state": "up", "since": NOW - 60, "why": "the neighbour hears us", "neighbor": "2001:db8:1::1",
            "multihop": True, "remote_state": "up", "remote_discriminator": 7, "remote_diag": 3, "tx_us": 3300,
            "detection_us": 16_500, "sent": 1_000_000, "received": 999_999, "late_max_ns": 1_200_000,
            "discarded": {"ttl": 4},
        },
        "other": {"state": "down", "since": NOW - 5, "why": "nothing heard for 50 ms", "neighbor": "10.0.0.2",
                  "remote_state": "down", "remote_discriminator": 0, "tx_us": 0, "detection_us": 0},
    }},
    "checker": {
        "virtual_servers": {
            "10.0.0.1:80/tcp": {
                "up": True, "since": NOW - 700, "quorum": 1, "live_weight": 3, "sorry": True, "scheduler": "rr",
                "forward": "NAT", "real_servers": {
                    "10.1.0.1:80": {"health": "up", "since": NOW - 70, "why": "HTTP_GET /: 200", "weight": 1,
                                    "in_table": 1, "response_ns": 1_234_567},
                    "10.1.0.2:80": {"health": "down", "since": NOW - 7, "why": WHY, "weight": 1, "in_table": None,
                                    "response_ns": None},
                },
            },
        },
        "dataplane": {"backend": "ipvs", "drift": 1, "operations": 12, "errors": 0, "reconciled": NOW - 3},
    },
}  # fmt: skip


def lines(width: int | None, picture: dict[str, Any] = PICTURE) -> list[str]:
    return ["".join(text for text, _ in line) for line in render(picture, NOW, width)]


@pytest.mark.parametrize("width", [80, 100, 140, 250, None])
def test_nothing_is_cut_off_at_any_width(width: int | None) -> None:
    text = lines(width)
    if width is not None:
        assert max(map(len, text)) <= width
    words = " ".join(" ".join(text).split())
    for must in (
        "pid 123 up 2h01m", "loaded 50s ago", "did you mean virtual_server?", "signal 9, Killed", "(status 4)",
        "130 (150)", "192.168.100.1", "123456", "10.0.0.13/24", "eth0 vrid 51 v3 advert 0.1s", "discarded: ttl 3",
        "eth1 is down", "fault: no address", WHY, "1.23ms", "rr NAT; live weight 3, quorum 1; sorry server in use",
        "dataplane ipvs: 12 operations, 0 errors, drift repaired 1",
    ):  # fmt: skip
        assert must in words or must.split()[0] in words, must
    assert not any(line != line.rstrip() for line in text)


def test_each_real_server_is_on_a_line_of_its_own_when_piped() -> None:
    (line,) = (x for x in lines(None) if "10.1.0.2:80" in x)
    assert line.split()[:5] == ["10.1.0.2:80", "down", "7s", "1", "no"]
    assert line.endswith(WHY)


def test_bfd_sessions() -> None:
    text = {line.split()[0]: " ".join(line.split()) for line in lines(None) if line}
    assert text["gateway"] == "gateway up 1m00s 2001:db8:1::1 up 1000000 999999 1.20ms the neighbour hears us"
    assert text["other"] == "other down 5s 10.0.0.2 - - - - nothing heard for 50 ms"
    assert text["multihop,"] == "multihop, sends every 3.30ms, waits 16ms, its diag 3"
    assert "discarded: ttl 4" in " ".join(lines(None))


def test_sync_groups() -> None:
    group = {"state": "fault", "since": NOW - 5, "why": "eth1 is down", "members": ["inside", "outside"]}
    (line,) = (x for x in lines(None, {**PICTURE, "vrrp": {"groups": {"VG_1": group}}}) if "VG_1" in x)
    assert line.split() == ["VG_1", "fault", "5s", "inside", "outside", "eth1", "is", "down"]


def test_what_operators_decided_is_plain() -> None:
    def one(**real: Any) -> dict[str, Any]:
        return {"health": "up", "weight": 1, "weight_from": "configured", "since": NOW - 70, "why": "fine", **real}

    by = {"by": "uid 0", "since": NOW - 20}
    reals = {
        "a": one(in_table=0, active=3, override={"mode": "drain", "state": "draining", "deadline": NOW + 40, **by}),
        "b": one(override={"mode": "drain", "state": "drained", "ended": "no connection was active", **by}),
        "c": one(override={"mode": "disabled", **by}),
        "d": one(weight=7, weight_from="override", in_table=7, override={"mode": "weight", "weight": 7, **by}),
    }
    picture = {
        "daemon": PICTURE["daemon"]
        | {"overrides": [{"virtual_server": "x", "real_server": "y", "mode": "drain", "known": False}]},
        "checker": {
            "virtual_servers": {"v": {"up": True, "real_servers": reals}},
            "dataplane": {"backend": "ipvs", "differed": [{"at": NOW - 9, "text": "add service v"}]},
        },
    }
    text = {line.split()[0]: " ".join(line.split()) for line in lines(None, picture) if line}
    assert text["a"].endswith("DRAINING, 3 active, 40s left, by uid 0 20s ago; fine")
    assert text["b"].endswith("no - - DRAINED, by uid 0 20s ago; fine")
    assert text["c"].endswith("no - - DISABLED, by uid 0 20s ago; fine")
    assert "7 (set) 7" in text["d"]
    assert text["d"].endswith("weight 7, by uid 0 20s ago; fine")
    assert "not in the configuration: x y: drain" in text["decided,"]
    assert text["differed"] == "differed 9s ago: add service v"


def test_a_child_that_reports_nothing_breaks_nothing() -> None:
    bare = {
        "daemon": {**PICTURE["daemon"], "children": {"vrrp": {"state": "waiting"}}, "last_reload": None},
        "vrrp": {"instances": {"VI_1": {}}},
        "bfd": {"sessions": {"gateway": {}}},
        "checker": {"virtual_servers": {"a": {"real_servers": {"b": {}}}}, "dataplane": {"backend": "nft"}},
    }
    assert any("VI_1" in line for line in lines(80, bare))
    assert lines(None, {"daemon": bare["daemon"]})


def test_columns_line_up() -> None:
    rows = table(["A", "B", "C", "WHY"], [["1", "", "x", ""], ["22222", "", "y", "z"]], None)
    text = ["".join(t for t, _ in row) for row in rows]
    assert text == ["A      C  WHY", "1      x", "22222  y  z"], "an empty column disappears"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (59.9, "59s"), (60, "1m00s"), (3599, "59m59s"), (3600, "1h00m"), (86_400 * 12 + 3600 * 4, "12d04h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("ns", "text"), [(None, "-"), (0, "0.00ms"), (123_456, "0.12ms"), (14 * 10**6, "14ms"), (2_345 * 10**6, "2.3s")]
)
def test_short_times(ns: int | None, text: str) -> None:
    assert short_ns(ns) == text
