"""SMTP_CHECK, byte by byte."""

from __future__ import annotations

import pytest

from fastha.checker.ending import Ending
from fastha.checker.talk.smtp import Smtp


def talk(replies: list[bytes], piece: int = 0, end: bool = True) -> tuple[Smtp, bytes]:
    """Each reply is given when the one before is answered."""
    smtp = Smtp("me.example.com")
    sent = smtp.begin()
    for reply in replies:
        for at in range(0, len(reply), piece or max(1, len(reply))):
            if smtp.verdict is None:
                sent += smtp.receive(reply[at : at + (piece or len(reply))])
    if end and smtp.verdict is None:
        smtp.end()
    return smtp, sent


@pytest.mark.parametrize("piece", [0, 1, 2, 5])
def test_a_well_server(piece: int) -> None:
    smtp, sent = talk([b"220 mx ready\r\n", b"250 hello\r\n", b"221 bye\r\n"], piece)
    assert sent == b"HELO me.example.com\r\nQUIT\r\n"
    assert smtp.verdict is not None
    assert smtp.verdict.ending is Ending.ANSWERED


def test_replies_of_several_lines() -> None:
    smtp, sent = talk([b"220-mx\r\n220-we log\r\n220 ready\r\n", b"250-mx\n250-SIZE\n250\n", b"221 bye\r\n"])
    assert sent == b"HELO me.example.com\r\nQUIT\r\n"
    assert smtp.verdict is not None
    assert smtp.verdict.ending is Ending.ANSWERED


def test_a_server_that_hangs_up_after_quit_is_well() -> None:
    smtp, _ = talk([b"220 mx\r\n", b"250 hello\r\n"])
    assert smtp.verdict is not None
    assert smtp.verdict.ending is Ending.ANSWERED


@pytest.mark.parametrize(
    ("replies", "ending", "detail", "text"),
    [
        ([b"554 no service\r\n"], Ending.REPLY, 554, "554 no service"),
        ([b"221 going\r\n"], Ending.REPLY, 221, "221 going"),
        ([b"220 mx\r\n", b"421 busy \x1b[2J\r\n"], Ending.REPLY, 421, "421 busy \\x1b[2J"),
        ([b"220 mx\r\n", b"250-x\r\n"], Ending.SHORT, 0, ""),
        ([b"220 m"], Ending.SHORT, 0, "220 m"),
        ([], Ending.SHORT, 0, ""),
        ([b"SSH-2.0-OpenSSH_9.2\r\n"], Ending.PROTOCOL, 0, "SSH-2.0-OpenSSH_9.2"),
        ([b"220-mx\r\n250 other\r\n"], Ending.PROTOCOL, 0, "250 other"),
        ([b"220mx\r\n"], Ending.PROTOCOL, 0, "220mx"),
        ([b"x" * 5000], Ending.TOO_LONG, 0, "x" * 157 + "..."),
        ([b"220-mx\r\n" * 20_000], Ending.TOO_LONG, 0, "220-mx"),
        ([b"\r\n"], Ending.PROTOCOL, 0, ""),
    ],
)
def test_others(replies: list[bytes], ending: Ending, detail: int, text: str) -> None:
    smtp, _ = talk(replies)
    assert smtp.verdict is not None
    assert (smtp.verdict.ending, smtp.verdict.detail) == (ending, detail)
    assert smtp.verdict.text.startswith(text)
