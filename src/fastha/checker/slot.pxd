"""What the probe engine is made of: a slot for each check, and a flight for each probe that is under way.

A slot belongs to one check for its whole life and moves through

    HELD -> WAITING -> (QUEUED) -> CONNECTING -> SENDING -> READING -> HELD or WAITING
            timer       limit       epoll         epoll      epoll

A check that waits costs its slot and nothing else: descriptor, buffers and parsers belong to the flight, of which there
are as many as probes may be under way at once. What many checks have in common (kind, timing, source, question) is a
*manner* and stored once.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from fastha.checker.http cimport http_reply
from fastha.loop.clock cimport ns_t
from fastha.loop.reactor cimport reactor_t
from fastha.loop.wheel cimport wheel_node

cdef extern from "<netinet/in.h>" nogil:
    struct sockaddr:
        uint16_t sa_family
    struct sockaddr_in6:
        uint16_t sin6_family

cdef enum ending_t:                         # the same numbers as fastha.checker.ending.Ending
    UNFINISHED = -1                         # not an ending: the exchange goes on
    CONNECTED = 0                           # TCP: the handshake is done
    ANSWERED = 1                            # HTTP: status (and digest) as wanted; UDP, DNS, PING: a good answer
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
    NO_SOURCE = 12                          # bind: EADDRNOTAVAIL; SO_BINDTODEVICE: ENODEV
    DENIED = 13                             # EACCES, EPERM: a packet filter or a security module of ours
    ERROR = 14                              # anything else: detail is the errno
    NO_PORT = 15                            # connect: EADDRNOTAVAIL (and there is a source address); bind: EADDRINUSE
    NO_DESCRIPTOR = 16                      # EMFILE, ENFILE
    NO_MEMORY = 17                          # ENOMEM, ENOBUFS
    SILENT = 18                             # UDP that needs no reply: nobody objected in time
    MISMATCH = 19                           # UDP: not the reply asked for
    LENGTH = 20                             # UDP: too short or too long; detail is the length
    RCODE = 21                              # DNS: detail is the response code (RFC 1035 section 4.1.1)
    ENDINGS = 22

cdef enum state_t:
    FREE
    HELD                                    # finished; Python says what next
    WAITING                                 # its timer is armed for the next start
    QUEUED                                  # due, and waits for one of the probes in flight to end
    CONNECTING                              # from here on: in flight, a descriptor is open, the timer is the deadline
    SENDING
    READING

cdef enum kind_t:
    KIND_TCP
    KIND_HTTP
    KIND_UDP                                # from here on: datagrams
    KIND_DNS
    KIND_PING

cdef struct url_t:
    const char *request
    uint32_t request_size
    bint digested                           # `digest` is wanted
    unsigned char digest[16]
    uint8_t accepted[75]                    # bit s: status s (0..599) is accepted

cdef struct manner_t:                       # one block with what it points to behind it
    uint32_t uses
    uint8_t kind                            # kind_t
    bint reset                              # streams: close with RST
    bint require_reply                      # UDP
    uint32_t mark                           # SO_MARK; 0: none
    char device[16]                         # SO_BINDTODEVICE; "": any
    sockaddr_in6 local                      # family 0: not bound
    ns_t timeout_ns
    ns_t delay_ns
    uint32_t question_size
    uint32_t pattern_size                   # of `pattern` and of `mask`
    uint32_t least                          # bytes of a reply
    uint32_t most
    const char *question                    # UDP: the payload; DNS: the query, whose id is filled in
    const char *pattern
    const char *mask

cdef struct engine_t
cdef struct probe_t

cdef struct flight_t:
    engine_t *engine
    probe_t *probe
    flight_t *next                          # in the free list
    int fd
    int detail                              # of the ending: errno, status, rcode, length
    uint32_t heard                          # epoll events so far, but for EPOLLOUT
    uint32_t sent                           # bytes of the request
    uint32_t tag                            # DNS: id; PING: sequence and id
    bint watched                            # the reactor knows `fd`
    bint extended                           # the deadline was moved because this process was late
    bint raw                                # PING: a raw socket
    bint peer_closed                        # the peer ended the connection first
    void *md5                               # NULL: not needed yet
    http_reply reply

cdef inline int ended(flight_t *f, int ending, int detail) noexcept nogil:
    f.detail = detail
    return ending

cdef struct probe_t:
    wheel_node node                         # node.index: which slot this is
    probe_t *prev                           # in the queue or among the results; next also in the free list
    probe_t *next
    const manner_t *manner
    url_t *urls                             # HTTP: one block with the requests behind it
    flight_t *flight                        # NULL: not in flight
    sockaddr_in6 peer                       # or sockaddr_in
    uint32_t generation                     # of the slot: results of a slot that was closed meanwhile are void
    uint32_t took_us                        # of the last good answer; UINT32_MAX: none yet
    uint32_t lasted_us                      # of the last probe
    uint32_t late_us                        # after it was due
    ns_t started_ns
    uint32_t checks
    uint32_t failures
    int32_t detail                          # of its ending
    uint8_t ending
    uint8_t state                           # state_t
    uint8_t steady
    uint8_t reported                        # has a result that Python has not taken
    uint16_t url                            # which of `urls` this probe fetches
    uint16_t url_count

cdef struct result_t:                       # what Python reads: fastha.checker.probe.RESULT
    uint32_t slot
    uint32_t generation
    uint16_t ending
    uint16_t url
    int32_t detail
    int64_t due_ns                          # when it was to start: periods are counted from there
    int64_t ended_ns

cdef enum:
    CHUNK = 256                             # slots are allocated in chunks that never move: the wheel points into them
    BUFFER = 65536
    DELIVERY = 256                          # results handed to Python in one turn: it takes some 10 ms for them
    READS = 4                               # of one reply per event, so that a fast one starves nobody
    LATE_NS = 20000000                      # a deadline handled later than this was missed by us, not by the server
    LATE_BOUNDS = 5                         # probes started less than 1, 10, 50, 1000 ms after they were due, later

cdef struct list_t:
    probe_t *first
    probe_t *last
    uint32_t count

cdef struct engine_t:
    reactor_t *reactor
    int kind                                # of our timers
    probe_t **chunks
    uint32_t slots                          # made so far
    uint32_t open_slots
    probe_t *free
    flight_t *flights                       # `limit` of them; untouched before they are needed
    uint32_t flights_made
    flight_t *free_flight
    list_t queue
    list_t results                          # HELD slots whose result Python has not taken
    uint32_t limit
    uint32_t in_flight
    uint64_t started
    uint64_t ended
    uint64_t cancelled
    uint64_t waited                         # probes that had to queue
    uint64_t most_in_flight
    uint64_t resets                         # connections we ended with RST: no port of ours stays behind
    uint64_t farewells                      # connections we ended with FIN: TIME_WAIT holds a port for a minute
    uint64_t late[LATE_BOUNDS]
    uint64_t endings[ENDINGS]
    uint64_t random                         # state of a generator for ids
    bint raw_ping[2]                        # IPv4, IPv6: datagram sockets of ICMP are not for us
    char *buffer                            # BUFFER bytes, shared: a piece of a reply is digested before the next
    result_t *delivery                      # DELIVERY of them
