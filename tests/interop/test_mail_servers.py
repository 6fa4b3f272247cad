"""The process that sends, with exim and with a server that is hostile; and the queue before it."""

from __future__ import annotations

import email
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from email import policy
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

import need
from fastha.log import Log
from fastha.model import GlobalDefs, MailDefs
from fastha.parent.loop import Loop
from fastha.parent.mail import Post, Times
from fastha.scripts.letters import CHANGE
from oracles.hostile_proxy import ENDS, HostileProxy
from oracles.real_servers import certificates, exim_post, free_port, listens
from walk.seeds import walk

pytestmark = pytest.mark.root
MS = 1_000_000
TO = ("ops@example.com", "On Call <oncall@example.com>")


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates(tmp_path_factory.mktemp("certs"))


@pytest.fixture(scope="module")
def server(certs: Path) -> Iterator[tuple[int, int, Path]]:
    with exim_post(certs) as found:
        yield found


@pytest.fixture(scope="module")
def locked(certs: Path) -> Iterator[tuple[int, int, Path]]:
    """One that takes nothing from strangers."""
    with exim_post(certs, must_log_in=True) as found:
        yield found


def send(defs: MailDefs, *subjects: str, **more: Any) -> list[tuple[int, str, str]]:
    """What the process says of each letter."""
    letters = [
        {"number": n, "wall": 1.5 * n, "subject": subject, "text": "=> it <=\n.\n\nwhy"}
        for n, subject in enumerate(subjects, 1)
    ]
    job = json.dumps({"defs": asdict(defs), "letters": letters}).encode()
    done = subprocess.run(
        [sys.executable, "-P", "-m", "fastha.mail"], input=job, capture_output=True, timeout=60, check=True, **more
    )
    assert not done.stderr, done.stderr.decode()
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def came(folder: Path, who: str, subject: str) -> Message:
    """The mail with this subject; exim hands it over in a moment."""
    found: list[Message] = []

    def there() -> bool:
        for path in folder.glob("new/*"):
            mail = email.message_from_bytes(path.read_bytes(), policy=policy.default)
            if (mail["Subject"], mail["Envelope-to"]) == (subject, f"{who}@example.com"):
                found.append(mail)
        return bool(found)

    need.wait_until(there, 20, f"{subject} comes")
    assert len(found) == 1
    return found[0]


def test_clear(server: tuple[int, int, Path]) -> None:
    port, _, folder = server
    defs = MailDefs(to=TO, port=port, sender="Director <director@example.com>", helo="me.test")
    names = [f"[lvs1] clear {n}" for n in range(3)]
    assert send(defs, *names) == [(1, "sent", ""), (2, "sent", ""), (3, "sent", "")]
    for who in ("ops", "oncall"):
        mail = came(folder, who, names[1])
        assert mail["From"] == "Director <director@example.com>"
        assert mail["Date"] is not None
        assert "me.test" in mail["Received"]
        assert "esmtp" in mail["Received"]
        assert mail.get_payload() == "=> it <=\n.\n\nwhy\n"


@pytest.mark.parametrize("tls", ["opportunistic", "starttls", "implicit"])
def test_over_tls(server: tuple[int, int, Path], certs: Path, tls: str) -> None:
    port, encrypted, folder = server
    defs = MailDefs(
        to=TO[:1], server="localhost", port=encrypted if tls == "implicit" else port, tls=tls, verify=True,
        verify_name="good.test", ca=str(certs / "ca.pem"), timeout_ns=5000 * MS,
    )  # fmt: skip
    assert send(defs, f"by {tls}") == [(1, "sent", "")]
    assert "TLS" in came(folder, "ops", f"by {tls}")["Received"]
    ((_, what, why),) = send(replace(defs, verify_name="bad.test"), "by nobody")
    assert what == "later"
    assert "bad.test" in why
    ((_, what, why),) = send(replace(defs, ca=""), "by nobody")
    assert (what, "certificate verify failed" in why) == ("later", True)
    assert send(replace(defs, ca="", verify=False), f"by {tls}, to whomever") == [(1, "sent", "")]
    ((_, what, why),) = send(replace(defs, ca=str(certs / "none.pem")), "by nobody")
    assert (what, "none.pem" in why or "No such file" in why) == ("later", True)


def test_starttls_is_not_taken_off(tmp_path: Path) -> None:
    """A server, or somebody between, that does not offer it gets nothing, or gets it in clear, as it is said."""
    port, sink = free_port(), tmp_path / "mail"
    script = Path(__file__).parent.parent / "oracles" / "mail_sink.py"
    with subprocess.Popen([sys.executable, script, "127.0.0.1", str(port), sink]) as process:
        try:
            need.wait_until(lambda: listens(port), 10, "it listens")
            defs = MailDefs(to=TO, port=port, tls="starttls")
            ((_, what, why),) = send(defs, "secret")
            assert (what, "STARTTLS" in why) == ("later", True)
            assert not sink.exists()
            assert send(replace(defs, tls="opportunistic"), "known") == [(1, "sent", "")]
            assert len(sink.read_text().splitlines()) == 1
        finally:
            process.terminate()


def test_log_in(locked: tuple[int, int, Path], certs: Path, tmp_path: Path) -> None:
    port, _, folder = locked
    defs = MailDefs(to=TO[:1], port=port, tls="starttls", verify=True, ca=str(certs / "ca.pem"))
    ((_, what, why),) = send(defs, "not logged in")
    assert (what, "log in first" in why) == ("refused", True)
    known = replace(defs, user="director", password="open sesame")
    assert send(known, "logged in") == [(1, "sent", "")]
    assert "esmtpsa" in came(folder, "ops", "logged in")["Received"]
    ((_, what, why),) = send(replace(known, password="wrong"), "wrong")
    assert (what, "535" in why) == ("later", True)
    assert "wrong" not in why
    secret = tmp_path / "password"
    secret.write_text("open sesame\nnothing else counts\n")
    secret.chmod(0o600)  # the process reads it before it is nobody
    assert send(replace(known, password="", password_file=str(secret)), "from a file") == [(1, "sent", "")]
    ((_, what, why),) = send(replace(known, password="", password_file=str(tmp_path / "none")), "from none")
    assert (what, why) == ("later", f"{tmp_path}/none: No such file or directory")


def test_refused(server: tuple[int, int, Path]) -> None:
    port, _, folder = server
    defs = MailDefs(to=("ops@example.com", "nobody@example.com"), port=port)
    ((_, what, why),) = send(defs, "for some")
    assert (what, why) == ("sent", "nobody@example.com: 550 no such user")
    came(folder, "ops", "for some")
    found = send(replace(defs, to=("nobody@example.com",)), "one", "two")
    assert [what for _, what, _ in found] == ["refused", "refused"]  # and the second is still tried
    found = send(replace(defs, to=("later@example.com",)), "one", "two")
    assert found == [(1, "later", "later@example.com: 451 come back later")] or found[0][1] == "later"
    assert len(found) == 1  # nothing overtakes it
    ((_, what, why),) = send(replace(defs, port=free_port()), "nobody listens")
    assert (what, "refused" in why) == ("later", True)
    ((_, what, _),) = send(replace(defs, server="nowhere.invalid"), "no such name")
    assert what == "later"


def test_it_is_nobody(server: tuple[int, int, Path]) -> None:
    """While it talks it has no privilege: seen by who it is while a server keeps it waiting."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        defs = MailDefs(to=TO, port=sock.getsockname()[1], timeout_ns=20_000 * MS)
        job = {"defs": asdict(defs), "letters": [{"number": 1, "wall": 1.0, "subject": "s", "text": "t"}]}
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "fastha.mail"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            process.stdin.write(json.dumps(job).encode())
            process.stdin.close()
            peer, _ = sock.accept()
            status = Path(f"/proc/{process.pid}/status").read_text()
            peer.close()
            assert process.stdout is not None
            assert b"later" in process.stdout.read()
    ids = {line.split()[0]: line.split()[1:] for line in status.splitlines()}
    assert "0" not in ids["Uid:"]
    assert "0" not in ids["Gid:"]
    assert ids["Groups:"] == []
    assert int(ids["CapEff:"][0], 16) == 0


class Office:
    """The queue and its real process, with little patience."""

    def __init__(self, defs: MailDefs, folder: Path, **times: int) -> None:
        self.loop = Loop()
        self.log = folder / "log"
        self._file = self.log.open("wb")
        log = Log("test", fd=self._file.fileno(), syslog="", journal="")
        self.longest_ns = 0
        quick = Times(gather_ns=MS, again_ns=20 * MS, last_again_ns=40 * MS, **times)
        self.post = Post(self.loop, log, times=quick)
        self.post.configure(GlobalDefs(router_id="lvs1", mail=defs))

    def until(self, condition: Any, deadline_s: float = 60) -> None:
        end = time.monotonic() + deadline_s
        self.loop.take_longest_ns()
        while not condition():
            assert time.monotonic() < end, (self.post.facts(), self.log.read_text())
            self.loop.turn(0.05)
        self.longest_ns = max(self.longest_ns, self.loop.take_longest_ns())

    def close(self) -> None:
        self.post.close()
        self.loop.close()
        self._file.close()


def test_a_server_that_is_ruined(server: tuple[int, int, Path], tmp_path: Path) -> None:
    """Between us and exim is somebody who ruins the talk somewhere, a few times; then he lets it pass. Whatever he did,
    each letter arrives (some of them twice: who does not hear that it was taken must ask again), in their order."""
    port, _, folder = server
    rng: random.Random = walk("ruined")
    with HostileProxy(port, rng) as proxy:
        defs = MailDefs(to=TO[:1], port=proxy.port, timeout_ns=300 * MS)
        office = Office(defs, tmp_path, silence_ns=10_000 * MS)
        try:
            names = []
            for number, end in enumerate(ENDS):
                proxy.plans.append((rng.randrange(400), end))
                names.append(f"ruined {number} {rng.getrandbits(32)}")
                office.post.take(CHANGE, names[-1], "text")
                sent = office.post.counts["sent"]
                office.until(lambda sent=sent: sum(office.post.counts.values()) > sent and not office.post.busy)
            facts = office.post.facts()
            assert facts["waiting"] == facts["dropped"] == 0
            # A 5yz made of noise or of a flipped bit is what the server said, for all we can know.
            assert facts["sent"] + facts["failed"] == len(names)
            assert facts["failed"] <= 4
            assert len(office.log.read_text().splitlines()) <= 2 * len(names)
        finally:
            office.close()

    def arrived() -> set[str]:
        paths = list(folder.glob("new/*"))
        return {email.message_from_bytes(p.read_bytes(), policy=policy.default)["Subject"] for p in paths}

    need.wait_until(lambda: len(arrived() & {f"[lvs1] {n}" for n in names}) >= facts["sent"], 20, "what was sent came")


@contextmanager
def speaker(*said: bytes, again: bytes = b"") -> Iterator[int]:
    """A server that says these one after another, whatever it hears, and `again` without end."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        over = threading.Event()

        def talk(peer: socket.socket) -> None:
            with peer:
                try:
                    for text in said:
                        peer.sendall(text)
                        peer.recv(4096)
                    while again and not over.is_set():
                        peer.sendall(again)
                        if len(again) < 10:
                            over.wait(0.05)
                    over.wait(60)
                except OSError:
                    pass

        def serve() -> None:
            while True:
                try:
                    peer, _ = sock.accept()
                except OSError:
                    return
                threading.Thread(target=talk, args=(peer,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield int(sock.getsockname()[1])
        finally:
            over.set()
            sock.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("said", "again", "why"),
    [
        ((), b"", "timed out"),  # it says nothing at all
        ((b"220 hello\r\n",), b"", "timed out"),
        ((), b"220-" + 1000 * b"x" + b"\r\n", "does not end its answer"),
        ((), b"x" * 100_000, "Line too long"),
        ((b"554 go away\r\n",), b"", "554 go away"),
        ((b"220 hello\r\n", b"250-" + 60 * b"SIZE \r\n250-" + b"X\r\n250 Y\r\n"), b"", "timed out"),
        ((b"220 hello\r\n", b"250 \x1b[2J\xff\xfe\r\n", b"421 \x1b[31mno\r\n"), b"", "421"),
    ],
)
def test_hostile_words(said: tuple[bytes, ...], again: bytes, why: str) -> None:
    with speaker(*said, again=again) as port:
        ((_, what, text),) = send(MailDefs(to=TO, port=port, timeout_ns=500 * MS), "s")
    assert what == "later"
    assert why in text
    assert len(text) <= 500


def test_a_server_that_drips(tmp_path: Path) -> None:
    """Each byte comes in time, and the answer never does: the parent has its own patience, and stops no turn of its
    loop for it."""
    with speaker(again=b"2") as port:
        defs = MailDefs(to=TO, port=port, timeout_ns=1000 * MS)
        office = Office(defs, tmp_path, silence_ns=1500 * MS, life_ns=5000 * MS)
        try:
            office.post.take(CHANGE, "s", "text")
            office.until(lambda: "nothing came of it" in office.post.facts().get("trouble", ""))
            office.until(lambda: office.post.counts["failed"] == 1)
            assert office.post.facts()["waiting"] == 0
            assert office.longest_ns < 500 * MS
            assert len(office.log.read_text().splitlines()) == 2
        finally:
            office.close()


def test_the_parent_loads_none_of_it() -> None:
    code = "import fastha.parent.daemon, sys; print(sorted({'ssl', 'smtplib', 'email'} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout == "[]\n"
