"""The trailer of a signed advert (`auth_hmac`), as keepalived 2.4.2 and later write it; behind the VRRP packet, outside
its checksum, inside the length of the IP header.

       0                   1                   2                   3
       0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
      +---------------+---------------+-------------------------------+
      |    Type 1     |    Key ID     |              0                |
      +---------------+---------------+-------------------------------+
      |                    Seconds since the epoch                    |
      +-------------------------------+-------------------------------+
      |   Fraction (1/65536 s)        |           Counter             |
      +-------------------------------+-------------------------------+
      |          First 16 bytes of HMAC-SHA256 (RFC 4868)             |
      +---------------------------------------------------------------+

The digest covers: family (4 or 6), version, VRID, 0, source address (16 bytes, IPv4 left-aligned); the VRRP packet with
a checksum of zero; this trailer's first 12 bytes; 16 zeros. Seconds, fraction and counter are one 64-bit number that
only grows; the destination is not covered, so that copies to several peers have one signature.
"""

from libc.stdint cimport uint8_t, uint64_t

from fastha.wire.ip cimport ip_t

cdef enum:
    TRAILER_SIZE = 28
    TRAILER_DIGEST = 16

cdef struct trailer_t:
    uint8_t key_id
    uint64_t sequence
    const uint8_t *digest

# `data`: TRAILER_SIZE bytes. False: not type 1.
cdef bint trailer_decode(const uint8_t *data, trailer_t *out) noexcept nogil

# Is the digest of `data` right for the VRRP packet (`size` bytes, without the trailer) from `src`, which has `width`
# bytes?
cdef bint trailer_right(
    void *mac, const uint8_t *vrrp, size_t size, const uint8_t *data, ip_t src, uint8_t width) noexcept nogil

# Write a trailer behind a VRRP packet of `size` bytes.
cdef void trailer_sign(
    void *mac, uint8_t *vrrp, size_t size, ip_t src, uint8_t width, uint8_t key_id, uint64_t sequence) noexcept nogil
