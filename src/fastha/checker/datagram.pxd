"""The datagram half of a probe: one question is sent, and what comes back on the connected socket is judged.

UDP_CHECK sends its payload as it is. DNS_CHECK sends a query (RFC 1035 section 4.1) with an id of its own. PING_CHECK
sends an ICMP echo (RFC 792, RFC 4443 section 4.1) whose data says which probe it is.
"""

from fastha.checker.slot cimport flight_t

# An ending (f.detail: errno, rcode or length), or UNFINISHED.
cdef int datagram_ask(flight_t *f) noexcept nogil
cdef int datagram_read(flight_t *f) noexcept nogil              # at most READS datagrams
cdef int datagram_silence(flight_t *f) noexcept nogil           # the time is over: SILENT or REPLY_TIMEOUT
