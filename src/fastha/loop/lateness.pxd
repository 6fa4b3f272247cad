"""How late something was, counted in steps: below 100 us, 1 ms, 10 ms, 100 ms, 1 s, more."""

from libc.stdint cimport uint64_t

from fastha.loop.clock cimport ns_t

cdef enum:
    LATE_STEPS = 6


cdef inline void note_lateness(ns_t *worst_ns, uint64_t *steps, ns_t late_ns) noexcept nogil:
    cdef ns_t below = 100000
    cdef int step = 0
    if late_ns < 0:
        late_ns = 0
    if late_ns > worst_ns[0]:
        worst_ns[0] = late_ns
    while step < LATE_STEPS - 1 and late_ns >= below:
        below *= 10
        step += 1
    steps[step] += 1
