"""Unsolicited neighbour advertisements (RFC 4861 sections 4.4 and 7.2.6): whole Ethernet frames, many into one caller's
buffer. What gratuitous ARP is to IPv4; RFC 9568 section 6.4.2 (345) wants one for each address of a new master.

      +--------------------+-----------------------+-----------------------------+------------------------+
      | Ethernet, to       | IPv6, address ->      | 136, 0, checksum,           | option 2, length 1,    |
      | 33:33:00:00:00:01  | ff02::1, hop limit 255| R 0 O, address              | target's MAC           |
      +--------------------+-----------------------+-----------------------------+------------------------+
        14                   40                      24                            8               = 86
"""

from libc.stdint cimport uint8_t

cdef enum:
    NA_FRAME = 86

# One frame for each of `count` addresses (16 bytes each, one after another), from `mac`; `router`: the R flag, "the
# sender is a router" (RFC 4861 section 4.4). Returns the bytes written, count x NA_FRAME, or -1 if `room` is too small
# (then nothing was written).
cdef ssize_t na_encode(
    uint8_t *out, size_t room, const uint8_t *mac, const uint8_t *addresses, size_t count, bint router) noexcept nogil
