"""Conversations with the real thing: nginx (TLS 1.2 and 1.3, HTTP/2, client certificates), exim, grpcio."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import need
from fastha.checker.ending import Ending
from fastha.checker.talk.recipe import validate
from fastha.cli.main import main
from fastha.model import GrpcCheck, HttpCheck, HttpUrl, Regex, SmtpCheck, SslCheck, Tls
from oracles.real_servers import GrpcServer, certificates, exim, free_port, grpc_health, nginx
from oracles.talks import TalkBench

pytestmark = pytest.mark.interop
BIG = b"".join(b"%07d\n" % i for i in range(100_000))
LOCAL = "127.0.0.1"


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates(tmp_path_factory.mktemp("certs"))


@pytest.fixture(scope="module")
def web(certs: Path) -> Iterator[dict[str, int]]:
    with nginx(certs) as (root, ports):
        (root / "www" / "page").write_bytes(b"all is well\n")
        (root / "www" / "big").write_bytes(BIG)
        (root / "www" / "none").write_bytes(b"")
        yield ports


@pytest.fixture
def bench() -> Iterator[TalkBench]:
    with TalkBench() as b:
        yield b


def get(port: int, path: str = "/page", *, tls: Tls = Tls(), http2: bool = False, http_protocol: str = "1.0",  # noqa: B008
        **url: object) -> SslCheck:  # fmt: skip
    return SslCheck(ip=LOCAL, port=port, urls=(HttpUrl(path=path, **url),), tls=tls, http2=http2,  # type: ignore[arg-type]
                    http_protocol=http_protocol)  # fmt: skip


def digest(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def test_pages(bench: TalkBench, web: dict[str, int]) -> None:
    for http2 in (False, True):
        for protocol in ("1.0", "1.0C", "1.1"):
            good = [
                get(web["tls"], digest=digest(b"all is well\n"), http2=http2, http_protocol=protocol),
                get(web["tls"], "/big", digest=digest(BIG), regex=Regex(pattern="^0099999$", options=("multiline",)),
                    http2=http2, http_protocol=protocol),
                get(web["tls"], "/none", digest=digest(b""), http2=http2, http_protocol=protocol),
                get(web["tls"], "/500", status=((500, 500),), http2=http2, http_protocol=protocol),
            ]  # fmt: skip
            assert [a.ending for a in bench.run(good)] == [Ending.ANSWERED] * 4
        bad = [
            get(web["tls"], "/500", http2=http2),
            get(web["tls"], "/nothing", http2=http2),
            get(web["tls"], digest=digest(b"other"), http2=http2),
            get(web["tls"], regex=Regex(pattern="is (un)well"), http2=http2),
            get(web["tls"], regex=Regex(pattern="all is", negated=True), http2=http2),
        ]
        endings = [Ending.STATUS, Ending.STATUS, Ending.DIGEST, Ending.REGEX, Ending.REGEX]
        answers = bench.run(bad)
        assert [a.ending for a in answers] == endings
        assert [a.detail for a in answers[:2]] == [500, 404]
        assert answers[4].text == "has all is"


def test_plain_http_with_regex(bench: TalkBench, web: dict[str, int]) -> None:
    url = HttpUrl(path="/big", regex=Regex(pattern="0050000"), digest=digest(BIG))
    check = HttpCheck(ip=LOCAL, port=web["plain"], urls=(url,))
    lacking = replace(check, urls=(replace(url, regex=Regex(pattern="zzz")),))
    assert [a.ending for a in bench.run([check, lacking])] == [Ending.ANSWERED, Ending.REGEX]


def test_names(bench: TalkBench, web: dict[str, int]) -> None:
    """nginx says which name came by TLS and by Host; with SNI it picks the server by it."""

    def says(text: str, **more: object) -> SslCheck:
        return get(web["tls"], "/host", regex=Regex(pattern=f"^{text}"), **more)  # type: ignore[arg-type]

    checks = [
        says(r"a\.test HTTP/1\.0  \.$", virtualhost="a.test"),
        says(r"b\.test HTTP/1\.1 c\.test \.$", virtualhost="b.test", tls=Tls(sni="c.test"), http_protocol="1.1"),
        says(r"d\.test HTTP/2\.0 d\.test \.$", virtualhost="d.test", tls=Tls(enable_sni=True), http2=True),
        says(r"127\.0\.0\.1 HTTP/2\.0  \.$", tls=Tls(enable_sni=True), http2=True),
        says(r"named named\.test:443$", virtualhost="named.test:443", tls=Tls(enable_sni=True)),
    ]
    answers = bench.run(checks)
    assert [(a.ending, a.text) for a in answers] == [(Ending.ANSWERED, "")] * 5


def test_verification(bench: TalkBench, web: dict[str, int], certs: Path) -> None:
    ca = str(certs / "ca.pem")

    def ask(port: str, **tls: object) -> tuple[Ending, str]:
        answer = bench.one(get(web[port], tls=Tls(**tls)))  # type: ignore[arg-type]
        return answer.ending, answer.text

    good = Ending.ANSWERED, ""
    assert ask("tls", verify=True, ca=ca, sni="good.test") == good
    assert ask("tls", verify=True, ca=ca, sni="x.apps.test") == good
    assert ask("tls", verify=True, ca=ca) == good, "its address"
    assert ask("tls", verify=True, ca=ca, sni="elsewhere.test", verify_name="good.test") == good
    assert ask("tls", verify=True, ca=ca, sni="x.y.apps.test") == (Ending.CERTIFICATE, "it is not for x.y.apps.test")
    assert ask("tls", verify=True, ca=ca, sni="good.test", verify_name="other.test")[0] is Ending.CERTIFICATE
    assert ask("tls", verify=True, sni="good.test") == (Ending.CERTIFICATE, "unable to get local issuer certificate")
    assert ask("expired", verify=True, ca=ca, sni="good.test") == (Ending.CERTIFICATE, "certificate has expired")
    assert ask("expired", ca=ca)[0] is Ending.ANSWERED, "keepalived never verifies, and so do we unless asked"
    assert ask("tls", verify=True, ca=str(certs / "client.pem"))[0] is Ending.CERTIFICATE
    assert ask("plain")[0] is Ending.TLS


def test_the_end_of_a_certificate_is_a_warning(bench: TalkBench, web: dict[str, int]) -> None:
    slots = [bench.talks.open(get(web["tls"], tls=Tls(expiry_days=days))) for days in (19, 21)]
    slots.append(bench.talks.open(get(web["expired"], tls=Tls(expiry_days=1))))
    for _ in range(3):
        assert all(a.ending is Ending.ANSWERED for a in bench.again(slots))
    texts = sorted(text.split(" (")[0] for _, text in bench.notices)
    assert texts == ["the certificate ends in 19 days", "the certificate has ended"], "once each"
    assert bench.talks.counters()["resumed"] == 0, "a certificate that is to be looked at is shown each time"


def test_client_certificates(bench: TalkBench, web: dict[str, int], certs: Path) -> None:
    def ask(**tls: str) -> tuple[Ending, int]:
        check = get(web["client"], "/who", regex=Regex(pattern="CN=client"), tls=Tls(**tls))
        validate(check)
        answer = bench.one(check)
        return answer.ending, answer.detail

    pem, key = str(certs / "client.pem"), str(certs / "client.key")
    assert ask() == (Ending.STATUS, 400)
    assert ask(certificate=pem, key=key) == (Ending.ANSWERED, 200)
    assert ask(certificate=pem, key=str(certs / "locked.key"), password="sesame") == (Ending.ANSWERED, 200)
    for wrong, text in (
        ({"certificate": pem, "key": str(certs / "locked.key"), "password": "open"}, "cannot be used"),
        ({"certificate": pem, "key": str(certs / "locked.key")}, "cannot be used"),
        ({"certificate": pem, "key": str(certs / "good.key")}, "key values mismatch"),
        ({"certificate": pem + ".gone", "key": key}, "gone: No such file"),
        ({"ca": str(certs / "ca.key")}, "certificates of authorities"),
        ({"ca": str(certs / "no")}, "No such file"),
    ):
        with pytest.raises(ValueError, match=text):
            validate(get(web["client"], tls=Tls(**wrong)))


def test_a_renewed_certificate_is_used_without_a_restart(
    bench: TalkBench, web: dict[str, int], certs: Path, tmp_path: Path
) -> None:
    pem, key = tmp_path / "own.pem", tmp_path / "own.key"
    shutil.copy(certs / "expired.pem", pem)
    shutil.copy(certs / "expired.key", key)
    check = get(web["client"], "/who", tls=Tls(certificate=str(pem), key=str(key)))
    slot = bench.talks.open(check)
    assert bench.again([slot])[0].ending is Ending.STATUS

    def renew(name: str) -> None:
        for path, end in ((pem, "pem"), (key, "key")):
            shutil.copy(certs / f"{name}.{end}", path.with_suffix(".new"))
            os.replace(path.with_suffix(".new"), path)
        time.sleep(1.05)  # files are looked at once a second

    renew("client")
    assert bench.again([slot])[0].ending is Ending.ANSWERED
    key.write_text("nonsense")
    time.sleep(1.05)
    assert bench.again([slot])[0].ending is Ending.ANSWERED
    assert len(bench.warnings) == 1
    assert "what was read before is used" in bench.warnings[0]
    bench.talks.close_slot(slot)


@pytest.mark.parametrize("server", ["tls", "old"])
def test_sessions_are_resumed(bench: TalkBench, web: dict[str, int], server: str) -> None:
    slot = bench.talks.open(get(web[server]))
    for _ in range(5):
        assert bench.again([slot])[0].ending is Ending.ANSWERED
    assert bench.talks.counters()["resumed"] == 4
    verified = bench.talks.open(get(web[server], tls=Tls(expiry_days=1)))
    for _ in range(3):
        bench.again([verified])
    assert bench.talks.counters()["resumed"] == 4


def test_tls_is_ended_properly_if_it_must_be(bench: TalkBench, web: dict[str, int]) -> None:
    answers = bench.run(
        [get(web["tls"], tls_compliant=True), get(web["old"], "/big", tls_compliant=True, http_protocol="1.1")]
    )
    assert [a.ending for a in answers] == [Ending.ANSWERED] * 2


def test_handshakes_wait_in_order(web: dict[str, int]) -> None:
    with TalkBench(handshakes=2) as bench:
        assert all(a.ending is Ending.ANSWERED for a in bench.run([get(web["tls"])] * 60))
        counters = bench.talks.counters()
        assert 0 < counters["handshakes_waited"] <= 58
    with TalkBench(limit=3) as bench:
        assert all(a.ending is Ending.ANSWERED for a in bench.run([get(web["tls"])] * 30))
        assert bench.talks.counters()["waited"] == 27


def test_smtp(bench: TalkBench) -> None:
    with exim() as port, exim("acl_smtp_helo = refuse") as choosy:
        checks = [SmtpCheck(ip=LOCAL, port=p, helo_name="me.test") for p in (port, choosy, free_port())]
        answers = bench.run([*checks, SmtpCheck(ip=LOCAL, port=port)])
    assert [(a.ending, a.detail) for a in answers] == [
        (Ending.ANSWERED, 0), (Ending.REPLY, 550), (Ending.REFUSED, 111), (Ending.ANSWERED, 0),
    ]  # fmt: skip
    assert answers[1].text == "550 not you"


@pytest.fixture(scope="module")
def health(certs: Path) -> Iterator[GrpcServer]:
    with grpc_health(certs) as server:
        yield server


def test_grpc_health(bench: TalkBench, health: GrpcServer, certs: Path, web: dict[str, int]) -> None:
    ca = str(certs / "ca.pem")
    clear = GrpcCheck(ip=LOCAL, port=health.clear)
    tls = replace(clear, port=health.tls, tls=Tls(verify=True, ca=ca, sni="good.test"), authority="good.test")
    for check in (clear, tls):
        names = ["", "up", "down", "never heard of"]
        answers = bench.run([replace(check, service=name) for name in names])
        assert [(a.ending, a.text) for a in answers] == [
            (Ending.ANSWERED, ""),
            (Ending.ANSWERED, ""),
            (Ending.REPLY, "NOT_SERVING"),
            (Ending.REPLY, answers[3].text),
        ]
        assert answers[3].text.startswith("NOT_FOUND")
    slot = bench.talks.open(replace(clear, service="turning"))
    for status, ending in (("SERVING", Ending.ANSWERED), ("NOT_SERVING", Ending.REPLY), ("SERVING", Ending.ANSWERED)):
        health.set("turning", status)
        assert bench.again([slot])[0].ending is ending
    bench.talks.close_slot(slot)
    others = bench.run(
        [
            replace(tls, port=health.clear),
            replace(clear, port=health.tls),
            replace(clear, port=web["plain"]),
            replace(tls, port=web["tls"]),
            replace(tls, port=web["old"]),
        ]
    )
    assert [a.ending for a in others[:1]] == [Ending.TLS]
    assert others[2].ending is Ending.PROTOCOL
    assert others[2].text.startswith("HTTP/1.1 400"), "nginx answers HTTP/2 in clear by HTTP/1"
    assert others[3].ending is Ending.STATUS, "nginx has no such page"
    assert (others[4].ending, others[4].text) == (Ending.TLS, "tlsv1 alert no application protocol")


def test_genhash_is_keepaliveds(web: dict[str, int], capsys: pytest.CaptureFixture[str]) -> None:
    theirs = need.tool("genhash")
    for page in ("/page", "/big", "/none", "/500"):
        for more in (
            ["-p", str(web["plain"])],
            ["-p", str(web["plain"]), "-P", "1.1", "-V", "named.test"],
            ["-S", "-p", str(web["tls"])],
            ["-S", "-I", "-p", str(web["tls"]), "-V", "good.test", "-P", "1.0c"],
            ["-S", "-p", str(web["old"]), "-t", "3"],
        ):
            words = ["-s", LOCAL, "-u", page, *more]
            done = subprocess.run([theirs, *words], check=True, capture_output=True, text=True)
            assert main(["genhash", *words]) == 0
            assert capsys.readouterr().out.split() == done.stdout.split()[-1:], words
            assert main(["genhash", "--json", *words]) == 0
            told = json.loads(capsys.readouterr().out)
            assert [told["digest"]] == done.stdout.split()[-1:]
            assert told["status"] == 200 or page in ("/none", "/500")


def test_genhash_says_what_is_wrong(web: dict[str, int], capsys: pytest.CaptureFixture[str]) -> None:
    def run(*words: str) -> tuple[int, str]:
        try:
            status = main(["genhash", "-s", LOCAL, "-u", "/page", *words])
        except SystemExit as end:
            status = int(end.code or 0)
        said = capsys.readouterr()
        return status, said.err.strip() or said.out

    assert run("-p", str(free_port())) == (1, "fastha: genhash: 127.0.0.1: Connection refused")
    assert run("-p", str(web["plain"]), "-S") == (1, "fastha: genhash: 127.0.0.1: TLS failed: wrong version number")
    assert run("-P", "2", "-p", "1")[0] == 2
    status, text = run("-v", "-p", str(web["plain"]))
    assert status == 0
    assert "HTTP/1.1 200 OK" in text
    assert text.endswith(digest(b"all is well\n") + "\n")
