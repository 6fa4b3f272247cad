from libc.string cimport memcpy, memset

from fastha.wire.ether cimport ETHER_ADDRESS, ETHER_HEADER, ETHERTYPE_ARP, ether_encode

from fastha.wire import address

cdef const char *FIXED = b"\0\1\x08\0\6\4\0\1"     # Ethernet, IPv4, their lengths, request


cdef ssize_t garp_encode(
    uint8_t *out, size_t room, const uint8_t *mac, const uint8_t *addresses, size_t count
) noexcept nogil:
    cdef uint8_t broadcast[ETHER_ADDRESS]
    cdef uint8_t *arp
    cdef size_t _i
    if room // GARP_FRAME < count:
        return -1
    memset(broadcast, 0xff, ETHER_ADDRESS)
    for _i in range(count):
        ether_encode(out, broadcast, mac, ETHERTYPE_ARP)
        arp = out + ETHER_HEADER
        memcpy(arp, FIXED, 8)
        memcpy(arp + 8, mac, ETHER_ADDRESS)
        memcpy(arp + 14, addresses, 4)
        memcpy(arp + 18, broadcast, ETHER_ADDRESS)
        memcpy(arp + 24, addresses, 4)
        out += GARP_FRAME
        addresses += 4
    return <ssize_t>(count * GARP_FRAME)


# -- for Python: tests, and prebuilding when a configuration is accepted ------------------------------------------

FRAME_SIZE = GARP_FRAME


def encode_into(uint8_t[::1] out not None, bytes mac not None, addresses) -> int:
    cdef bytes packed = address.pack_all(addresses)
    cdef size_t count = len(packed) // 4
    cdef ssize_t written
    if len(mac) != ETHER_ADDRESS:
        raise ValueError("an Ethernet address has 6 bytes")
    if count == 0:
        return 0
    written = garp_encode(&out[0] if out.shape[0] else NULL, out.shape[0], mac, packed, count)
    if written < 0:
        raise ValueError(f"{count} frames need {count * GARP_FRAME} bytes, not {out.shape[0]}")
    return written


def encode(bytes mac not None, addresses) -> bytes:
    addresses = list(addresses)
    out = bytearray(len(addresses) * GARP_FRAME)
    encode_into(out, mac, addresses)
    return bytes(out)
