"""Mail of the whole daemon, beside that of Debian's keepalived for the same events."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import need
from fastha.cli.client import NoAnswer, ask
from fastha.lab.netns import Namespace
from fastha.lab.network import Network
from netns.vrrp_director import Keepalived

FASTHA = (sys.executable, "-m", "fastha.cli")
SINK = Path(__file__).parent.parent / "oracles" / "mail_sink.py"
MAIL = """
global_defs {
    router_id lvs1
    notification_email {
        a@example.com
        Bee@example.com
    }
    notification_email_from director@example.com
    smtp_server 127.0.0.1 2525
    smtp_helo_name me.test
    smtp_connect_timeout 2
    MORE
}
"""
VRRP = """
vrrp_sync_group VG {
    smtp_alert
    group {
        VI_1
    }
}
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id VRID
    version 3
    advert_int 0.2
    smtp_alert
    virtual_ipaddress {
        10.9.0.100/32
    }
}
vrrp_instance silent {
    interface eth0
    virtual_router_id 1VRID
    version 3
    advert_int 0.2
    virtual_ipaddress {
        10.9.0.101/32
    }
}
"""
# Two real servers that mail, as all do, and one that does not.
SERVERS = """
virtual_server 10.9.0.100 80 {
    protocol TCP
    lb_algo rr
    lb_kind NAT
    delay_loop 0.1
    smtp_alert
    real_server 10.9.0.1 8001 {
        MISC_CHECK {
            misc_path "/bin/sh -c '. FOLDER/one'"
            warmup 0
            misc_timeout 5
        }
        MISC_CHECK {
            misc_path "/bin/sh -c '. FOLDER/two'"
            warmup 0
            misc_timeout 5
        }
    }
}
virtual_server 10.9.0.100 81 {
    protocol TCP
    lb_algo rr
    lb_kind NAT
    delay_loop 0.1
    real_server 10.9.0.1 8002 {
        smtp_alert off
        MISC_CHECK {
            misc_path "/bin/sh -c '. FOLDER/one'"
            warmup 0
            misc_timeout 5
        }
    }
}
"""


class Sink:
    """A mail server in a namespace, and what it has got."""

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        self.file = folder / f"mail-{namespace.name}"
        namespace.ip("link set lo up")
        self.process = namespace.popen([sys.executable, "-S", SINK, "127.0.0.1", "2525", self.file])
        need.wait_until(
            lambda: ":2525" in namespace.run(["ss", "-Hltn"]).stdout, 20, "the mail server listens"
        )  # fmt: skip

    def mails(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()] if self.file.exists() else []

    def subjects(self) -> list[str]:
        return [header(mail, "Subject") for mail in self.mails()]

    def until(self, count: int, why: str) -> list[str]:
        need.wait_until(lambda: len(self.mails()) >= count, 30, f"{why}: {self.subjects()}", 0.05)
        return self.subjects()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def header(mail: dict[str, Any], name: str) -> str:
    """A header line as it was on the wire, without its name."""
    (line,) = (one for one in mail["lines"][: mail["lines"].index("\r\n")] if one.startswith(f"{name}: "))
    return str(line).removeprefix(f"{name}: ").rstrip("\r\n")


class Daemon:
    def __init__(self, namespace: Namespace, folder: Path, text: str) -> None:
        self.folder, self.control = folder, str(folder / "control.sock")
        self.file = folder / "fastha.conf"
        self.file.write_text(text)
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process: subprocess.Popen[Any] = namespace.popen(
                [*FASTHA, "run", "-f", self.file, "--control", self.control, "--dataplane", "none"],
                stdin=subprocess.DEVNULL,
                stderr=log,
            )

    def mail(self) -> dict[str, Any]:
        with suppress(NoAnswer):
            return dict(ask(self.control, "status")["daemon"]["mail"])
        return {}

    def why(self) -> str:
        """What the first check that fails has found."""
        servers = ask(self.control, "status")["checker"]["virtual_servers"]
        return str(servers["10.9.0.100:80/tcp"]["real_servers"]["10.9.0.1:8001"]["why"])

    def reload(self, text: str) -> None:
        self.file.write_text(text)
        assert ask(self.control, "reload", 30)["ok"]

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait(20) == 0

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def sites(network: Network, tmp_path: Path) -> Iterator[Any]:
    """`sites(name)`: a namespace with an interface and a mail server."""
    sinks: list[Sink] = []

    def make(name: str) -> tuple[Namespace, Sink]:
        namespace = network.namespace(name)
        network.attach(f"lan-{name}", namespace, "eth0", "10.9.0.1/24")
        sinks.append(Sink(namespace, tmp_path))
        return namespace, sinks[-1]

    yield make
    for sink in sinks:
        sink.close()


def test_the_same_mail_as_keepalived(sites: Any, tmp_path: Path) -> None:
    """Start, master, a link that fails and comes back: the same subjects, in the same order for each; the same
    envelope, sender and recipients; the same first line."""
    need.tool("keepalived")
    text = MAIL.replace("MORE", "") + VRRP.replace("VRID", "51")
    ours, our_sink = sites("ours")
    theirs, their_sink = sites("theirs")
    daemon, peer = Daemon(ours, tmp_path, text), Keepalived(theirs, tmp_path, text)
    try:
        for namespace, sink in ((ours, our_sink), (theirs, their_sink)):
            sink.until(4, "backup and master, of both")
            namespace.ip("link set eth0 down")
            sink.until(6, "fault")
            namespace.ip("link set eth0 up")
            sink.until(10, "backup and master again")
    finally:
        daemon.stop()
        peer.stop()
    states = ("BACKUP", "MASTER", "FAULT", "BACKUP", "MASTER")
    for kind in ("Instance VI_1", "Group VG"):
        found, wanted = ([s for s in sink.subjects() if kind in s] for sink in (our_sink, their_sink))
        assert found == wanted == [f"[lvs1] VRRP {kind} - Entering {state} state" for state in states]
    assert len(our_sink.mails()) == len(their_sink.mails()) == 10  # nothing of the end, and nothing of `silent`
    for mail in our_sink.mails():
        same = next(m for m in their_sink.mails() if header(m, "Subject") == header(mail, "Subject"))
        for name in ("From", "To"):
            assert header(mail, name) == header(same, name)
        assert header(mail, "X-Mailer").startswith(header(same, "X-Mailer"))
        assert (mail["helo"], mail["to"]) == (same["helo"], same["to"])
        assert mail["from"].split(" ")[0] == same["from"]  # ours says its size, if the server likes that
        first = mail["lines"].index("\r\n") + 1
        assert mail["lines"][first] == same["lines"][same["lines"].index("\r\n") + 1]
        assert mail["lines"][first + 2].strip()  # and why


def test_servers_and_settings(sites: Any, tmp_path: Path) -> None:
    namespace, sink = sites("ours")
    check = {name: tmp_path / name for name in ("one", "two")}

    def answer(name: str, status: int) -> None:
        fresh = tmp_path / f"{name}.new"
        fresh.write_text(f"echo it is {name}; exit {status}\n")
        os.replace(fresh, check[name])

    for name in check:
        answer(name, 0)
    servers = SERVERS.replace("FOLDER", str(tmp_path))
    daemon = Daemon(namespace, tmp_path, MAIL.replace("MORE", "") + servers)
    real = "[lvs1] Realserver [10.9.0.1]:tcp:8001 of virtual server [10.9.0.100]:tcp:80 - "
    virtual = "[lvs1] Virtualserver [10.9.0.100]:tcp:80 - "
    try:
        assert sink.until(1, "the beginning") == [virtual + "UP"]
        answer("one", 1)
        assert sorted(sink.until(3, "down")[1:]) == [real + "DOWN", virtual + "DOWN"]
        answer("two", 1)
        assert sink.until(4, "the other check fails too")[3] == real + "DOWN"
        answer("two", 0)
        assert sink.until(5, "and works again")[4] == real + "DOWN"
        assert "=> MISC CHECK succeed on service <=\r\n" in sink.mails()[4]["lines"]
        answer("one", 0)
        assert sorted(sink.until(7, "up")[5:]) == [real + "UP", virtual + "UP"]
        # Other settings: no mail about checks alone, and from somebody else.
        text = MAIL.replace("director@", "other@").replace("MORE", "no_checker_emails")
        daemon.reload(text + servers)
        answer("two", 1)
        sink.until(9, "down")
        answer("one", 1)
        need.wait_until(lambda: "it is one" in daemon.why(), 20, "the first check has failed too")
        answer("two", 0)
        answer("one", 0)
        assert sorted(sink.until(11, "up")[9:]) == [real + "UP", virtual + "UP"]
        assert {header(mail, "From") for mail in sink.mails()[7:]} == {"other@example.com"}
        need.wait_until(lambda: daemon.mail().get("sent") == 11, 10, f"all are counted: {daemon.mail()}")
        # The mail server is away: what happens meanwhile arrives once it is back.
        sink.process.kill()
        sink.process.wait()
        answer("one", 1)
        need.wait_until(lambda: daemon.mail().get("trouble"), 20, f"it is noticed: {daemon.mail()}")
        assert daemon.mail()["waiting"] == 2
        assert "Connection refused" in daemon.mail()["trouble"]
        again = Sink(namespace, tmp_path)
        try:
            sink.until(13, "what had to wait comes")
            need.wait_until(lambda: daemon.mail().get("sent") == 13, 10, "and is counted")
            assert daemon.mail()["waiting"] == daemon.mail()["failed"] == daemon.mail()["dropped"] == 0
        finally:
            again.close()
        # Nobody wants mail any more.
        daemon.reload(servers)
        answer("one", 0)
        need.wait_until(
            lambda: daemon.mail().get("recipients") == 0
            and all(s["up"] for s in ask(daemon.control, "status")["checker"]["virtual_servers"].values()),
            20, "it is up again",
        )  # fmt: skip
        daemon.stop()
        assert daemon.log.read_text().count("mail cannot be sent") == 1
        assert len(sink.mails()) == 13
    finally:
        daemon.close()
