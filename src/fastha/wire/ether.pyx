from libc.string cimport memcpy

from fastha.wire import address


cdef void ether_encode(uint8_t *frame, const uint8_t *dst, const uint8_t *src, uint16_t ethertype) noexcept nogil:
    memcpy(frame, dst, ETHER_ADDRESS)
    memcpy(frame + ETHER_ADDRESS, src, ETHER_ADDRESS)
    frame[12] = <uint8_t>(ethertype >> 8)
    frame[13] = <uint8_t>ethertype


cdef void ether_multicast(uint32_t group, uint8_t *out) noexcept nogil:
    cdef const uint8_t *ip = <const uint8_t *>&group
    out[0] = 0x01
    out[1] = 0x00
    out[2] = 0x5e
    out[3] = ip[1] & 0x7f               # the low 23 bits
    out[4] = ip[2]
    out[5] = ip[3]


# -- for Python: tests, and prebuilding when a configuration is accepted ------------------------------------------

def multicast_mac(group) -> bytes:
    cdef uint8_t out[ETHER_ADDRESS]
    cdef uint32_t ip
    cdef bytes packed = address.pack_any(group)
    if len(packed) == 16:
        if packed[0] != 0xff:
            raise ValueError(f"{group} is not a multicast address")
        return b"\x33\x33" + packed[12:]   # RFC 2464 section 7
    if packed[0] >> 4 != 14:                # 224.0.0.0/4
        raise ValueError(f"{group} is not a multicast address")
    memcpy(&ip, <const uint8_t *>packed, 4)
    ether_multicast(ip, out)
    return out[:ETHER_ADDRESS]


def frame(bytes dst not None, bytes src not None, bytes packet not None, uint16_t ethertype=ETHERTYPE_IPV4) -> bytes:
    cdef uint8_t header[ETHER_HEADER]
    if len(dst) != ETHER_ADDRESS or len(src) != ETHER_ADDRESS:
        raise ValueError("an Ethernet address has 6 bytes")
    ether_encode(header, dst, src, ethertype)
    return header[:ETHER_HEADER] + packet
