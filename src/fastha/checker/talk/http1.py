"""HTTP/1.x for SSL_GET, and for HTTP_GET with regex: the reader of the native engine, judged in Python. Pure."""

from __future__ import annotations

from fastha.checker.ending import Ending
from fastha.checker.http import HttpReply
from fastha.checker.talk.body import Judge
from fastha.checker.talk.talk import SAID, Verdict, said

COMPLETE, GARBAGE, TOO_LONG = 1, -1, -2  # http.pxd, http_progress
ENDINGS = {GARBAGE: Ending.GARBAGE, TOO_LONG: Ending.TOO_LONG}


class Http1:
    """One GET."""

    handshaking = False

    def __init__(self, request: bytes, judge: Judge) -> None:
        self.verdict: Verdict | None = None
        self._request = request
        self._judge = judge
        self._reply = HttpReply()
        self._first = b""
        self._status_known = False

    def begin(self) -> bytes:
        return self._request

    def receive(self, data: bytes) -> bytes:
        if len(self._first) < SAID:
            self._first += data[:SAID]
        progress, body = self._reply.take(data)
        if not self._status_known and self._reply.has_status():
            self._status_known = True
            self._settle(self._judge.status(self._reply.status))
        if self.verdict is None and progress in ENDINGS:
            self.verdict = Verdict(ENDINGS[progress], 0, said(self._first))
        if self.verdict is None and body:
            self._settle(self._judge.body(body))
        if self.verdict is None and progress == COMPLETE:
            self._settle(self._judge.end())
        return b""

    def end(self) -> bytes:
        if self.verdict is None:
            whole = self._reply.end()
            self._settle(self._judge.end() if whole else Verdict(Ending.SHORT, self._reply.status, said(self._first)))
        return b""

    def _settle(self, verdict: Verdict | None) -> None:
        if verdict is not None:
            self.verdict = verdict
            if verdict.ending is Ending.STATUS:
                self.verdict = verdict._replace(text=said(self._first))
