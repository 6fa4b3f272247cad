from libc.stdint cimport uint16_t
from libc.string cimport memcpy, memset

from fastha.wire.checksum cimport sum_fold, sum_words
from fastha.wire.ether cimport ETHER_ADDRESS, ETHER_HEADER, ETHERTYPE_IPV6, ether_encode

from fastha.wire import address

cdef extern from "<arpa/inet.h>" nogil:
    uint16_t htons(uint16_t)

cdef enum:
    IP_HEADER = 40
    PAYLOAD = 32
    ICMPV6 = 58
    ADVERTISEMENT = 136
    ROUTER = 0x80
    OVERRIDE = 0x20                         # replaces what neighbours have cached
    TARGET_LINK_ADDRESS = 2


cdef void all_nodes(uint8_t *ip) noexcept nogil:
    # ff02::1
    memset(ip, 0, 16)
    ip[0] = 0xff
    ip[1] = 0x02
    ip[15] = 1


cdef void one_frame(uint8_t *out, const uint8_t *mac, const uint8_t *target, bint router) noexcept nogil:
    cdef uint8_t everybody[ETHER_ADDRESS]
    cdef uint8_t *ip = out + ETHER_HEADER
    cdef uint8_t *icmp = ip + IP_HEADER
    cdef uint16_t folded
    memset(everybody, 0, ETHER_ADDRESS)     # RFC 2464 section 7
    everybody[0] = everybody[1] = 0x33
    everybody[5] = 1
    ether_encode(out, everybody, mac, ETHERTYPE_IPV6)
    memset(ip, 0, IP_HEADER + PAYLOAD)
    ip[0] = 6 << 4
    ip[5] = PAYLOAD
    ip[6] = ICMPV6
    ip[7] = 255                             # RFC 4861 section 7.1.2: anything else is discarded
    memcpy(ip + 8, target, 16)
    all_nodes(ip + 24)
    icmp[0] = ADVERTISEMENT
    icmp[4] = OVERRIDE | (ROUTER if router else 0)
    memcpy(icmp + 8, target, 16)
    icmp[24] = TARGET_LINK_ADDRESS
    icmp[25] = 1                            # x 8 bytes
    memcpy(icmp + 26, mac, ETHER_ADDRESS)
    # RFC 4443 section 2.3: with the pseudo header of RFC 8200 section 8.1
    folded = sum_fold(sum_words(icmp, PAYLOAD, sum_words(ip + 8, 32, htons(PAYLOAD) + <uint16_t>htons(ICMPV6))))
    memcpy(icmp + 2, &folded, 2)


cdef ssize_t na_encode(
    uint8_t *out, size_t room, const uint8_t *mac, const uint8_t *addresses, size_t count, bint router
) noexcept nogil:
    cdef size_t i
    if room // NA_FRAME < count:
        return -1
    for i in range(count):
        one_frame(out + i * NA_FRAME, mac, addresses + 16 * i, router)
    return <ssize_t>(count * NA_FRAME)


# -- for Python: tests, and prebuilding when a configuration is accepted ------------------------------------------

FRAME_SIZE = NA_FRAME


def encode_into(uint8_t[::1] out not None, bytes mac not None, addresses, bint router=False) -> int:
    cdef bytes packed = address.pack_all(addresses, 6)
    cdef size_t count = len(packed) // 16
    cdef ssize_t written
    if len(mac) != ETHER_ADDRESS:
        raise ValueError("an Ethernet address has 6 bytes")
    if count == 0:
        return 0
    written = na_encode(&out[0] if out.shape[0] else NULL, out.shape[0], mac, packed, count, router)
    if written < 0:
        raise ValueError(f"{count} frames need {count * NA_FRAME} bytes, not {out.shape[0]}")
    return written


def encode(bytes mac not None, addresses, bint router=False) -> bytes:
    addresses = list(addresses)
    out = bytearray(len(addresses) * NA_FRAME)
    encode_into(out, mac, addresses, router)
    return bytes(out)
