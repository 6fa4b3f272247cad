from libc.string cimport memcpy

import ipaddress


cdef void ether_encode(uint8_t *frame, const uint8_t *dst, const uint8_t *src, uint16_t ethertype) noexcept nogil:
    memcpy(frame, dst, ETHER_ADDRESS)
    memcpy(frame + ETHER_ADDRESS, src, ETHER_ADDRESS)
    frame[12] = <uint8_t>(ethertype >> 8)
    frame[13] = <uint8_t>ethertype


cdef void ether_multicast(uint32_t group, uint8_t *address) noexcept nogil:
    cdef const uint8_t *ip = <const uint8_t *>&group
    address[0] = 0x01
    address[1] = 0x00
    address[2] = 0x5e
    address[3] = ip[1] & 0x7f               # the low 23 bits
    address[4] = ip[2]
    address[5] = ip[3]


# -- for Python: tests, and prebuilding when a configuration is accepted ------------------------------------------

def multicast_mac(group) -> bytes:
    cdef uint8_t address[ETHER_ADDRESS]
    cdef uint32_t ip
    parsed = ipaddress.IPv4Address(group)
    cdef bytes packed = parsed.packed
    if not parsed.is_multicast:
        raise ValueError(f"{parsed} is not a multicast address")
    memcpy(&ip, <const uint8_t *>packed, 4)
    ether_multicast(ip, address)
    return address[:ETHER_ADDRESS]


def frame(bytes dst not None, bytes src not None, bytes packet not None, uint16_t ethertype=ETHERTYPE_IPV4) -> bytes:
    cdef uint8_t header[ETHER_HEADER]
    if len(dst) != ETHER_ADDRESS or len(src) != ETHER_ADDRESS:
        raise ValueError("an Ethernet address has 6 bytes")
    ether_encode(header, dst, src, ethertype)
    return header[:ETHER_HEADER] + packet
