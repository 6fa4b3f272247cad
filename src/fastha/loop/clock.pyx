from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec


cdef ns_t monotonic_ns() noexcept nogil:
    cdef timespec ts
    clock_gettime(CLOCK_MONOTONIC, &ts)     # cannot fail: the clock exists and `ts` is ours
    return <ns_t>ts.tv_sec * NS_PER_S + ts.tv_nsec


def now_ns() -> int:
    return monotonic_ns()
