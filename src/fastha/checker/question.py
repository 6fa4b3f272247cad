"""The query of a DNS_CHECK as it goes over the wire (RFC 1035 section 4.1)."""

from __future__ import annotations

from struct import pack

# RFC 1035 section 3.2.2, RFC 3596 section 2.1, RFC 4034 sections 2 and 3
DNS_TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "MX": 15, "TXT": 16, "AAAA": 28, "RRSIG": 46, "DNSKEY": 48}
RD = 0x0100  # recursion desired
CLASS_IN = 1


def dns_query(name: str, type_: str) -> bytes:
    """Header (id 0: the engine fills it in) and one question. ValueError for what is no name or no type."""
    if type_ not in DNS_TYPES:
        raise ValueError(f"{type_!r} is not one of {', '.join(DNS_TYPES)}")
    return pack("!HHHHHH", 0, RD, 1, 0, 0, 0) + dns_name(name) + pack("!HH", DNS_TYPES[type_], CLASS_IN)


def dns_name(name: str) -> bytes:
    """Labels with their lengths (RFC 1035 section 3.1); "." is the root. ValueError if it is none."""
    out = b""
    for label in name.removesuffix(".").split(".") if name != "." else ():
        try:
            raw = label.encode("ascii")
        except UnicodeEncodeError:
            raise ValueError(f"{name!r} is not ASCII: write it as xn--...") from None
        if not 1 <= len(raw) <= 63:
            raise ValueError(f"{name!r} has a label of {len(raw)} bytes, not 1 to 63")
        out += bytes([len(raw)]) + raw
    if len(out) > 254:
        raise ValueError(f"{name!r} is longer than 255 bytes")
    return out + b"\0"
