"""The lane of BFD: what happens at the rate of packets, on C structs, without a Python object.

A packet on an Up session that says nothing new moves its detection time; the transmit timer sends a packet that was
built before. Everything else is left *pending* on the session, which is then linked into a list of dirty sessions that
Python takes once per turn and plays through machine.step. A session is in that list at most once and keeps the last
packet it heard (with every Poll and Final since), so the list needs no room of its own: what a peer said before is what
it has taken back.

The detection timer is lazy: a packet only moves `detect_at_ns`, and a timer that comes too early re-arms itself, so
that a healthy session costs the wheel one operation per detection time and not one per packet.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastha.loop.clock cimport ns_t
from fastha.loop.lateness cimport LATE_STEPS
from fastha.loop.mmsg cimport iovec, mmsghdr
from fastha.loop.reactor cimport reactor_t
from fastha.loop.wheel cimport wheel_node
from fastha.wire.bfd cimport BFD_SIZE, BFD_VERDICTS, bfd_t

# Why a packet was dropped: first wire.bfd's verdicts, then what only a session can know, in the order of RFC 5880
# section 6.8.6.
cdef enum bfd_reason:
    REASON_NO_SESSION = BFD_VERDICTS        # for no discriminator or address of ours
    REASON_PORT                             # single hop on a multihop session, or the other way round
    REASON_TTL                              # it has come further than it may: RFC 5881 section 5
    REASON_AUTH                             # A is set, and we have no authentication
    REASON_ADMIN_DOWN                       # the session takes no part
    REASONS_COUNT

cdef enum bfd_pending:
    PENDING_PACKET = 1
    PENDING_TIMER = 2                       # nothing was heard for a detection time
    PENDING_REOPEN = 4                      # its socket does not send any more

cdef enum:
    BATCH = 64                              # packets per system call
    ROOM = 128                              # bytes per received packet; those of BFD have 24, with authentication 52
    CONTROL_ROOM = 96                       # TTL and destination
    NAME_ROOM = 28                          # sockaddr_in6
    BUCKETS = 4096

cdef struct lane_session:
    wheel_node tx_timer
    wheel_node detect_timer
    lane_session *next_mine                 # with the same bucket
    lane_session *next_peer
    lane_session *next_dirty
    uint32_t index
    bint used
    bint dirty
    # rules
    int family                              # AF_INET or AF_INET6
    bint multihop
    uint8_t peer[16]                        # 4 or 16 bytes, the rest 0
    uint8_t local[16]                       # 0: any
    uint8_t least_ttl                       # a packet with less has come too far
    uint32_t mine
    # state
    uint8_t state
    bfd_t heard                             # what the machine knows of the peer; flags: BFD_DEMAND alone
    ns_t detection_ns
    ns_t detect_at_ns                       # -1: nobody is heard
    ns_t interval_ns                        # between periodic packets, before jitter; 0: none
    # sending
    int tx_fd                               # connected; -1: none
    uint8_t packet[BFD_SIZE]
    ns_t sent_ns                            # when the last packet left, or should have
    ns_t complain_ns                        # not before this again
    # pending
    uint32_t pending
    bfd_t last
    ns_t heard_ns
    # counters
    uint64_t sent
    uint64_t send_errors
    int last_errno
    uint64_t received
    uint64_t discarded[REASONS_COUNT]
    ns_t late_max_ns
    uint64_t late[LATE_STEPS]
    ns_t detect_late_max_ns

cdef struct lane_socket:
    int fd
    int family
    bint multihop

cdef struct lane_t:
    reactor_t *reactor
    int tx_kind
    int detect_kind
    uint64_t random                         # xorshift64*: jitter needs no secret
    lane_session **sessions
    uint32_t session_count
    lane_session *by_mine[BUCKETS]
    lane_session *by_peer[BUCKETS]
    lane_socket sockets[4]
    uint32_t socket_count
    lane_session *dirty_first
    lane_session *dirty_last
    uint64_t discarded[REASONS_COUNT]       # of no session
    uint64_t socket_errors
    # receiving
    uint8_t rx_room[BATCH][ROOM]
    uint8_t rx_control[BATCH][CONTROL_ROOM]
    uint8_t rx_names[BATCH][NAME_ROOM]
    mmsghdr rx_messages[BATCH]
    iovec rx_vectors[BATCH]

cdef void lane_init(lane_t *lane) noexcept nogil

# Into and out of the tables that packets are told apart by.
cdef void session_link(lane_t *lane, lane_session *s) noexcept nogil
cdef void session_unlink(lane_t *lane, lane_session *s) noexcept nogil
# By our discriminator; NULL: none has it.
cdef lane_session *find_mine(const lane_t *lane, uint32_t mine) noexcept nogil

# The interval less 10 to 25 percent, RFC 5880 section 6.8.7: fit for every multiplier.
cdef ns_t jittered_ns(lane_t *lane, ns_t interval_ns) noexcept nogil
# Arm both timers for the state that was loaded.
cdef void session_arm(lane_t *lane, lane_session *s, ns_t now_ns) noexcept nogil
# Send its packet, with these flags besides its own (BFD_FINAL takes a BFD_POLL away). due_ns -1: not a timer's packet.
cdef void session_send(lane_t *lane, lane_session *s, uint8_t flags, ns_t due_ns, ns_t now_ns) noexcept nogil

# A datagram, its TTL and addresses (16 bytes each). True if a session became dirty.
cdef bint lane_hear(
    lane_t *lane, const lane_socket *socket, const uint8_t *packet, size_t size, int ttl, const uint8_t *src,
    const uint8_t *dst, ns_t now_ns
) noexcept nogil
# Its timers are due. True if it became dirty.
cdef bint session_transmit(lane_t *lane, lane_session *s, ns_t now_ns) noexcept nogil
cdef bint session_detect(lane_t *lane, lane_session *s, ns_t now_ns) noexcept nogil

# Handlers for the reactor; ctx is the lane_t.
cdef int lane_on_readable(void *ctx, int fd, uint32_t events, ns_t now_ns) noexcept nogil
cdef int lane_on_timer(void *ctx, wheel_node *node, ns_t now_ns) noexcept nogil
