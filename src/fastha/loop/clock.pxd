"""The monotonic clock. Nothing else in the house reads it; cores take `now_ns` as an argument."""

from libc.stdint cimport int64_t

ctypedef int64_t ns_t                       # nanoseconds on CLOCK_MONOTONIC
cdef enum:
    NS_PER_S = 1000000000

cdef ns_t monotonic_ns() noexcept nogil     # clock_gettime(CLOCK_MONOTONIC); a vDSO call, no system call
