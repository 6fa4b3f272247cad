from libc.stdint cimport uint16_t
from libc.string cimport memcmp, memcpy, memset

from fastha.wire.checksum cimport sum_fold, sum_words
from fastha.wire.mac cimport MAC_ROOM, mac_end, mac_free, mac_new, mac_same, mac_start, mac_update

cdef enum:
    IP_HEADER = 20
    VRRP = 112
    WORDS = 4                               # RFC 2402 section 2.2: its length in 32-bit words, minus 2
    FRAGMENT = 0x3fff
    BEFORE_ICV = 12


cdef inline uint16_t get16(const uint8_t *p) noexcept nogil:
    return <uint16_t>(p[0] << 8 | p[1])


cdef inline void put32(uint8_t *p, uint32_t value) noexcept nogil:
    p[0] = <uint8_t>(value >> 24)
    p[1] = <uint8_t>(value >> 16)
    p[2] = <uint8_t>(value >> 8)
    p[3] = <uint8_t>value


cdef int ah_decode(const uint8_t *packet, size_t size, ah_t *out) noexcept nogil:
    cdef const uint8_t *ah = packet + IP_HEADER
    cdef size_t total
    memset(out, 0, sizeof(out[0]))
    if size < IP_HEADER:
        return AH_SHORT
    if packet[0] >> 4 != 4 or packet[9] != AH_PROTOCOL or get16(packet + 6) & FRAGMENT:
        return AH_OTHER
    total = get16(packet + 2)
    if total > size or total < IP_HEADER + AH_SIZE:
        return AH_SHORT
    if packet[0] & 15 != IP_HEADER // 4 or ah[0] != VRRP or ah[1] != WORDS or memcmp(ah + 4, packet + 12, 4) != 0:
        return AH_HEADER
    out.sequence = <uint32_t>get16(ah + 8) << 16 | get16(ah + 10)
    out.icv = ah + BEFORE_ICV
    out.payload = ah + AH_SIZE
    out.size = total - IP_HEADER - AH_SIZE
    return AH_OK


cdef bint digest(void *mac, const uint8_t *packet, size_t total, uint8_t *out) noexcept nogil:
    cdef uint8_t head[IP_HEADER + AH_SIZE]
    memcpy(head, packet, sizeof(head))
    head[1] = 0                             # TOS
    if head[16] & 0xf0 != 0xe0:
        head[8] = 0                         # TTL
    memset(head + 6, 0, 2)                  # flags and fragment offset
    memset(head + 10, 0, 2)                 # header checksum
    memset(head + IP_HEADER + BEFORE_ICV, 0, AH_ICV)
    return mac_start(mac) == 1 and mac_update(mac, head, sizeof(head)) == 1 and mac_update(
        mac, packet + sizeof(head), total - sizeof(head)) == 1 and mac_end(mac, out) == 1


cdef bint ah_right(void *mac, const uint8_t *packet, const ah_t *ah) noexcept nogil:
    cdef uint8_t wanted[MAC_ROOM]
    return digest(mac, packet, IP_HEADER + AH_SIZE + ah.size, wanted) and mac_same(wanted, ah.icv, AH_ICV)


cdef void ah_sign(void *mac, uint8_t *packet, uint32_t sequence) noexcept nogil:
    cdef uint8_t icv[MAC_ROOM]
    cdef uint16_t folded
    packet[4] = <uint8_t>(sequence >> 8)
    packet[5] = <uint8_t>sequence
    if sequence & 0xffff == 0:
        packet[5] = 1
    memset(packet + 10, 0, 2)
    folded = sum_fold(sum_words(packet, IP_HEADER, 0))
    memcpy(packet + 10, &folded, 2)
    put32(packet + IP_HEADER + 8, sequence)
    memset(icv, 0, AH_ICV)                  # what no peer takes, should libcrypto fail
    digest(mac, packet, get16(packet + 2), icv)
    memcpy(packet + IP_HEADER + BEFORE_ICV, icv, AH_ICV)


# -- for Python: prebuilding when a configuration is accepted, and tests -------------------------------------------

VERDICTS = ("ok", "short", "other", "header")


def wrap(bytes packet not None) -> bytes:
    cdef const uint8_t *p = packet
    cdef uint8_t head[IP_HEADER + AH_SIZE]
    cdef size_t total = len(packet) + AH_SIZE
    cdef uint16_t folded
    if len(packet) < IP_HEADER or p[0] != (4 << 4 | IP_HEADER // 4) or p[9] != VRRP or total > 0xffff:
        raise ValueError("not an encoded advert over IPv4")
    memset(head, 0, sizeof(head))
    memcpy(head, p, IP_HEADER)
    head[2] = <uint8_t>(total >> 8)
    head[3] = <uint8_t>total
    head[9] = AH_PROTOCOL
    memset(head + 10, 0, 2)
    folded = sum_fold(sum_words(head, IP_HEADER, 0))
    memcpy(head + 10, &folded, 2)
    head[IP_HEADER] = VRRP
    head[IP_HEADER + 1] = WORDS
    memcpy(head + IP_HEADER + 4, p + 12, 4)
    return head[:IP_HEADER + AH_SIZE] + packet[IP_HEADER:]


def sign(bytes wrapped not None, bytes key not None, uint32_t sequence) -> bytes:
    cdef bytearray out = bytearray(wrapped)
    cdef ah_t ah
    cdef void *mac
    if ah_decode(wrapped, len(wrapped), &ah) != AH_OK:
        raise ValueError("no packet with an authentication header")
    mac = mac_new("MD5", key, len(key))
    if mac == NULL:
        raise OSError("libcrypto has no HMAC-MD5")
    ah_sign(mac, out, sequence)
    mac_free(mac)
    return bytes(out)


def decode(bytes packet not None, bytes key not None) -> tuple[str, int, bytes, bool]:
    cdef ah_t ah
    cdef int verdict = ah_decode(packet, len(packet), &ah)
    cdef bint right = False
    cdef void *mac
    if verdict != AH_OK:
        return VERDICTS[verdict], 0, b"", False
    mac = mac_new("MD5", key, len(key))
    if mac == NULL:
        raise OSError("libcrypto has no HMAC-MD5")
    right = ah_right(mac, packet, &ah)
    mac_free(mac)
    return "ok", ah.sequence, ah.payload[:ah.size], right
