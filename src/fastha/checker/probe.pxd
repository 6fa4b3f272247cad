"""The probe engine: thousands of TCP, HTTP, UDP, DNS and PING probes on the reactor's epoll and wheel, without the GIL
from connect to verdict and without an allocation in steady state. slot.pxd says what it is made of.

A good ending of a *steady* slot (the check is up and nothing is pending: fastha.checker.verdict) re-arms its own timer
for the next period and only counts. Every other ending is put among the results, the slot is HELD, and Python decides
when it starts again.
"""

from libc.stdint cimport uint32_t

from fastha.checker.slot cimport engine_t, manner_t, probe_t, url_t
from fastha.loop.clock cimport ns_t
from fastha.loop.reactor cimport Reactor

cdef void probe_due(engine_t *e, probe_t *p) noexcept nogil         # start it, or queue it at the limit
cdef void probe_cancel(engine_t *e, probe_t *p) noexcept nogil      # whatever it does; HELD afterwards
cdef ns_t next_period(ns_t started_ns, ns_t delay_ns, ns_t now_ns) noexcept nogil
cdef int engine_check(engine_t *e) noexcept nogil                   # 0 if every invariant holds, else its number

cdef class Probes:
    """The Python coat: owns the engine_t. See probe.pyi."""
    cdef engine_t e
    cdef Reactor reactor
    cdef object _on_results
    cdef dict _manners                      # what a manner was made of -> its address
    cdef dict _keys                         # and the other way
    cdef probe_t *_slot(self, uint32_t index) except NULL
    cdef int _grow(self) except -1
    cdef manner_t *_manner(self, tuple key) except NULL
    cdef int _part(self, const manner_t *manner) except -1
    cdef url_t *_urls(self, list urls) except? NULL
