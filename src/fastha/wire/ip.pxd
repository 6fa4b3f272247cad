"""An IP address of either family as two numbers in host order. Numbers compare as RFC 9568 section 6.4.3 (725) compares
addresses; to Python it is one int (fastha.wire.address.number). IPv4: `high` is 0 and `low` its 32 bits."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from "<endian.h>" nogil:
    uint32_t be32toh(uint32_t)
    uint64_t be64toh(uint64_t)
    uint32_t htobe32(uint32_t)
    uint64_t htobe64(uint64_t)

cdef enum:
    IP4_SIZE = 4
    IP6_SIZE = 16

cdef struct ip_t:
    uint64_t high
    uint64_t low


cdef inline ip_t ip4_read(const uint8_t *data) noexcept nogil:
    cdef ip_t out
    cdef uint32_t word
    memcpy(&word, data, IP4_SIZE)           # memcpy: data may be at any address
    out.high = 0
    out.low = be32toh(word)
    return out


cdef inline ip_t ip6_read(const uint8_t *data) noexcept nogil:
    cdef ip_t out
    cdef uint64_t words[2]
    memcpy(words, data, IP6_SIZE)
    out.high = be64toh(words[0])
    out.low = be64toh(words[1])
    return out


cdef inline void ip4_write(uint8_t *data, ip_t ip) noexcept nogil:
    cdef uint32_t word = htobe32(<uint32_t>ip.low)
    memcpy(data, &word, IP4_SIZE)


cdef inline void ip6_write(uint8_t *data, ip_t ip) noexcept nogil:
    cdef uint64_t words[2]
    words[0] = htobe64(ip.high)
    words[1] = htobe64(ip.low)
    memcpy(data, words, IP6_SIZE)


cdef inline bint ip_same(ip_t a, ip_t b) noexcept nogil:
    return a.low == b.low and a.high == b.high


cdef inline bint ip_less(ip_t a, ip_t b) noexcept nogil:
    return a.high < b.high or (a.high == b.high and a.low < b.low)


cdef inline ip_t ip_of(object number) except *:
    cdef ip_t out
    out.high = number >> 64
    out.low = number & 0xffffffffffffffff
    return out


cdef inline object ip_number(ip_t ip):
    return ip.low if ip.high == 0 else <object>ip.high << 64 | ip.low
