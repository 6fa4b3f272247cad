"""The socket a probe leaves through: bound, marked and connected as its manner says; and what an errno means."""

from fastha.checker.slot cimport flight_t

cdef int ending_of(int error) noexcept nogil                    # of socket, connect, send or recv
# Opens f.fd with every option set and bound: UNFINISHED, or an ending (detail: errno).
cdef int outlet_open(flight_t *f) noexcept nogil
# Connects it: UNFINISHED (a datagram socket is ready; a stream is on its way), CONNECTED at once, or an ending.
cdef int outlet_connect(flight_t *f) noexcept nogil
# Closes it; a stream that the peer has not ended is reset if the manner says so.
cdef void outlet_close(flight_t *f) noexcept nogil
