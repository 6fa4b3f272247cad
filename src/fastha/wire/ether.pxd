"""Ethernet II headers: prebuilt in front of adverts and ARP that leave through a packet socket.

      +-----------------+-----------------+-----------+
      | destination (6) |   source (6)    | type (2)  |
      +-----------------+-----------------+-----------+
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

cdef enum:
    ETHER_ADDRESS = 6
    ETHER_HEADER = 14
    ETHERTYPE_IPV4 = 0x0800
    ETHERTYPE_IPV6 = 0x86dd
    ETHERTYPE_ARP = 0x0806

# `ethertype` in host order.
cdef void ether_encode(uint8_t *frame, const uint8_t *dst, const uint8_t *src, uint16_t ethertype) noexcept nogil
# The group address of an IPv4 multicast address (network byte order), RFC 1112 section 6.4.
cdef void ether_multicast(uint32_t group, uint8_t *out) noexcept nogil
