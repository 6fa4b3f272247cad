"""Authentication headers as tests see them, and as adverts are wrapped when a configuration is accepted."""

VERDICTS: tuple[str, ...]
"""Names of every way a header can end, indexed by ah_verdict; "ok" first."""

def wrap(packet: bytes) -> bytes:
    """An encoded advert over IPv4 with room for its authentication header; unsigned. ValueError: it is none."""

def sign(wrapped: bytes, key: bytes, sequence: int) -> bytes:
    """The same, numbered and signed. ValueError: not wrapped. OSError: libcrypto has no HMAC-MD5."""

def decode(packet: bytes, key: bytes) -> tuple[str, int, bytes, bool]:
    """(verdict, sequence number, the VRRP packet, is the digest right) of an IP packet. Never raises for its bytes."""
