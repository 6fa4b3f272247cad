"""HTTP requests, built once when the configuration is accepted. Pure."""

from __future__ import annotations

from fastha.model import HttpCheck, HttpUrl, SslCheck
from fastha.model.lvs import host_port

# What access logs and server rules of keepalived's users look for.
USER_AGENT = "KeepAliveClient"


def one_word(name: str, text: str) -> None:
    """ValueError unless it can stand in one line as it is."""
    if any(c <= " " or c == "\x7f" for c in text):
        raise ValueError(f"{name} {text!r} contains a blank or control character")


def request(check: HttpCheck | SslCheck, url: HttpUrl) -> bytes:
    """The bytes of one GET. ValueError if a configured text cannot stand in a request (RFC 9112 section 3)."""
    host = url.virtualhost or host_port(check.ip, check.port)
    for name, text in (("path", url.path), ("virtualhost", host)):
        one_word(name, text)
    lines = [f"GET {url.path or '/'} HTTP/{'1.1' if check.http_protocol == '1.1' else '1.0'}"]
    lines.append(f"User-Agent: {USER_AGENT}")
    if check.http_protocol != "1.0":
        lines.append("Connection: close")  # "1.0C" and "1.1"
    lines.append(f"Host: {host}")
    return "\r\n".join([*lines, "", ""]).encode()
