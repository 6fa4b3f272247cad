"""Trailers of signed adverts as tests see them, and as room for them is made when a configuration is accepted."""

def wrap(packet: bytes) -> bytes:
    """An encoded advert (either family) with room for its trailer, unsigned. ValueError: it is none."""

def sign(vrrp: bytes, src: bytes, key: bytes, key_id: int, sequence: int) -> bytes:
    """A VRRP packet (without IP header) from `src` (4 or 16 bytes) with its trailer. ValueError, OSError."""

def decode(vrrp: bytes, src: bytes, key: bytes) -> tuple[bool, int, int, bool]:
    """(is it type 1, key ID, sequence, is the digest right) of a VRRP packet with a trailer. ValueError: too short."""
