"""The probe engine: thousands of TCP and HTTP probes on the reactor's epoll and wheel, without the GIL from connect to
verdict and without an allocation in steady state.

A slot belongs to one check for its whole life and moves through

    HELD -> WAITING -> (QUEUED) -> CONNECTING -> SENDING -> READING -> HELD or WAITING
            timer       limit       epoll         epoll      epoll

A good ending of a *steady* slot (the check is up and nothing is pending: fastha.checker.verdict) re-arms its own timer
for the next period and only counts. Every other ending is written to the results array, the slot is HELD, and Python
decides when it starts again.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from fastha.checker.http cimport http_reply
from fastha.loop.clock cimport ns_t
from fastha.loop.reactor cimport Reactor, reactor_t
from fastha.loop.wheel cimport wheel_node

cdef extern from "<netinet/in.h>" nogil:
    struct sockaddr:
        uint16_t sa_family
    struct sockaddr_in6:
        uint16_t sin6_family

cdef enum ending_t:                         # the same numbers as fastha.checker.ending.Ending
    CONNECTED = 0                           # TCP: the handshake is done
    ANSWERED = 1                            # HTTP: status (and digest) as wanted
    REFUSED = 2                             # ECONNREFUSED
    UNREACHABLE = 3                         # EHOSTUNREACH, ENETUNREACH, EHOSTDOWN, ENETDOWN, no source address: errno
    CONNECT_TIMEOUT = 4
    REPLY_TIMEOUT = 5
    RESET = 6                               # ECONNRESET, EPIPE
    STATUS = 7                              # detail is the status
    DIGEST = 8
    SHORT = 9                               # the connection ended before the reply did
    GARBAGE = 10
    TOO_LONG = 11
    NO_SOURCE = 12                          # bind: EADDRNOTAVAIL
    DENIED = 13                             # EACCES, EPERM: a packet filter or a security module of ours
    ERROR = 14                              # anything else: detail is the errno
    NO_PORT = 15                            # connect: EADDRNOTAVAIL (and there is a source address); bind: EADDRINUSE
    NO_DESCRIPTOR = 16                      # EMFILE, ENFILE
    NO_MEMORY = 17                          # ENOMEM, ENOBUFS
    ENDINGS = 18

cdef enum state_t:
    FREE
    HELD                                    # finished; Python says what next
    WAITING                                 # its timer is armed for the next start
    QUEUED                                  # due, and waits for one of the probes in flight to end
    CONNECTING                              # from here on: in flight, a descriptor is open, the timer is the deadline
    SENDING
    READING

cdef struct url_t:
    const char *request
    uint32_t request_size
    bint digested                           # `digest` is wanted
    unsigned char digest[16]
    uint8_t accepted[75]                    # bit s: status s (0..599) is accepted

cdef struct engine_t

cdef struct probe_t:
    wheel_node node
    engine_t *engine
    probe_t *prev                           # in the queue, or next in the free list
    probe_t *next
    uint32_t index
    uint32_t generation                     # of the slot: results of a slot that was closed meanwhile are void
    uint8_t state                           # state_t
    bint steady
    bint watched                            # the reactor knows `fd`
    bint reported                           # has a result that Python has not taken
    bint extended                           # the deadline was moved because this process was late
    uint16_t url                            # which of `urls` this probe fetches
    uint16_t url_count                      # 0: TCP
    int fd
    uint32_t sent                           # bytes of the request
    sockaddr_in6 peer                       # or sockaddr_in
    sockaddr_in6 local                      # family 0: not bound
    uint32_t address_size
    ns_t timeout_ns
    ns_t delay_ns
    ns_t started_ns
    ns_t took_ns                            # of the last good ending; -1: none yet
    uint64_t checks
    uint64_t failures
    url_t *urls                             # one block with the requests behind it
    void *md5                               # NULL: no URL wants a digest
    http_reply reply

cdef struct result_t:                       # what Python reads: fastha.checker.probe.RESULT
    uint32_t slot
    uint32_t generation
    uint16_t ending
    uint16_t url
    int32_t detail
    int64_t started_ns
    int64_t ended_ns

cdef enum:
    CHUNK = 256                             # slots are allocated in chunks that never move: the wheel points into them
    BUFFER = 65536
    READS = 4                               # of one reply per event, so that a fast one starves nobody
    LATE_NS = 20000000                      # a deadline handled later than this was missed by us, not by the server

cdef struct engine_t:
    reactor_t *reactor
    int kind                                # of our timers
    probe_t **chunks
    uint32_t slots                          # made so far
    uint32_t open_slots
    probe_t *free
    probe_t *first                          # the queue
    probe_t *last
    uint32_t queued
    uint32_t limit
    uint32_t in_flight
    result_t *results                       # room for one of each slot: a slot with a result is HELD
    uint32_t result_count
    uint64_t started
    uint64_t ended
    uint64_t cancelled
    uint64_t waited                         # probes that had to queue
    uint64_t endings[ENDINGS]
    char *buffer                            # BUFFER bytes, shared: a piece of a reply is digested before the next

cdef void probe_due(probe_t *p) noexcept nogil                      # start it, or queue it at the limit
cdef void probe_cancel(probe_t *p) noexcept nogil                   # whatever it does; HELD afterwards
cdef ns_t next_period(ns_t started_ns, ns_t delay_ns, ns_t now_ns) noexcept nogil
cdef int engine_check(engine_t *e) noexcept nogil                   # 0 if every invariant holds, else its number

cdef class Probes:
    """The Python coat: owns the engine_t. See probe.pyi."""
    cdef engine_t e
    cdef Reactor reactor
    cdef object _on_results
    cdef probe_t *_slot(self, uint32_t index) except NULL
    cdef int _grow(self) except -1
    cdef int _set_urls(self, probe_t *p, list urls) except -1
