"""Ethernet framing for code that prebuilds whole frames; native rooms use ether.pxd."""

def multicast_mac(group: str) -> bytes:
    """The 6 bytes a multicast address is sent to (RFC 1112 section 6.4, RFC 2464 section 7). ValueError if it is not
    one."""

def frame(dst: bytes, src: bytes, packet: bytes, ethertype: int = 0x0800) -> bytes:
    """`packet` behind an Ethernet II header; `dst` and `src` are 6 bytes each."""
