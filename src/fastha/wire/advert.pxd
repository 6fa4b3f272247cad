"""VRRP adverts: version 2 (RFC 3768, over IPv4) and 3 (RFC 9568, over IPv4 and IPv6), in and out of caller's buffers.

       0                   1                   2                   3
       0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
      +-------+-------+---------------+---------------+---------------+
      |Version| Type 1|     VRID      |   Priority    |     Count     |
      +-------+-------+---------------+---------------+---------------+
   v2 |   Auth Type   |   Adver Int s |           Checksum            |
   v3 |rsvd |    Max Adver Int (cs)   |           Checksum            |
      +---------------------------------------------------------------+
      |         IPv4 addresses (or IPv6 ones), Count of them          |
      +---------------------------------------------------------------+
   v2 |                 8 bytes of authentication data                |
      +---------------------------------------------------------------+
"""

from libc.stdint cimport uint8_t, uint16_t

from fastha.wire.ip cimport ip_t

cdef enum:
    VRRP_PROTOCOL = 112         # RFC 9568 sections 5.1.1.4 and 5.1.2.4
    ADVERT_IP_HEADER = 20       # as we write it; received ones may carry options
    ADVERT_IP6_HEADER = 40
    ADVERT_MAX = 4128           # the longest we write: 40 + 8 + 255 x 16; over IPv4: 20 + 8 + 255 x 4 + 8

# Every way a received packet can end, in the order of the checks. Names for Python: advert.VERDICTS.
cdef enum advert_verdict:
    ADVERT_OK = 0
    ADVERT_SHORT                # no room for an IP header; shorter than that says; or no room for a VRRP header
    ADVERT_NOT_VRRP             # not IPv4, a fragment, or not protocol 112 (seen before the lengths are compared)
    ADVERT_TTL                  # TTL is not 255: RFC 9568 section 7.1 (multicast; the caller may waive it)
    ADVERT_VERSION              # neither 2 nor 3; over IPv6: not 3
    ADVERT_TYPE                 # not ADVERTISEMENT (1)
    ADVERT_LENGTH               # Count does not fit the packet exactly, or is 0 in version 3 (RFC 9568 section 5.2.5)
    ADVERT_CHECKSUM
    ADVERT_VERDICTS             # how many there are

cdef struct advert_t:
    ip_t src                    # from the IP header
    ip_t dst
    uint8_t width               # bytes of an address: 4 (IPv4) or 16 (IPv6)
    uint8_t ttl                 # or hop limit
    uint8_t version
    uint8_t vrid
    uint8_t priority
    uint8_t count
    uint8_t auth_type           # v2; 0 for v3
    uint16_t adver_cs           # centiseconds, also for v2 (seconds x 100)
    const uint8_t *addresses    # count x width bytes, inside the caller's packet
    const uint8_t *auth         # 8 bytes (v2) or NULL
    const uint8_t *trailer      # TRAILER_SIZE bytes behind it (auth_hmac), or NULL
    size_t size                 # of the VRRP packet, without trailer
    bint plain                  # encode: version 3 without the pseudo header in its checksum (v3_checksum_as_v2)
    ip_t summed                 # encode: the destination in the pseudo header, if it is not dst; all 0: it is dst

# Decode an IP packet as a raw socket delivers it (IP options and bytes after the IP total length, such as Ethernet
# padding, are skipped). Does not look at TTL when check_ttl is 0. Never reads past size. `out` is complete only with
# ADVERT_OK; fields read before another verdict are filled in (src, dst and ttl of any IPv4 packet), the rest is 0.
cdef int advert_decode(const uint8_t *packet, size_t size, bint check_ttl, advert_t *out) noexcept nogil

# The same of what an IPv6 raw socket delivers: the payload alone. `src` and `dst` are 16 bytes each.
cdef int advert_decode6(
    const uint8_t *payload, size_t size, const uint8_t *src, const uint8_t *dst, uint8_t hop_limit, bint check_ttl,
    advert_t *out) noexcept nogil

# The VRRP packet alone, of either family: `out` is zero but for src, dst, width and ttl, which the caller has set.
# `signed`: with or without a trailer (wire/trailer.pxd) behind it, which is not looked into. For the two above a
# trailer is a wrong length.
cdef int advert_decode_payload(
    const uint8_t *vrrp, size_t payload, bint check_ttl, bint signed, advert_t *out) noexcept nogil

# After ADVERT_CHECKSUM for a version 3 advert: would it be right without a pseudo header (`plain`, v3_checksum_as_v2),
# or with `dst` as destination in it (old_unicast_checksum)?
cdef bint advert_sum_is(const advert_t *a, bint plain, ip_t dst) noexcept nogil

# Write a complete IP packet (header of 20 or 40 bytes, TOS 0xc0, TTL as in a.ttl, protocol 112, checksums) from `a`;
# its addresses and auth are read from a.addresses / a.auth (NULL: eight zeros). Version 2 carries adver_cs as whole
# seconds, rounded up. Returns its length, or -1 if `room` is too small or there is no such version (2 and 3; over
# IPv6: 3).
cdef int advert_encode(uint8_t *packet, size_t room, const advert_t *a) noexcept nogil

# Change the priority of an encoded packet (also behind an authentication header) in place and mend the VRRP checksum
# incrementally (RFC 1624).
cdef void advert_set_priority(uint8_t *packet, uint8_t priority) noexcept nogil
