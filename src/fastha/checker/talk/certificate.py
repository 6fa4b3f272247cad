"""What a peer's certificate says: until when it counts, and whom it names. Pure."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

SEQUENCE, UTC_TIME, GENERALIZED_TIME, VERSION = 0x30, 0x17, 0x18, 0xA0


def not_after(der: bytes) -> int:
    """Seconds since the epoch at which an X.509 certificate (DER) ends. ValueError if it cannot be read.

    Certificate ::= SEQUENCE { tbsCertificate SEQUENCE {
        [0] version OPTIONAL, serialNumber, signature, issuer,
        validity SEQUENCE { notBefore, notAfter } ...                       (RFC 5280 section 4.1)
    """
    _, at, _ = _element(der, 0)
    _, at, _ = _element(der, at)
    tag, _, end = _element(der, at)
    if tag == VERSION:
        at = end
    for _field in range(3):  # serialNumber, signature, issuer
        _, _, at = _element(der, at)
    tag, at, _ = _element(der, at)
    if tag != SEQUENCE:
        raise ValueError("no validity")
    _, _, at = _element(der, at)
    tag, at, end = _element(der, at)
    text = der[at:end].decode("ascii")
    if tag == UTC_TIME:  # RFC 5280 section 4.1.2.5.1: 50 to 99 are of the last century
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    elif tag != GENERALIZED_TIME:
        raise ValueError("no time")
    if len(text) != 15 or text[14] != "Z" or not text[:14].isdigit():
        raise ValueError("not a time of RFC 5280")
    year, rest = int(text[:4]), [int(text[i : i + 2]) for i in range(4, 14, 2)]
    return calendar.timegm((year, *rest))


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """(tag, where its content begins, where it ends) of the element at `at`."""
    if at + 2 > len(der):
        raise ValueError("cut short")
    tag, size, begin = der[at], der[at + 1], at + 2
    if size & 0x80:
        count = size & 0x7F
        size, begin = int.from_bytes(der[begin : begin + count], "big"), begin + count
    if begin + size > len(der):
        raise ValueError("cut short")
    return tag, begin, begin + size


def names(certificate: Mapping[str, Any], wanted: str) -> bool:
    """Whether a certificate (as SSLObject.getpeercert() gives it) is for `wanted`, a host name or an address.

    RFC 9525 section 6: only subjectAltName counts; a wildcard is the whole of the leftmost label and stands for one.
    """
    alternatives = certificate.get("subjectAltName", ())
    try:
        address = ip_address(wanted)
    except ValueError:
        host = wanted.rstrip(".").lower()
        return any(kind == "DNS" and _matches(str(name).lower(), host) for kind, name in alternatives)
    for kind, name in alternatives:
        try:
            if kind == "IP Address" and ip_address(str(name).strip()) == address:
                return True
        except ValueError:
            continue
    return False


def _matches(pattern: str, host: str) -> bool:
    if pattern.startswith("*."):
        _, dot, rest = host.partition(".")
        return bool(dot) and rest == pattern[2:] and "." in rest
    return pattern == host
