from libc.stdint cimport uint16_t
from libc.string cimport memcpy, memset

from fastha.wire.checksum cimport sum_fold, sum_words
from fastha.wire.ip cimport IP4_SIZE, IP6_SIZE, ip4_read, ip4_write, ip6_read, ip6_write
from fastha.wire.mac cimport MAC_ROOM, mac_end, mac_free, mac_new, mac_same, mac_start, mac_update

cdef enum:
    TYPE = 1
    SIGNED = 12                             # bytes of the trailer before its digest
    VRRP_HEADER = 8
    PSEUDO = 20


cdef bint trailer_decode(const uint8_t *data, trailer_t *out) noexcept nogil:
    cdef int i
    out.key_id = data[1]
    out.sequence = 0
    for i in range(4, SIGNED):
        out.sequence = out.sequence << 8 | data[i]
    out.digest = data + SIGNED
    return data[0] == TYPE


cdef bint digest(
    void *mac, const uint8_t *vrrp, size_t size, const uint8_t *data, ip_t src, uint8_t width, uint8_t *out
) noexcept nogil:
    cdef uint8_t head[PSEUDO + VRRP_HEADER]
    cdef uint8_t tail[TRAILER_SIZE]
    if size < VRRP_HEADER:
        return False
    memset(head, 0, PSEUDO)
    head[0] = 4 if width == IP4_SIZE else 6
    head[1] = vrrp[0] >> 4
    head[2] = vrrp[1]
    if width == IP4_SIZE:
        ip4_write(head + 4, src)
    else:
        ip6_write(head + 4, src)
    memcpy(head + PSEUDO, vrrp, VRRP_HEADER)
    memset(head + PSEUDO + 6, 0, 2)         # checksum
    memcpy(tail, data, SIGNED)
    memset(tail + SIGNED, 0, TRAILER_DIGEST)
    return mac_start(mac) == 1 and mac_update(mac, head, sizeof(head)) == 1 and mac_update(
        mac, vrrp + VRRP_HEADER, size - VRRP_HEADER) == 1 and mac_update(
        mac, tail, sizeof(tail)) == 1 and mac_end(mac, out) == 1


cdef bint trailer_right(
    void *mac, const uint8_t *vrrp, size_t size, const uint8_t *data, ip_t src, uint8_t width
) noexcept nogil:
    cdef uint8_t wanted[MAC_ROOM]
    return digest(mac, vrrp, size, data, src, width, wanted) and mac_same(wanted, data + SIGNED, TRAILER_DIGEST)


cdef void trailer_sign(
    void *mac, uint8_t *vrrp, size_t size, ip_t src, uint8_t width, uint8_t key_id, uint64_t sequence
) noexcept nogil:
    cdef uint8_t *data = vrrp + size
    cdef uint8_t made[MAC_ROOM]
    cdef int i
    memset(data, 0, TRAILER_SIZE)
    data[0] = TYPE
    data[1] = key_id
    for i in range(8):
        data[4 + i] = <uint8_t>(sequence >> (56 - 8 * i))
    memset(made, 0, sizeof(made))           # what no peer takes, should libcrypto fail
    digest(mac, vrrp, size, data, src, width, made)
    memcpy(data + SIGNED, made, TRAILER_DIGEST)


# -- for Python: prebuilding when a configuration is accepted, and tests -------------------------------------------

def wrap(bytes packet not None) -> bytes:
    cdef bytearray out = bytearray(packet) + bytes(TRAILER_SIZE)
    cdef uint8_t *p = out
    cdef size_t at, size
    cdef uint16_t folded
    if len(packet) < IP6_SIZE + IP4_SIZE or p[0] >> 4 not in (4, 6):
        raise ValueError("not an encoded advert")
    at = 2 if p[0] >> 4 == 4 else 4         # total length, or payload length
    size = len(out) if at == 2 else len(out) - 40
    p[at] = <uint8_t>(size >> 8)
    p[at + 1] = <uint8_t>size
    if at == 2:
        memset(p + 10, 0, 2)
        folded = sum_fold(sum_words(p, 20, 0))
        memcpy(p + 10, &folded, 2)
    return bytes(out)


cdef ip_t source(bytes src) noexcept:
    return ip4_read(src) if len(src) == IP4_SIZE else ip6_read(src)


def sign(bytes vrrp not None, bytes src not None, bytes key not None, uint8_t key_id, uint64_t sequence) -> bytes:
    cdef bytearray out = bytearray(vrrp) + bytes(TRAILER_SIZE)
    cdef void *mac
    if len(vrrp) < VRRP_HEADER or len(src) not in (IP4_SIZE, IP6_SIZE):
        raise ValueError("a VRRP packet, and a source of 4 or 16 bytes")
    mac = mac_new("SHA256", key, len(key))
    if mac == NULL:
        raise OSError("libcrypto has no HMAC-SHA256")
    trailer_sign(mac, out, len(vrrp), source(src), len(src), key_id, sequence)
    mac_free(mac)
    return bytes(out)


def decode(bytes vrrp not None, bytes src not None, bytes key not None) -> tuple[bool, int, int, bool]:
    cdef trailer_t t
    cdef const uint8_t *p = vrrp
    cdef size_t size = len(vrrp) - TRAILER_SIZE
    cdef bint known, right
    cdef void *mac
    if len(vrrp) < VRRP_HEADER + TRAILER_SIZE or len(src) not in (IP4_SIZE, IP6_SIZE):
        raise ValueError("a VRRP packet with a trailer, and a source of 4 or 16 bytes")
    mac = mac_new("SHA256", key, len(key))
    if mac == NULL:
        raise OSError("libcrypto has no HMAC-SHA256")
    known = trailer_decode(p + size, &t)
    right = trailer_right(mac, p, size, p + size, source(src), len(src))
    mac_free(mac)
    return known, t.key_id, t.sequence, right
