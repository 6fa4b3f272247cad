"""Slow twins of the probe engine: an HTTP reply judged as a whole, and one probe with blocking sockets."""

from __future__ import annotations

import hashlib
import re
import socket
import struct
import time

from fastha.checker.ending import Ending

STATUS_LINE = re.compile(rb"HTTP/[0-9]\.[0-9] ([1-5][0-9][0-9])( .*)?", re.S)
MAX_HEADER = 65536
Ranges = tuple[tuple[int, int], ...]


def reading(data: bytes) -> tuple[str, int, bytes, int]:
    """(state, status, body, length) after `data`: state is "more", "complete", "garbage" or "too long"."""
    status, length, raw, at = 0, -1, False, 0
    first = True
    while True:
        end = data.find(b"\n", at)
        if first and not (b"HTTP/".startswith(data[at : at + 5]) or data[at : at + 5] == b"HTTP/"):
            # what is there of the line does not begin as a status line does (an empty line neither)
            return ("too long" if len(data) > MAX_HEADER and end < 0 and at == 0 else "garbage"), 0, b"", -1
        if end < 0:
            return ("too long" if len(data) > MAX_HEADER else "more"), status, b"", length
        if end + 1 > MAX_HEADER:
            return "too long", status, b"", length
        line = data[at:end]
        at = end + 1
        if len(line) <= 128 and line.endswith(b"\r"):
            line = line[:-1]
        if first:
            match = STATUS_LINE.fullmatch(line)
            if not match:
                return "garbage", 0, b"", -1
            status, first = int(match[1]), False
        elif line == b"":
            if 100 <= status < 200 and status != 101:
                status, length, raw, first = 0, -1, False, True
                continue
            break
        else:
            name, colon, value = line.partition(b":")
            if colon and name.lower() == b"content-length":
                if len(line) > 128 or not re.fullmatch(rb"[ \t]*[0-9]{1,18}[ \t]*", value):
                    return "garbage", status, b"", -1
                if length not in (-1, int(value)):
                    return "garbage", status, b"", length
                length = int(value)
            elif colon and name.lower() == b"transfer-encoding":
                raw = True
    if raw:
        length = -1
    if status in (204, 304):
        length = 0
    body = data[at:] if length < 0 else data[at : at + length]
    return ("complete" if len(body) == length else "more"), status, body, length


def judge(data: bytes, end: str, accepted: Ranges, digest: bytes) -> Ending:
    """How a probe ends that got `data` and then `end`: "close", "reset" or "stall"."""
    state, status, body, length = reading(data)
    if status and (status >= 200 or status == 101) and not any(a <= status <= b for a, b in accepted):
        return Ending.STATUS
    if state == "garbage":
        return Ending.GARBAGE
    if state == "too long":
        return Ending.TOO_LONG
    if state == "more":
        if end == "stall":
            return Ending.REPLY_TIMEOUT
        if end == "reset":
            return Ending.RESET
        if not _in_body(data) or length >= 0:
            return Ending.SHORT
    if digest and hashlib.md5(body).digest() != digest:
        return Ending.DIGEST
    return Ending.ANSWERED


def _in_body(data: bytes) -> bool:
    """The (final) header is whole: one more byte would be body."""
    return reading(data + b"x")[2] != b"" or reading(data)[0] == "complete"


def probe(
    ip: str, port: int, timeout_s: float, request: bytes = b"", accepted: Ranges = (), digest: bytes = b""
) -> Ending:
    """One probe, blocking; TCP without `request`."""
    deadline = time.monotonic() + timeout_s
    data = b""
    end = "stall"
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout_s)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            sock.connect((ip, port))
        except ConnectionRefusedError:
            return Ending.REFUSED
        except TimeoutError:
            return Ending.CONNECT_TIMEOUT
        if not request:
            return Ending.CONNECTED
        try:
            sock.sendall(request)
            while (left := deadline - time.monotonic()) > 0:
                sock.settimeout(left)
                piece = sock.recv(65536)
                if not piece:
                    end = "close"
                    break
                data += piece
                if reading(data)[0] != "more":
                    break
        except TimeoutError:
            pass
        except ConnectionError:
            end = "reset"
    return judge(data, end, accepted, digest)
