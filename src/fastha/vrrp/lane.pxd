"""The Python coat of the engine; see lane.pyi for what Python sees, engine.pxd for what runs."""

from fastha.loop.reactor cimport Reactor
from fastha.vrrp.engine cimport lane_router, lane_socket, lane_t

cdef class Lane:
    """The Python coat; see lane.pyi."""
    cdef lane_t *lane
    cdef readonly Reactor reactor
    cdef lane_router *router(self, int index) except NULL
    cdef lane_socket *socket(self, int slot) except NULL
    cdef int allow(self, lane_router *r, allowed) except -1
