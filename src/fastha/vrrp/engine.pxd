"""The lane: what happens thousands of times a second, on C structs, without a Python object.

A backup hears an acceptable advert and re-arms; a master's timer fires, its prebuilt frames leave, it re-arms.
Everything else is left *pending* on the router, which is then linked into a list of dirty routers that Python takes
once per turn and plays through machine.step. A router is in that list at most once and keeps the best advert it
heard, so the list needs no room of its own and nothing can be lost, whatever the wire does.

A dirty router takes no short cut: what came first is handled first.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastha.loop.clock cimport ns_t
from fastha.loop.reactor cimport reactor_t
from fastha.loop.wheel cimport wheel_node
from fastha.loop.lateness cimport LATE_STEPS
from fastha.loop.mmsg cimport iovec, mmsghdr
from fastha.vrrp.peers cimport PEERS, peer_t
from fastha.vrrp.seal cimport SEAL_REASONS, seal_t
from fastha.wire.ip cimport ip_t

cdef enum lane_role:                        # machine.Role, in the order of its definition
    LANE_INIT
    LANE_BACKUP
    LANE_MASTER
    LANE_FAULT

# Why an advert was dropped: first wire.advert's verdicts, then those of seal.pxd, then what only an instance can know.
cdef enum lane_reason:
    LANE_OTHER_VERSION = SEAL_REASONS    # the instance speaks another version
    LANE_AUTH_TYPE
    LANE_AUTH_PASSWORD
    LANE_INTERVAL                           # version 2: not our interval, RFC 3768 section 7.1
    LANE_SELF                               # our own address as source
    LANE_UNLISTED                           # unicast, and not from a peer (check_unicast_src)
    LANE_BOUNDS                             # not within min_ttl and max_ttl of the peer
    LANE_REASONS

cdef enum lane_pending:
    PENDING_TIMER = 1
    PENDING_ADVERT = 2
    PENDING_ZERO = 4
    PENDING_ZERO_LAST = 8                   # the resignation came after the advert
    PENDING_ADDRESSES = 16                  # a peer's address list differs from ours

cdef enum:
    BATCH = 64                              # packets per system call
    ROOM = 4224                             # bytes per received packet; the longest advert has 4088 + 28 (HMAC)

cdef enum:
    NAME6 = 28                              # sizeof(struct sockaddr_in6)
    CONTROL6_WORDS = 8                      # x 8 bytes: CMSG_SPACE of an in6_pktinfo and of a hop limit

cdef enum:
    TIMERS = 64                             # in one piece of memory: the wheel goes from one to the next

cdef enum:
    BEATS = 16                              # rules.BEATS
    REST_NS = 2000000                       # between two looks at sockets where adverts come all the time, at most

cdef enum:
    FEW = 16                                # bytes of addresses that lie where the rest of their router is

cdef enum:
    LANE_PEERS = 8                          # peers with other addresses that are remembered as told

cdef struct lane_frame:
    uint8_t *data
    uint16_t size
    uint16_t ip_offset                      # where the IP packet begins: 14 behind an Ethernet header, or 0
    uint16_t to_size                        # 0: the socket is connected
    uint8_t to[32]                          # sockaddr_ll, sockaddr_in or sockaddr_in6

cdef struct lane_allowed:
    ip_t ip
    uint8_t low                             # TTL
    uint8_t high

# In the order of use: what each advert needs is in the first lines of memory, for a router is cold when its turn comes.
cdef struct lane_router:
    wheel_node *timer                       # one of lane_t.timers
    # for a master's advert
    uint8_t role
    uint8_t priority
    uint8_t version
    uint8_t down_adverts
    bint dirty
    int slot                                # of the receiving socket; -1: none
    int tx_fd
    ns_t deadline_ns                        # -1: no timer
    ns_t advert_int_ns
    ns_t silence_ns
    seal_t *seal                            # auth_type AH or auth_hmac; NULL: neither
    lane_frame *frames                      # and their bytes, in one piece
    uint32_t frame_count
    uint32_t index
    uint64_t sent
    ns_t late_max_ns
    uint64_t late[LATE_STEPS]
    # for one that a backup hears
    lane_router *next_vrid                  # others with this VRID on the same socket (other unicast sources)
    ip_t listen_ip                          # the group, or the unicast source
    ip_t own_ip
    ip_t master_ip
    ns_t master_adver_ns
    uint8_t master_priority
    uint8_t auth_type
    uint8_t count
    uint8_t width                           # bytes of an address: 4 or 16
    uint32_t allowed_count                  # 0: everybody may speak
    uint8_t *addresses                      # count x width bytes, network order, as configured: `few` or memory
    uint8_t few[FEW]
    bint preempt
    bint patient                            # preempt_delay is set
    bint trusting                           # addresses are not compared in adverts of the master it knows
    bint deaf                               # owner_ignore_adverts
    bint holding
    bint delaying                           # a preempt delay runs
    uint64_t received
    peer_t peers[PEERS]                     # mostly one speaks: the first
    # state, rules
    lane_router *next_dirty
    int second_slot                         # of one that hears for it (a VMAC's); -1: none
    bint used
    uint8_t vrid
    bint plain_sum                          # a version 3 checksum without the pseudo header is right too
    ip_t old_sum                            # and one with this destination in it; 0: none
    lane_allowed *allowed
    uint8_t auth[8]
    # pending
    uint32_t pending
    uint8_t best_priority
    ip_t best_src
    ns_t best_adver_ns
    ip_t zero_src
    ip_t addresses_src
    ns_t heard_ns
    # counters
    uint64_t send_errors
    int last_errno
    uint64_t zero_received
    uint64_t addresses_differ
    uint64_t discarded[LANE_REASONS]
    ip_t told[LANE_PEERS]
    uint32_t told_next

cdef struct lane_socket:
    int fd
    int hears_for                           # slot of the socket whose routers hear what this one receives
    bint six                                # an IPv6 raw socket: it delivers payloads, and the rest beside them
    lane_router *by_vrid[256]
    uint64_t unknown_vrid
    ip_t strangers[256]                     # by VRID that is nobody's here: who spoke last; 0: nobody
    uint64_t malformed                      # no VRID could be read
    uint64_t errors

cdef struct lane_t:
    reactor_t *reactor
    int kind
    lane_router **routers
    wheel_node **timers                     # of router i: timers[i // TIMERS][i % TIMERS]
    uint32_t router_count
    lane_socket **sockets
    uint32_t socket_count
    uint32_t *slot_of_fd
    uint32_t fd_count
    lane_router *dirty_first
    lane_router *dirty_last
    # receiving
    ns_t heard_ns                           # when a socket was last readable
    ns_t rest_ns                            # REST_NS, or a beat of the quickest router that there was
    uint8_t *rx_room
    mmsghdr rx_messages[BATCH]
    mmsghdr rx6_messages[BATCH]             # the same buffers, with room for what IPv6 says beside a packet
    iovec rx_vectors[BATCH]
    uint64_t rx6_names[BATCH][4]            # sockaddr_in6; 64-bit words for their alignment
    uint64_t rx6_control[BATCH][CONTROL6_WORDS]
    # sending
    uint32_t tx_count
    int tx_fd
    mmsghdr tx_messages[BATCH]
    iovec tx_vectors[BATCH]
    lane_router *tx_owners[BATCH]
    ns_t tx_due_ns[BATCH]                   # -1: not a timer's advert

# The timers of rules.py, for one router in its state.
cdef ns_t router_interval_ns(const lane_router *r, ns_t heard_ns) noexcept nogil
cdef ns_t router_down_ns(const lane_router *r, ns_t master_adver_ns) noexcept nogil
cdef void router_arm(lane_t *lane, lane_router *r, ns_t deadline_ns) noexcept nogil

# A packet as an IPv4 raw socket delivers it. True if a router became dirty.
cdef bint lane_hear(lane_t *lane, lane_socket *s, const uint8_t *packet, size_t size, ns_t now_ns) noexcept nogil
# The same for IPv6: the payload, and what came beside it (addresses of 16 bytes; hop limit -1: not said).
cdef bint lane_hear6(
    lane_t *lane, lane_socket *s, const uint8_t *payload, size_t size, const uint8_t *src, const uint8_t *dst, int hops,
    ns_t now_ns) noexcept nogil
# Its timer is due: a master's frames are enqueued and it re-arms; a backup's socket is drained before silence counts.
# True if it became dirty.
cdef bint router_due(lane_t *lane, lane_router *r, ns_t now_ns) noexcept nogil

# Frames leave in batches: enqueue those of a router, flush at the end. due_ns -1: not a timer's advert.
cdef void router_enqueue(lane_t *lane, lane_router *r, ns_t due_ns) noexcept nogil
cdef void lane_flush(lane_t *lane) noexcept nogil
cdef void router_stamp(lane_router *r, uint8_t priority) noexcept nogil     # into its frames

cdef void router_free_frames(lane_router *r) noexcept nogil
cdef void router_unlink_vrid(lane_t *lane, lane_router *r) noexcept nogil   # it hears nothing any more
cdef void router_unlink_dirty(lane_t *lane, lane_router *r) noexcept nogil

# Handlers for the reactor; ctx is the lane_t.
cdef int lane_on_readable(void *ctx, int fd, uint32_t events, ns_t now_ns) noexcept nogil
cdef int lane_on_timer(void *ctx, wheel_node *node, ns_t now_ns) noexcept nogil
