"""One exchange over HTTP/2 (RFC 9113, library h2): what SSL_GET with `http2` and GRPC_CHECK have in common. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)

from fastha.checker.ending import Ending
from fastha.checker.talk.body import Judge
from fastha.checker.talk.talk import Verdict, said

Headers = Sequence[tuple[bytes, bytes]]
STREAM = 1
WINDOW = 1 << 20  # bytes of a body that may be under way; RFC 9113 section 6.9.2 starts with 65535
HEAD, MOST_FRAME = 9, 16384  # bytes: of a frame's head, and of its payload (SETTINGS_MAX_FRAME_SIZE as it begins)
MOST_OUT = 65536  # of what a peer makes us say at once (PING, SETTINGS)


class Frames:
    """Watches the lengths of frames: the library would gather one of 16 MiB before it says that it is too large."""

    def __init__(self) -> None:
        self._head = b""
        self._rest = 0  # of the frame under way

    def take(self, data: bytes) -> int:
        """The length of the first frame that is larger than we permit (RFC 9113 section 4.2); 0: there is none."""
        at = 0
        while at < len(data):
            if self._rest:
                step = min(self._rest, len(data) - at)
                self._rest -= step
                at += step
                continue
            piece = data[at : at + HEAD - len(self._head)]
            self._head += piece
            at += len(piece)
            if len(self._head) == HEAD:
                self._rest = int.from_bytes(self._head[:3], "big")
                if self._rest > MOST_FRAME:
                    return self._rest
                self._head = b""
        return 0


class Exchange:
    """A request on stream 1, and what comes back. Subclasses judge: `heard`, `data`, `trailers`, `ended`."""

    handshaking = False

    def __init__(self, headers: Sequence[tuple[str, str]], body: bytes = b"") -> None:
        self.verdict: Verdict | None = None
        self._headers = headers
        self._body = body
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self._frames = Frames()

    def begin(self) -> bytes:
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(WINDOW)
        self._h2.send_headers(STREAM, list(self._headers), end_stream=not self._body)
        if self._body:
            self._h2.send_data(STREAM, self._body, end_stream=True)
        return self._h2.data_to_send()

    def receive(self, data: bytes) -> bytes:
        if size := self._frames.take(data):
            old = size >> 8 == int.from_bytes(b"HT", "big")
            self._settle(Verdict(Ending.PROTOCOL, 0, said(data) if old else f"HTTP/2: a frame of {size} bytes"))
            return b""
        try:
            for event in self._h2.receive_data(data):
                if self.verdict is None:
                    self._event(event)
            out = self._h2.data_to_send()
        except Exception as error:  # whatever its parsers make of a hostile peer's bytes
            self._settle(Verdict(Ending.PROTOCOL, 0, said(f"HTTP/2: {error}")))
            return b""
        if len(out) > MOST_OUT:
            self._settle(Verdict(Ending.PROTOCOL, 0, "HTTP/2: a flood of control frames"))
        return out if self.verdict is None else b""

    def end(self) -> bytes:
        self._settle(Verdict(Ending.SHORT))
        return b""

    def _event(self, event: Event) -> None:
        match event:
            case ResponseReceived(headers=headers) if headers:
                self._settle(self.heard(list(headers)))
            case DataReceived(data=data, flow_controlled_length=size):
                if size:
                    self._h2.acknowledge_received_data(size, STREAM)
                if data:
                    self._settle(self.data(data))
            case TrailersReceived(headers=headers) if headers:
                self._settle(self.trailers(list(headers)))
            case StreamEnded():
                self._settle(self.ended())
            case StreamReset(error_code=code):
                self._settle(Verdict(Ending.RESET, 0, f"HTTP/2 stream error {int(code or 0)}"))
            case ConnectionTerminated(error_code=code, additional_data=data):
                # GOAWAY without error lets what is under way come to its end (RFC 9113 section 6.8).
                if code:
                    self._settle(Verdict(Ending.RESET, 0, said(f"HTTP/2 error {int(code)} {(data or b'')!r}")))

    def _settle(self, verdict: Verdict | None) -> None:
        if self.verdict is None:
            self.verdict = verdict

    def heard(self, headers: Headers) -> Verdict | None:
        raise NotImplementedError

    def data(self, data: bytes) -> Verdict | None:
        raise NotImplementedError

    def trailers(self, headers: Headers) -> Verdict | None:
        return None

    def ended(self) -> Verdict:
        raise NotImplementedError


def status_of(headers: Headers) -> int:
    """:status (RFC 9113 section 8.3.2); 0 if it is none."""
    value = dict(headers).get(b":status", b"")
    return int(value) if len(value) == 3 and value.isdigit() else 0


class Http2Get(Exchange):
    """SSL_GET with `http2`. The body is that of the DATA frames."""

    def __init__(self, authority: str, path: str, user_agent: str, judge: Judge) -> None:
        super().__init__(
            [(":method", "GET"), (":scheme", "https"), (":authority", authority), (":path", path or "/"),
             ("user-agent", user_agent)]
        )  # fmt: skip
        self._judge = judge

    def heard(self, headers: Headers) -> Verdict | None:
        code = status_of(headers)
        return self._judge.status(code) if code else Verdict(Ending.PROTOCOL, 0, "HTTP/2: no status")

    def data(self, data: bytes) -> Verdict | None:
        return self._judge.body(data)

    def ended(self) -> Verdict:
        return self._judge.end()
