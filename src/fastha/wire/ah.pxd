"""The IP Authentication Header of a version 2 advert (`auth_type AH`): RFC 2402 with HMAC-MD5-96 (RFC 2403), over IPv4.

       0                   1                   2                   3
       0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
      +---------------+---------------+-------------------------------+
      |Next Header 112| Payload Len 4 |             0                 |
      +---------------+---------------+-------------------------------+
      |            SPI: the source address, as keepalived             |
      +---------------------------------------------------------------+
      |                       Sequence Number                         |
      +---------------------------------------------------------------+
      |        Integrity Check Value: 12 bytes of HMAC-MD5            |
      +---------------------------------------------------------------+

The digest covers the whole IP packet with its ICV and the mutable fields TOS, fragment and checksum as zero (RFC 2402
section 3.3.3.1.1). The TTL, which is mutable there too, is covered if the destination is a multicast group: keepalived
does so, as such adverts are not forwarded.
"""

from libc.stdint cimport uint8_t, uint32_t

cdef enum:
    AH_PROTOCOL = 51            # RFC 2402 section 2
    AH_SIZE = 24
    AH_ICV = 12

cdef enum ah_verdict:
    AH_OK = 0
    AH_SHORT                    # no room for an IP header and this one, or shorter than that says
    AH_OTHER                    # not IPv4, a fragment, or not protocol 51
    AH_HEADER                   # IP options; not VRRP behind it; another length; the SPI is not the source

cdef struct ah_t:
    uint32_t sequence
    const uint8_t *icv
    const uint8_t *payload      # what it protects: the VRRP packet, `size` bytes of it inside the caller's packet
    size_t size

# Of an IP packet as a raw socket delivers it; bytes behind the IP total length are skipped. Never reads past size.
cdef int ah_decode(const uint8_t *packet, size_t size, ah_t *out) noexcept nogil

# Is the digest that of `mac` (HMAC-MD5)? After AH_OK. Writes nothing into the packet.
cdef bint ah_right(void *mac, const uint8_t *packet, const ah_t *ah) noexcept nogil

# Number and sign a packet that ah.wrap has made. The IP identification is the number's lower half, never 0: the kernel
# would fill in another one behind the digest.
cdef void ah_sign(void *mac, uint8_t *packet, uint32_t sequence) noexcept nogil
