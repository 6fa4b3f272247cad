"""What the nft dataplane refuses, notes, and says when there is no library."""

from __future__ import annotations

import errno
import re
from dataclasses import replace
from typing import Any

import pytest

from fastha.dataplane import nft_library
from fastha.dataplane.nft_library import Library, refusal
from fastha.dataplane.nft_limits import notes, refuse
from fastha.errors import SystemFault
from fastha.model import RealServer, SorryServer, VirtualServer

REAL = RealServer(ip="198.51.100.1", port=80)
PLAIN = VirtualServer(ip="192.0.2.1", port=80, scheduler="rr", real_servers=(REAL,))


def test_what_it_carries() -> None:
    assert refuse(PLAIN) == notes(PLAIN) == ""
    assert refuse(replace(PLAIN, protocol="UDP", scheduler="mh", scheduler_flags=("mh-port", "mh-fallback"))) == ""
    six = replace(PLAIN, ip="2001:db8::1", family="inet6", real_servers=(replace(REAL, ip="2001:db8::2"),))
    assert refuse(six) == ""


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"forward": "DR"}, "DR"),
        ({"forward": "TUN"}, "TUN"),
        ({"fwmark": 7, "ip": "", "port": 0}, "mark"),
        ({"protocol": "SCTP"}, "SCTP"),
        ({"port": 0}, "port 0"),
        ({"scheduler": "lblcr"}, "'lblcr'"),
        ({"scheduler_flags": ("ops",)}, "ops"),
        ({"persistence_timeout_s": 300}, "persistence"),
        ({"persistence_engine": "sip"}, "persistence"),
        ({"real_servers": (REAL, replace(REAL, port=81, uthreshold=5))}, "198.51.100.1:81: .*threshold"),
        ({"real_servers": (replace(REAL, forward="DR"),)}, "198.51.100.1:80: .*DR"),
        ({"real_servers": (replace(REAL, ip="2001:db8::2"),)}, "family"),
        ({"real_servers": (replace(REAL, port=0),)}, "port"),
        ({"sorry_server": SorryServer(ip="127.0.0.1", port=80)}, "127.0.0.1:80: .*loopback"),
        ({"sorry_server": SorryServer(ip="198.51.100.9", port=80, forward="TUN")}, "TUN"),
    ],
)
def test_refusals_say_what_and_whose(change: dict[str, Any], word: str) -> None:
    reason = refuse(replace(PLAIN, **change))
    assert "nft dataplane" in reason
    assert "\n" not in reason
    assert re.search(word, reason), reason


@pytest.mark.parametrize(("scheduler", "acts_as"), [("wlc", "wrr"), ("lc", "rr"), ("sed", "wrr"), ("nq", "wrr")])
def test_approximations_are_told(scheduler: str, acts_as: str) -> None:
    server = replace(PLAIN, scheduler=scheduler)
    assert refuse(server) == ""
    assert f"{server.key}: scheduler {scheduler} acts as {acts_as} " in notes(server)


@pytest.mark.parametrize(
    ("complaint", "code", "text"),
    [
        ("Error: No such file or directory\nlist table ip fastha\n", errno.ENOENT, "No such file or directory"),
        ("/dev/stdin:1:1-3: Error: Could not process rule: Device or resource busy\nx\n^^\n", errno.EBUSY, "Device"),
        ("Error: Could not process rule: Operation not permitted\n", errno.EPERM, "Operation not permitted"),
        ("netlink: Error: cache initialization failed: Operation not permitted\n", errno.EPERM, "Operation not"),
        ("Error: syntax error, unexpected newline\n", errno.EINVAL, "syntax error"),
        ("", errno.EINVAL, "without a reason"),
    ],
)
def test_errno_of_what_the_library_says(complaint: str, code: int, text: str) -> None:
    error = refusal(complaint)
    assert error.errno == code
    assert text in str(error.strerror)
    assert "\n" not in str(error)


def test_missing_library_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nft_library, "LIBRARY", "libnosuchthing.so.1")
    with pytest.raises(SystemFault, match=r"libnosuchthing\.so\.1") as caught:
        Library()
    assert "\n" not in str(caught.value)
