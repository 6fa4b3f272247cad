"""GRPC_CHECK: grpc.health.v1.Health/Check over HTTP/2 answers SERVING. Pure.

    HealthCheckRequest  { string service = 1; }         0a LENGTH NAME
    HealthCheckResponse { ServingStatus status = 1; }   08 STATUS

Two messages of one field each: they are coded here, and a test holds them to the generated ones. On the wire each has
one byte (compressed: 0) and four of length before it (gRPC over HTTP2, "Length-Prefixed-Message").
"""

from __future__ import annotations

from urllib.parse import unquote

from fastha.checker.ending import Ending
from fastha.checker.talk.http2 import Exchange, Headers, status_of
from fastha.checker.talk.talk import Verdict, said
from fastha.model.units import NS_PER_MS

PATH = "/grpc.health.v1.Health/Check"
SERVING = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}  # health.proto, ServingStatus
CODES = (
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED "
    "RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS "
    "UNAUTHENTICATED"
).split()  # grpc/status.h
MOST = 4096  # bytes of a message


def varint(value: int) -> bytes:
    """Seven bits a byte, least first; the highest bit: more follow (protobuf encoding, "Base 128 Varints")."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_request(service: str) -> bytes:
    """A framed HealthCheckRequest."""
    name = service.encode()
    message = b"\x0a" + varint(len(name)) + name if name else b""
    return b"\0" + len(message).to_bytes(4, "big") + message


def decode_response(message: bytes) -> int | None:
    """The status of a HealthCheckResponse; None if it is none. Unknown fields are skipped, the last status counts."""
    status, at = 0, 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if at < 0 or kind not in (0, 1, 2, 5):
            return None
        if kind == 0:
            value, at = _varint(message, at)
            if tag == 0x08:
                status = value
        elif kind == 2:
            size, at = _varint(message, at)
            at = at + size if at >= 0 else at
        else:
            at += 8 if kind == 1 else 4
        if not 0 <= at <= len(message):
            return None
    return status


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """(value, where it ends); it ends at -1 if it is none."""
    value = 0
    for shift in range(0, 70, 7):
        if not 0 <= at < len(data):
            return 0, -1
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
    return 0, -1


class Grpc(Exchange):
    """One call. `authority`: the :authority; `scheme`: https over TLS, else http."""

    def __init__(self, service: str, authority: str, scheme: str, timeout_ns: int) -> None:
        patience = f"{min(max(1, timeout_ns // NS_PER_MS), 99_999_999)}m"  # at most 8 digits
        super().__init__(
            [(":method", "POST"), (":scheme", scheme), (":path", PATH), (":authority", authority), ("te", "trailers"),
             ("grpc-timeout", patience), ("content-type", "application/grpc"),
             ("user-agent", "grpc-fastha")],
            encode_request(service),
        )  # fmt: skip
        self._message = bytearray()
        self._status: tuple[int, str] | None = None

    def heard(self, headers: Headers) -> Verdict | None:
        code, found = status_of(headers), dict(headers)
        if b"grpc-status" in found:  # "Trailers-Only"
            return self.trailers(headers)
        if code != 200:
            return Verdict(Ending.STATUS, code)
        if not found.get(b"content-type", b"").startswith(b"application/grpc"):
            return Verdict(Ending.PROTOCOL, 0, said(b"not gRPC: " + found.get(b"content-type", b"")))
        return None

    def data(self, data: bytes) -> Verdict | None:
        self._message += data
        return Verdict(Ending.TOO_LONG) if len(self._message) > MOST else None

    def trailers(self, headers: Headers) -> Verdict | None:
        found = dict(headers)
        value = found.get(b"grpc-status", b"")
        if not value.isdigit() or len(value) > 5:
            return Verdict(Ending.PROTOCOL, 0, "no grpc-status")
        message = found.get(b"grpc-message", b"").decode("ascii", "backslashreplace")
        self._status = int(value), unquote(message)
        return None

    def ended(self) -> Verdict:
        if self._status is None:
            return Verdict(Ending.PROTOCOL, 0, "no grpc-status")
        code, message = self._status
        if code:
            name = CODES[code] if code < len(CODES) else str(code)
            return Verdict(Ending.REPLY, code, said(f"{name} {message}"))
        size = int.from_bytes(self._message[1:5], "big")
        if len(self._message) != 5 + size or self._message[0] != 0:
            return Verdict(Ending.PROTOCOL, 0, "not one plain gRPC message")
        status = decode_response(bytes(self._message[5:]))
        if status is None:
            return Verdict(Ending.PROTOCOL, 0, "not a HealthCheckResponse")
        if status != 1:
            return Verdict(Ending.REPLY, 0, SERVING.get(status, f"status {status}"))
        return Verdict(Ending.ANSWERED)
