"""The HTTP half of a probe: the request sent and the reply judged as it comes, on an edge-triggered descriptor."""

from fastha.checker.slot cimport flight_t

# Each returns an ending (f.detail: errno or status; f.peer_closed), or UNFINISHED.
cdef int exchange_begin(flight_t *f) noexcept nogil             # the connection is there
cdef int exchange_write(flight_t *f) noexcept nogil             # f.probe.state is READING once all is sent
# `again` is set when there may be more to read than one turn takes: the descriptor is to be reported anew.
cdef int exchange_read(flight_t *f, bint *again) noexcept nogil
