"""What is built from text that was left unread and from blocks that say the same, beside what is built from every word:
equal models, equal faults at equal places."""

from __future__ import annotations

import os
import random

import pytest

from fastha.config import build as build_module
from fastha.config import native, reader
from fastha.config.alike import Alike
from fastha.config.build import build
from fastha.config.build_real import RealDraft
from fastha.config.keywords import SCRIPT_WORDS, TABLE
from fastha.config.mould import mould
from fastha.errors import Fault, Severity
from fastha.model import Config, HttpCheck, HttpUrl, RealServer, TcpCheck
from unit.test_config_fuzz import Corpus

ROUNDS = 200
VALUES = ["1", "3", "0", "2.5", "x", "10.0.0.9", "2001:db8::9", "80", "on", "off", "/a", "eth0", "99999999999", "tcp",
          "/bin/true", "200 301-303", "NAT", "DR", "TUN", "inet6", '"/bin/sh -c true"', "", "", ""]  # fmt: skip


class Forgetful(Alike):
    """Reads every block, builds every real server."""

    def draft(self, statement, faults):  # type: ignore[no-untyped-def]
        self.bodies.clear()
        return super().draft(statement, faults)

    def cast(self, real: RealDraft, around: int) -> None:
        return None


def slow(text: str, patch: pytest.MonkeyPatch) -> tuple[Config, tuple[Fault, ...]]:
    with patch.context() as p:
        p.setattr(build_module, "Alike", Forgetful)
        return build(reader.read("main", Corpus(text.encode(), []), SCRIPT_WORDS))


def fast(text: str) -> tuple[Config, tuple[Fault, ...]]:
    return build(native.read("main", Corpus(text.encode(), []), SCRIPT_WORDS))


def block(r: random.Random, name: str, depth: int, lines: int) -> list[str]:
    """Lines of the keywords that a block knows, with values that may fit."""
    out = []
    for _ in range(lines):
        word, keyword = r.choice(list(TABLE[name].items()))
        value = f"{word} {r.choice(VALUES)}"
        if r.random() < 0.02:
            value = value[1:]
        if keyword.opens in TABLE:
            if depth:
                out += [value + " {", *block(r, keyword.opens, depth - 1, r.randrange(4)), "}"]
        else:
            out.append(value)
    return out


def address(r: random.Random) -> str:
    return r.choice([f"10.0.{r.randrange(3)}.{r.randrange(60)}"] * 20 + [f"2001:db8::{r.randrange(9):x}", "10.0.0.300"])


def good_check(r: random.Random) -> list[str]:
    return r.choice([
        ["TCP_CHECK {", "connect_timeout 3", "}"],
        ["HTTP_GET {", "url {", "path /x", "}", "}"],
        ["HTTP_GET {", "url {", "path /x", "virtualhost www", "}", "connect_port 81", "url {", "path /y", "}", "}"],
        ["weight 3", "TCP_CHECK {", "}", "TCP_CHECK {", "connect_port 99", "}"],
        [],
    ])  # fmt: skip


def configuration(r: random.Random) -> str:
    """Few ways to write a real server, many real servers."""
    bodies = [good_check(r) if r.random() < 0.7 else block(r, "real_server", 3, r.randrange(5)) for _ in range(3)]
    around = [block(r, "virtual_server", 0, r.randrange(4)) if r.random() < 0.4 else [] for _ in range(2)]
    out = []
    for v in range(r.randrange(1, 6)):
        head = r.choice([f"10.1.0.{v} 80", f"10.1.0.{v}", f"2001:db8:1::{v:x} 80", f"fwmark {v + 1}", "10.1.0.1 80"])
        out += [f"virtual_server {head} {{", "protocol TCP", "lb_algo rr", r.choice(["lb_kind NAT", "lb_kind DR", ""])]
        out += [line for line in r.choice(around) if not line.startswith("real_server")]
        for _ in range(r.randrange(25)):
            at = r.choice(["80"] * 8 + ["81", "", "80 81", "x"])
            lines = [f"real_server {address(r)} {at} {{", *r.choice(bodies), "}"]
            if r.random() < 0.1:
                lines = [" ".join(lines)]
            if r.random() < 0.1:
                lines.insert(1, "# a comment")
            out += lines
        out.append("}")
    return "\n".join(out)


def test_the_fast_way_builds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    seed = int(os.environ.get("FASTHA_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"FASTHA_SEED={seed}")
    r = random.Random(seed)
    cast = 0

    def counting(self: Alike, real: RealDraft, around: int) -> RealServer | None:
        nonlocal cast
        made = original(self, real, around)
        cast += made is not None
        return made

    original = Alike.cast
    for _ in range(int(os.environ.get("FASTHA_ROUNDS", ROUNDS))):
        text = configuration(r)
        expected = slow(text, monkeypatch)
        with monkeypatch.context() as p:
            p.setattr(Alike, "cast", counting)
            got = fast(text)
        assert got[1] == expected[1], text
        assert got[0] == expected[0], text
    assert cast > ROUNDS  # or else nothing was compared


def test_a_fault_is_told_at_every_place() -> None:
    real = "real_server 10.0.0.{} 80 {{\nweight 1\nTCP_CHECK {{\nbindto ::1\n}}\n}}\n"
    text = (
        "virtual_server 10.1.0.1 80 {\nprotocol TCP\nlb_algo rr\nlb_kind NAT\n"
        + "".join(map(real.format, range(9)))
        + "}\n"
    )
    faults = [f for f in fast(text)[1] if f.severity is Severity.ERROR]
    assert [f.line for f in faults] == [8 + 6 * i for i in range(9)]


def test_a_mould_is_made_of_addresses_alone() -> None:
    def server(ip: str, **more: object) -> RealServer:
        url = HttpUrl(path="/", virtualhost=f"[{ip}]:80")
        checks = (TcpCheck(ip=ip, port=80), HttpCheck(ip="10.9.9.9", port=80, urls=(url,)))
        return RealServer(ip=ip, port=80, checks=checks, **more)  # type: ignore[arg-type]

    cast = mould(server("10.0.0.1"), "10.0.0.1", server("10.0.0.2"), "10.0.0.2")
    assert cast is not None
    assert cast("10.0.0.33") == server("10.0.0.33")
    assert mould(server("10.0.0.1"), "10.0.0.1", server("10.0.0.2", weight=2), "10.0.0.2") is None
    assert mould("10.0.0.1 10.0.0.1", "10.0.0.1", "10.0.0.2 10.0.0.2", "10.0.0.2") is None
    assert mould(("a",), "1", ("a", "b"), "2") is None
    assert mould(1, "1", True, "2") is None
    assert mould(1, "1", 2, "2") is None
