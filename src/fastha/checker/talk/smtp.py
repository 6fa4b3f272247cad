"""SMTP_CHECK (RFC 5321): 220, HELO, 2xx, QUIT. Pure.

    <- 220 mail.example.com ESMTP           anything but 220: not accepted
    -> HELO director.example.com
    <- 250 ...                              anything but 2xx: not accepted
    -> QUIT
    <- 221 ...                              or the end of the connection: the server is well

Replies may have several lines, `250-` but for the last (section 4.2.1).
"""

from __future__ import annotations

import re

from fastha.checker.ending import Ending
from fastha.checker.talk.talk import Verdict, said

LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.S)  # RFC 5321 section 4.2: Reply-line
MOST_LINE = 4096  # section 4.5.3.1.5 says 512
MOST_REPLY = 65536


class Smtp:
    """Send nothing before the greeting (section 3.1). `name`: what HELO says."""

    handshaking = False

    def __init__(self, name: str) -> None:
        self.verdict: Verdict | None = None
        self._steps = [(b"220", f"HELO {name}\r\n".encode()), (b"2", b"QUIT\r\n"), (b"2", b"")]
        self._line = bytearray()
        self._bytes = 0  # of this reply
        self._code = b""

    def begin(self) -> bytes:
        return b""

    def receive(self, data: bytes) -> bytes:
        out = b""
        while data and self.verdict is None:
            line, newline, data = data.partition(b"\n")
            self._line += line
            self._bytes += len(line) + 1
            if len(self._line) > MOST_LINE or self._bytes > MOST_REPLY:
                self.verdict = Verdict(Ending.TOO_LONG, 0, said(self._line))
            elif newline:
                out += self._reply_line(bytes(self._line).rstrip(b"\r"))
                self._line.clear()
        return out

    def end(self) -> bytes:
        if self.verdict is None:
            quitting = len(self._steps) == 1 and not self._line and not self._code
            self.verdict = Verdict(Ending.ANSWERED) if quitting else Verdict(Ending.SHORT, 0, said(self._line))
        return b""

    def _reply_line(self, line: bytes) -> bytes:
        match = LINE.fullmatch(line)
        if match is None or (self._code and match[1] != self._code):
            self.verdict = Verdict(Ending.PROTOCOL, 0, said(line))
            return b""
        if match[2] == b"-":
            self._code = match[1]
            return b""
        self._code, self._bytes = b"", 0
        wanted, answer = self._steps.pop(0)
        if not match[1].startswith(wanted):
            self.verdict = Verdict(Ending.REPLY, int(match[1]), said(line))
        elif not self._steps:
            self.verdict = Verdict(Ending.ANSWERED)
        return answer if self.verdict is None else b""
