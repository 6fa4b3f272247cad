"""The Internet checksum, RFC 1071. Sums are associative and byte-order independent, so they are kept in
host order over native words and folded once; data may be split at even offsets and summed in parts."""

from libc.stdint cimport uint8_t, uint16_t, uint64_t

cdef uint64_t sum_words(const uint8_t *data, size_t size, uint64_t acc) noexcept nogil   # adds to acc
cdef uint16_t sum_fold(uint64_t acc) noexcept nogil     # the complement, ready to store (network order in memory)
