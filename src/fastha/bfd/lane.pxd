"""The Python coat of the engine; see lane.pyi for what Python sees, engine.pxd for what runs."""

from libc.stdint cimport uint8_t

from fastha.bfd.engine cimport lane_session, lane_t
from fastha.loop.reactor cimport Reactor

cdef class Lane:
    """The Python coat; see lane.pyi."""
    cdef lane_t *lane
    cdef readonly Reactor reactor
    cdef lane_session *session(self, int index) except NULL
    cdef int _address(
        self, lane_session *s, int family, bint multihop, bytes peer, bytes local, uint8_t least_ttl
    ) except -1
