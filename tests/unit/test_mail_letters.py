"""Which change makes which mail, and what of it a hostile name can reach: nothing."""

from __future__ import annotations

import email
import smtplib
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage

import pytest

from fastha.mail.compose import Posted, mailbox, message, one_line
from fastha.mail.reply import LATER, REFUSED, judged
from fastha.model import MailDefs, RealServer, VirtualServer
from fastha.scripts import letters
from fastha.scripts.letters import CHANGE, CHECK, FAULT, Letter
from walk.seeds import walk

DEFS = MailDefs(to=("ops@example.com", "On Call <oncall@example.com>"), sender="director@example.com")
WEB = VirtualServer(ip="127.0.0.1", port=80, quorum=2)
REAL = RealServer(ip="127.0.0.2", port=8000)
AT = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("letter", "kind", "subject", "line"),
    [
        # What keepalived 2.2.7 wrote, heard by tests/oracles/mail_sink.py.
        (
            letters.instance("VI_1", "MASTER", ""),
            CHANGE,
            "VRRP Instance VI_1 - Entering MASTER state",
            "=> VRRP Instance is now owning VRRP VIPs <=",
        ),
        (
            letters.instance("VI_1", "FAULT", ""),
            FAULT,
            "VRRP Instance VI_1 - Entering FAULT state",
            "=> VRRP Instance is no longer owning VRRP VIPs <=",
        ),
        (
            letters.group("VG", "BACKUP", ""),
            CHANGE,
            "VRRP Group VG - Entering BACKUP state",
            "=> All VRRP group instances are now in BACKUP state <=",
        ),
        (
            letters.quorum(WEB, True, 2, began=True),
            CHANGE,
            "Virtualserver [127.0.0.1]:tcp:80 - UP",
            "=> Starting with quorum up 2+0=2 <= 2 <=",
        ),
        (
            letters.quorum(VirtualServer(group="GRP"), False, 0),
            CHANGE,
            "Virtualserver [GRP]:0 - DOWN",
            "=> Lost quorum 1+0=1 <= 0 <=",
        ),
        (
            letters.quorum(VirtualServer(fwmark=7), True, 1, began=True),
            CHANGE,
            "Virtualserver FWM 7 - UP",
            "=> Starting with quorum up 1+0=1 <= 1 <=",
        ),
        (
            letters.checked(WEB, REAL, "TCP_CHECK", False, True, "connected", True),
            CHECK,
            "Realserver [127.0.0.2]:tcp:8000 of virtual server [127.0.0.1]:tcp:80 - DOWN",
            "=> TCP CHECK succeed on service <=",
        ),
        (
            letters.checked(WEB, REAL, "MISC_CHECK", False, False, "exit status 1", False),
            CHANGE,
            "Realserver [127.0.0.2]:tcp:8000 of virtual server [127.0.0.1]:tcp:80 - DOWN",
            "=> MISC CHECK failed on service <=",
        ),
    ],
)
def test_as_keepalived_says_it(letter: Letter, kind: str, subject: str, line: str) -> None:
    assert (letter.kind, letter.subject, letter.text.split("\n")[0]) == (kind, subject, line)


@pytest.mark.parametrize("state", ["STOP", "DELETED", "INIT"])
def test_no_mail_of_the_end(state: str) -> None:
    assert letters.instance("VI", state, "") is letters.group("VG", state, "") is None


def parsed(raw: bytes) -> EmailMessage:
    found = email.message_from_bytes(raw, policy=policy.default)
    assert isinstance(found, EmailMessage)
    assert all(line.endswith(b"\r\n") for line in raw.splitlines(True))
    return found


def test_a_whole_message() -> None:
    raw = message(DEFS, Posted(7, 1.5, "[lvs1] Virtualserver FWM 7 - UP", "=> up <=\n\nwhy: ö"), "lvs1", "root", AT)
    lines = raw.decode().split("\r\n")
    assert lines[:5] == [
        "Date: Sat, 31 Jan 2026 23:59:59 +0000",
        "From: director@example.com",
        "Subject: [lvs1] Virtualserver FWM 7 - UP",
        "X-Mailer: Keepalived (fastha)",
        "To: ops@example.com, On Call <oncall@example.com>",
    ]
    mail = parsed(raw)
    assert mail.get_content().splitlines() == ["=> up <=", "", "why: ö"]
    assert mail["Message-ID"] == "<1.500000.7@lvs1>"
    assert parsed(message(MailDefs(to=("root",)), Posted(1, 1.0, "s", "t"), "lvs1", "root", AT))["From"] == "root@lvs1"


def test_a_subject_is_one_line_however_long() -> None:
    name = "VI_" + 150 * "x"
    raw = message(DEFS, Posted(1, 1.0, f"[lvs1] VRRP Instance {name} - Entering MASTER state", "t"), "h", "root", AT)
    assert f"Subject: [lvs1] VRRP Instance {name} - Entering MASTER state\r\n".encode() in raw
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))


def test_nothing_in_a_name_makes_a_header_or_ends_the_message() -> None:
    bits = ["\r\nBcc: all@example.com", "\n", "\r", "\0", "\x0b", "\x85", "\u2028", "\udcff", "=?utf-8?q?x?=", ":", "é",
            "\r\n.\r\n", "\r\n\r\n", "a" * 400, '"', "<", "\\", "日本"]  # fmt: skip
    rng = walk("names")
    for _ in range(300):
        name = "".join(rng.choices(bits, k=rng.randint(0, 8)))
        letter = letters.instance(name, "MASTER", name)
        assert letter is not None
        raw = message(DEFS, Posted(1, 1.0, f"[{name}] {letter.subject}", letter.text), "host\r\nX: y", "root", AT)
        mail = parsed(raw)
        assert sorted(mail.keys()) == [
            "Auto-Submitted", "Content-Transfer-Encoding", "Content-Type", "Date", "From", "MIME-Version", "Message-ID",
            "Subject", "To", "X-Mailer",
        ]  # fmt: skip
        assert mail["To"] == "ops@example.com, On Call <oncall@example.com>"
        assert all(len(line) <= 998 for line in raw.split(b"\r\n"))


def test_mailboxes() -> None:
    assert mailbox("On Call <oncall@example.com>") == "oncall@example.com"
    assert mailbox("root") == "root"
    assert one_line(" a\r\nb\udcff ") == "a b\ufffd"


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (smtplib.SMTPDataError(554, b"no"), REFUSED),
        (smtplib.SMTPDataError(451, b"later"), LATER),
        (smtplib.SMTPSenderRefused(550, b"no", "me"), REFUSED),
        (smtplib.SMTPSenderRefused(421, b"bye", "me"), LATER),
        (smtplib.SMTPSenderRefused(-1, b"nonsense", "me"), LATER),
        (smtplib.SMTPRecipientsRefused({"a": (550, b"no"), "b": (553, b"no")}), REFUSED),
        (smtplib.SMTPRecipientsRefused({"a": (550, b"no"), "b": (450, b"greylisted")}), LATER),
        (smtplib.SMTPAuthenticationError(535, b"wrong password"), LATER),
        (smtplib.SMTPConnectError(554, b"go away"), LATER),
        (smtplib.SMTPNotSupportedError("no STARTTLS"), LATER),
        (ConnectionRefusedError(111, "Connection refused"), LATER),
        (UnicodeEncodeError("ascii", "é", 0, 1, "no"), LATER),
    ],
)
def test_what_an_answer_means(error: Exception, what: str) -> None:
    assert judged(error)[0] == what
    assert "\n" not in judged(error)[1]
