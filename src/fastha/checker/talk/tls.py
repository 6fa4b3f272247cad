"""TLS around another conversation, over memory BIOs. Pure: the peer's bytes go in, ours come out.

A peer that ends the connection without close_notify is taken as having ended it, as keepalived does; with `compliant`
it is not: we say close_notify and wait for the peer's (RFC 8446 section 6.1).
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass

from fastha.checker.ending import Ending
from fastha.checker.talk import certificate
from fastha.checker.talk.talk import Talk, Verdict, said

PIECE = 65536
WHERE = re.compile(r"^\[.*?\] | ?\(\w+\.c:\d+\)$")


def reason(error: ssl.SSLError) -> str:
    """What OpenSSL says, without where in whose source it says so: `wrong version number`."""
    text = error.reason or WHERE.sub("", str(error))
    return said(text.replace("_", " ").lower())


@dataclass(frozen=True, slots=True)
class Terms:
    """What one handshake is to be like. `sni`, `name`: "" none; `name` is compared only when the context verifies."""

    sni: str = ""
    name: str = ""
    alpn: str = ""  # the protocol that must be agreed on
    compliant: bool = False


class TlsTalk:
    """`inner` begins when the handshake is done; its verdict is the verdict, unless TLS fails."""

    def __init__(
        self, context: ssl.SSLContext, terms: Terms, inner: Talk, session: ssl.SSLSession | None = None
    ) -> None:
        """ValueError if `terms.sni` cannot be a name."""
        self.verdict: Verdict | None = None
        self.handshaking = True
        self.peer: bytes | None = None  # its certificate, DER, after the handshake
        self.context = context
        self._terms = terms
        self._inner = inner
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._pending = bytearray()  # what TLS did not take yet
        self._closing = False
        try:
            self._tls = context.wrap_bio(self._in, self._out, server_hostname=terms.sni or None, session=session)
        except (ssl.SSLError, ValueError) as error:
            raise ValueError(f"'{terms.sni}' cannot be sent as a host name ({error})") from None

    @property
    def session(self) -> ssl.SSLSession | None:
        """To be resumed by the next conversation with the same context."""
        return self._tls.session

    @property
    def resumed(self) -> bool:
        return bool(self._tls.session_reused)

    def begin(self) -> bytes:
        self._step()
        return self._out.read()

    def receive(self, data: bytes) -> bytes:
        self._in.write(data)
        self._step()
        return self._out.read()

    def end(self) -> bytes:
        self._in.write_eof()
        self._step()
        if self.verdict is None:
            self.verdict = Verdict(Ending.SHORT)
        return self._out.read()

    def _step(self) -> None:
        """Everything that can be done with what there is."""
        try:
            if self.handshaking:
                self._tls.do_handshake()
                self.handshaking = False
                if not self._accept():
                    return
                self._say(self._inner.begin())
            self._converse()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except ssl.SSLCertVerificationError as error:
            self.verdict = Verdict(Ending.CERTIFICATE, 0, said(error.verify_message))
        except ssl.SSLError as error:
            self.verdict = Verdict(Ending.TLS, 0, self._reason(error))

    def _accept(self) -> bool:
        """Whether the handshake brought what was asked for."""
        self.peer = self._tls.getpeercert(True)
        terms = self._terms
        if terms.name and self._tls.context.verify_mode is ssl.CERT_REQUIRED:
            found = self._tls.getpeercert() or {}
            if not certificate.names(found, terms.name):
                self.verdict = Verdict(Ending.CERTIFICATE, 0, said(f"it is not for {terms.name}"))
                return False
        if terms.alpn and self._tls.selected_alpn_protocol() != terms.alpn:
            self.verdict = Verdict(Ending.TLS, 0, f"the server does not agree to {terms.alpn}")
            return False
        return True

    def _converse(self) -> None:
        self._say(b"")
        while self.verdict is None:
            if self._closing:
                self._tls.unwrap()  # WantRead until the peer's close_notify is here
                self.verdict = self._inner.verdict
                return
            try:
                data = self._tls.read(PIECE)
            except ssl.SSLZeroReturnError:
                data = b""
            except ssl.SSLEOFError:
                if self._terms.compliant:
                    raise
                data = b""
            if not data:
                self._inner.end()
                self.verdict = self._inner.verdict
                return
            self._say(self._inner.receive(data))
            if self._inner.verdict is not None:
                if not self._terms.compliant or self._inner.verdict.ending is not Ending.ANSWERED:
                    self.verdict = self._inner.verdict
                self._closing = True

    def _say(self, data: bytes) -> None:
        self._pending += data
        while self._pending:
            del self._pending[: self._tls.write(self._pending)]

    def _reason(self, error: ssl.SSLError) -> str:
        if isinstance(error, ssl.SSLEOFError):
            where = "during the handshake" if self.handshaking else "without close_notify"
            return f"the server ended the connection {where}"
        return reason(error)
