# 32-bit words are added to a 64-bit accumulator, so 2**32 of them (16 GiB) fit before a carry could be lost. The order
# of bytes does not matter until the sum is stored: RFC 1071 section 2 (B).

from libc.stdint cimport uint32_t
from libc.string cimport memcpy


cdef uint64_t sum_words(const uint8_t *data, size_t size, uint64_t acc) noexcept nogil:
    cdef uint64_t pair
    cdef uint32_t word
    cdef uint16_t half
    while size >= 8:
        memcpy(&pair, data, 8)              # memcpy: data may be at any address
        acc += <uint32_t>pair + (pair >> 32)
        data += 8
        size -= 8
    if size >= 4:
        memcpy(&word, data, 4)
        acc += word
        data += 4
        size -= 4
    if size >= 2:
        memcpy(&half, data, 2)
        acc += half
        data += 2
        size -= 2
    if size:
        half = 0
        memcpy(&half, data, 1)              # the odd byte is the first of its word, RFC 1071 section 4.1
        acc += half
    return acc


cdef uint16_t sum_fold(uint64_t acc) noexcept nogil:
    acc = <uint32_t>acc + (acc >> 32)
    acc = <uint32_t>acc + (acc >> 32)
    acc = <uint16_t>acc + (acc >> 16)
    acc = <uint16_t>acc + (acc >> 16)
    return <uint16_t>~acc


def checksum(*parts) -> int:
    cdef const uint8_t[::1] view
    cdef uint64_t acc = 0
    cdef uint16_t folded
    cdef const uint8_t *stored = <const uint8_t *>&folded
    cdef Py_ssize_t i, last = len(parts) - 1
    for i in range(last + 1):
        view = parts[i]
        if i < last and view.shape[0] & 1:
            raise ValueError("only the last part may have an odd length")
        if view.shape[0]:
            acc = sum_words(&view[0], view.shape[0], acc)
    folded = sum_fold(acc)
    return stored[0] << 8 | stored[1]
