"""One session with the mail server, by smtplib (shell). A server that says too much, or too slowly, ends it."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from typing import Any, BinaryIO

from fastha.model import MailDefs
from fastha.model.units import NS_PER_S

REPLY_BYTES = 1 << 16  # of one answer, however many lines


class Trust(ssl.SSLContext):
    """A client's context. `name`: what the certificate must have, whatever the server is called; "": that."""

    name: str = ""

    def wrap_socket(self, *args: Any, server_hostname: Any = None, **more: Any) -> ssl.SSLSocket:
        more["server_hostname"] = self.name or server_hostname
        return super().wrap_socket(*args, **more)


def trust(defs: MailDefs) -> Trust:
    """OSError or ssl.SSLError if the authorities cannot be read."""
    context = Trust(ssl.PROTOCOL_TLS_CLIENT)
    context.name = defs.verify_name
    if not defs.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif defs.ca:
        context.load_verify_locations(defs.ca)
    else:
        context.load_default_certs()
    return context


class _Answers:
    """The file of a connection, which reads no more of one answer than REPLY_BYTES."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.left = REPLY_BYTES

    def readline(self, limit: int) -> bytes:
        line = self._file.readline(limit)
        self.left -= len(line)
        if self.left < 0:
            raise OSError("the server does not end its answer")
        return line

    def close(self) -> None:
        self._file.close()


class _Bounded:
    """`getreply` of smtplib.SMTP, bounded."""

    file: Any
    sock: Any

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None:
            self.file = _Answers(self.sock.makefile("rb"))
        self.file.left = REPLY_BYTES
        return super().getreply()  # type: ignore[misc,no-any-return]


class Clear(_Bounded, smtplib.SMTP):
    """May become TLS by STARTTLS."""


class Encrypted(_Bounded, smtplib.SMTP_SSL):
    """TLS from the first byte."""


def connect(defs: MailDefs, context: Trust | None, password: str, host: str) -> smtplib.SMTP:
    """Connected, greeted, encrypted and logged in as `defs` says. `context`: for TLS; `host`: our name. Whatever
    smtplib, ssl and sockets raise."""
    timeout_s = defs.timeout_ns / NS_PER_S
    name = defs.helo or host
    if defs.tls == "implicit":
        smtp: smtplib.SMTP = Encrypted(defs.server, defs.port, name, timeout=timeout_s, context=context)
    else:
        smtp = Clear(defs.server, defs.port, name, timeout=timeout_s)
    try:
        smtp.ehlo_or_helo_if_needed()
        if defs.tls == "starttls" or (defs.tls == "opportunistic" and smtp.has_extn("starttls")):
            smtp.starttls(context=context)
            smtp.ehlo_or_helo_if_needed()
        if defs.user:
            smtp.login(defs.user, password)
    except BaseException:
        smtp.close()
        raise
    return smtp


def send(smtp: smtplib.SMTP, sender: str, to: Sequence[str], message: bytes) -> dict[str, tuple[int, bytes]]:
    """{recipient that was refused: answer}. Whatever smtplib raises."""
    return smtp.sendmail(sender, to, message)
