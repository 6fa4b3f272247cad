# See engine.pxd for the shape. Facts that matter here:
#
# - recvmmsg fills buffers that were allocated once; a batch is bounded, so a flood cannot keep timers waiting.
# - Before a detection timer acts every socket is drained: what the kernel already has is heard first.
# - The cell of machine.py that is repeated here is Up x Packet; tests/unit/test_bfd_lane.py compares both over a grid.

from libc.errno cimport EAGAIN, ECONNREFUSED, EINTR, ENOBUFS, errno
from libc.stddef cimport size_t
from libc.string cimport memcmp, memcpy

from fastha.loop.clock cimport NS_PER_S, monotonic_ns
from fastha.loop.lateness cimport note_lateness
from fastha.loop.mmsg cimport MSG_DONTWAIT, msghdr, recvmmsg
from fastha.loop.wheel cimport wheel_arm, wheel_disarm
from fastha.wire.bfd cimport (
    BFD_ADMIN_DOWN, BFD_AUTH, BFD_DEMAND, BFD_FINAL, BFD_OK, BFD_POLL, BFD_UP, bfd_decode,
)

cdef extern from * nogil:
    """
    #include <netinet/in.h>
    #include <stdint.h>
    #include <string.h>
    #include <sys/socket.h>

    /* What came with a datagram: TTL (-1: not said), source and destination (16 bytes each, IPv4 in the first 4). */
    static void datagram_facts(struct msghdr *message, int family, int *ttl, uint8_t *src, uint8_t *dst)
    {
        memset(src, 0, 16);
        memset(dst, 0, 16);
        *ttl = -1;
        if (family == AF_INET && message->msg_namelen >= sizeof(struct sockaddr_in))
            memcpy(src, &((struct sockaddr_in *)message->msg_name)->sin_addr, 4);
        else if (family == AF_INET6 && message->msg_namelen >= sizeof(struct sockaddr_in6))
            memcpy(src, &((struct sockaddr_in6 *)message->msg_name)->sin6_addr, 16);
        for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
            if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL && c->cmsg_len >= CMSG_LEN(sizeof(int)))
                memcpy(ttl, CMSG_DATA(c), sizeof(int));
            else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT &&
                     c->cmsg_len >= CMSG_LEN(sizeof(int)))
                memcpy(ttl, CMSG_DATA(c), sizeof(int));
            else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO &&
                     c->cmsg_len >= CMSG_LEN(sizeof(struct in_pktinfo)))
                memcpy(dst, CMSG_DATA(c) + offsetof(struct in_pktinfo, ipi_addr), 4);
            else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO &&
                     c->cmsg_len >= CMSG_LEN(sizeof(struct in6_pktinfo)))
                memcpy(dst, CMSG_DATA(c), 16);
        }
    }
    """
    void datagram_facts(msghdr *message, int family, int *ttl, uint8_t *src, uint8_t *dst)
    ssize_t send(int fd, const void *data, size_t size, int flags)

cdef enum:
    ROUNDS = 4                              # batches per readiness: then timers have their say
    DRAIN_ROUNDS = 256                      # batches before silence is believed: more than a socket's buffer holds

cdef const uint8_t *NOWHERE = b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"


cdef void lane_init(lane_t *lane) noexcept nogil:
    cdef int i
    for i in range(BATCH):
        lane.rx_vectors[i].iov_base = lane.rx_room[i]
        lane.rx_vectors[i].iov_len = ROOM
        lane.rx_messages[i].msg_hdr.msg_iov = &lane.rx_vectors[i]
        lane.rx_messages[i].msg_hdr.msg_iovlen = 1


# -- which session -------------------------------------------------------------------------------------------------

cdef uint32_t bucket_of(const uint8_t *data, size_t size) noexcept nogil:
    # FNV-1a
    cdef uint32_t acc = 2166136261u
    cdef size_t i
    for i in range(size):
        acc = (acc ^ data[i]) * 16777619u
    return (acc ^ acc >> 16) % BUCKETS


cdef void session_link(lane_t *lane, lane_session *s) noexcept nogil:
    cdef lane_session **mine = &lane.by_mine[bucket_of(<const uint8_t *>&s.mine, 4)]
    cdef lane_session **peer = &lane.by_peer[bucket_of(s.peer, 16)]
    s.next_mine = mine[0]
    mine[0] = s
    s.next_peer = peer[0]
    peer[0] = s


cdef void session_unlink(lane_t *lane, lane_session *s) noexcept nogil:
    cdef lane_session **at = &lane.by_mine[bucket_of(<const uint8_t *>&s.mine, 4)]
    cdef lane_session *other = lane.dirty_first
    cdef lane_session *before = NULL
    while at[0] != NULL and at[0] != s:
        at = &at[0].next_mine
    if at[0] == s:
        at[0] = s.next_mine
    at = &lane.by_peer[bucket_of(s.peer, 16)]
    while at[0] != NULL and at[0] != s:
        at = &at[0].next_peer
    if at[0] == s:
        at[0] = s.next_peer
    while other != NULL and other != s:
        before = other
        other = other.next_dirty
    if other == NULL:
        return
    if before == NULL:
        lane.dirty_first = s.next_dirty
    else:
        before.next_dirty = s.next_dirty
    if lane.dirty_last == s:
        lane.dirty_last = before
    s.dirty = False


cdef lane_session *find_mine(const lane_t *lane, uint32_t mine) noexcept nogil:
    cdef lane_session *s = lane.by_mine[bucket_of(<const uint8_t *>&mine, 4)]
    while s != NULL and s.mine != mine:
        s = s.next_mine
    return s


cdef lane_session *find_peer(
    const lane_t *lane, const lane_socket *socket, const uint8_t *src, const uint8_t *dst
) noexcept nogil:
    # RFC 5881 section 3, RFC 5883 section 3: by the addresses (and the kind of session) while nothing better is known
    cdef lane_session *s = lane.by_peer[bucket_of(src, 16)]
    while s != NULL:
        if s.family == socket.family and s.multihop == socket.multihop and memcmp(s.peer, src, 16) == 0 and (
                memcmp(s.local, NOWHERE, 16) == 0 or memcmp(s.local, dst, 16) == 0):
            return s
        s = s.next_peer
    return NULL


# -- receiving -----------------------------------------------------------------------------------------------------

cdef bint make_dirty(lane_t *lane, lane_session *s, uint32_t what) noexcept nogil:
    s.pending |= what
    if s.dirty:
        return False
    s.dirty = True
    s.next_dirty = NULL
    if lane.dirty_last == NULL:
        lane.dirty_first = s
    else:
        lane.dirty_last.next_dirty = s
    lane.dirty_last = s
    return True


cdef bint nothing_new(const lane_session *s, const bfd_t *b) noexcept nogil:
    # The same as the last one that the machine saw, and no question or answer in it.
    return (
        b.state == BFD_UP and s.heard.state == BFD_UP
        and b.flags & (BFD_POLL | BFD_FINAL) == 0 and b.flags & BFD_DEMAND == s.heard.flags
        and b.mine == s.heard.mine and b.min_tx_us == s.heard.min_tx_us and b.min_rx_us == s.heard.min_rx_us
        and b.multiplier == s.heard.multiplier and b.diag == s.heard.diag
    )


cdef int session_refuses(const lane_session *s, const lane_socket *socket, const bfd_t *b, int ttl) noexcept nogil:
    # BFD_OK or why not: what wire.bfd cannot know.
    if s.family != socket.family or s.multihop != socket.multihop:
        return REASON_PORT
    if ttl < s.least_ttl:
        return REASON_TTL                   # RFC 5881 section 5, RFC 5883 section 5
    if b.flags & BFD_AUTH:
        return REASON_AUTH                  # "If the A bit is set and no authentication is in use ..."
    if s.state == BFD_ADMIN_DOWN:
        return REASON_ADMIN_DOWN
    return BFD_OK


cdef bint lane_hear(
    lane_t *lane, const lane_socket *socket, const uint8_t *packet, size_t size, int ttl, const uint8_t *src,
    const uint8_t *dst, ns_t now_ns
) noexcept nogil:
    cdef bfd_t b
    cdef lane_session *s
    cdef uint8_t flags
    cdef int verdict = bfd_decode(packet, size, &b)
    if verdict != BFD_OK:
        lane.discarded[verdict] += 1
        return False
    # RFC 5880 section 6.3: Your Discriminator alone selects the session, once there is one.
    s = find_mine(lane, b.yours) if b.yours else find_peer(lane, socket, src, dst)
    if s == NULL:
        lane.discarded[<int>REASON_NO_SESSION] += 1
        return False
    verdict = session_refuses(s, socket, &b, ttl)
    if verdict != BFD_OK:
        s.discarded[verdict] += 1
        return False
    s.received += 1
    if not s.dirty and s.state == BFD_UP and nothing_new(s, &b):
        s.detect_at_ns = now_ns + s.detection_ns            # machine._up_packet
        return False
    flags = s.last.flags & (BFD_POLL | BFD_FINAL) if s.pending & PENDING_PACKET else 0
    s.last = b
    s.last.flags |= flags
    s.heard_ns = now_ns
    return make_dirty(lane, s, PENDING_PACKET)


cdef bint drain(lane_t *lane, const lane_socket *socket, int rounds) noexcept nogil:
    cdef int n, i, ttl
    cdef ns_t now_ns
    cdef uint8_t src[16]
    cdef uint8_t dst[16]
    cdef msghdr *message
    cdef bint dirty = False
    while rounds > 0:
        rounds -= 1
        for i in range(BATCH):              # the kernel writes into these
            message = &lane.rx_messages[i].msg_hdr
            message.msg_name = lane.rx_names[i]
            message.msg_namelen = NAME_ROOM
            message.msg_control = lane.rx_control[i]
            message.msg_controllen = CONTROL_ROOM
        n = recvmmsg(socket.fd, lane.rx_messages, BATCH, MSG_DONTWAIT, NULL)
        if n < 0:
            if errno == EINTR:
                continue
            if errno != EAGAIN:
                lane.socket_errors += 1
            break
        now_ns = monotonic_ns()
        for i in range(n):
            datagram_facts(&lane.rx_messages[i].msg_hdr, socket.family, &ttl, src, dst)
            if lane_hear(lane, socket, lane.rx_room[i], lane.rx_messages[i].msg_len, ttl, src, dst, now_ns):
                dirty = True
        if n < BATCH:
            break
    return dirty


cdef int lane_on_readable(void *ctx, int fd, uint32_t events, ns_t now_ns) noexcept nogil:
    cdef lane_t *lane = <lane_t *>ctx
    cdef uint32_t i
    for i in range(lane.socket_count):
        if lane.sockets[i].fd == fd:
            return drain(lane, &lane.sockets[i], ROUNDS)
    return 0


# -- sending -------------------------------------------------------------------------------------------------------

cdef void session_send(lane_t *lane, lane_session *s, uint8_t flags, ns_t due_ns, ns_t now_ns) noexcept nogil:
    cdef uint8_t packet[BFD_SIZE]
    cdef ssize_t n
    cdef int tries = 2
    memcpy(packet, s.packet, BFD_SIZE)
    packet[1] |= flags
    if flags & BFD_FINAL:
        packet[1] &= <uint8_t>~BFD_POLL     # RFC 5880 section 6.5: not both in one packet
    s.sent_ns = now_ns
    if s.tx_fd < 0:
        return
    while True:
        n = send(s.tx_fd, packet, BFD_SIZE, MSG_DONTWAIT)
        if n == BFD_SIZE:
            s.sent += 1
            if due_ns >= 0:
                note_lateness(&s.late_max_ns, s.late, monotonic_ns() - due_ns)
            return
        if errno == EINTR:
            continue
        tries -= 1
        if errno == ECONNREFUSED and tries:
            continue                        # an ICMP answer to the packet before; this one has not been tried yet
        break
    s.send_errors += 1
    s.last_errno = errno
    if errno != EAGAIN and errno != ENOBUFS and errno != ECONNREFUSED and now_ns >= s.complain_ns:
        s.complain_ns = now_ns + NS_PER_S
        make_dirty(lane, s, PENDING_REOPEN)


# -- timers --------------------------------------------------------------------------------------------------------

cdef ns_t jittered_ns(lane_t *lane, ns_t interval_ns) noexcept nogil:
    cdef uint64_t x = lane.random
    x ^= x >> 12
    x ^= x << 25
    x ^= x >> 27
    lane.random = x
    # With a multiplier of 1 at least 75 and at most 90 percent; else up to 25 percent less.
    return interval_ns - interval_ns // 10 - (interval_ns * 15 // 100 * <ns_t>(x * 2685821657736338717u >> 48) >> 16)


cdef void session_arm(lane_t *lane, lane_session *s, ns_t now_ns) noexcept nogil:
    cdef ns_t due_ns
    if s.interval_ns == 0:
        wheel_disarm(&lane.reactor.wheel, &s.tx_timer)
    else:
        # Section 6.8.3: never longer than the new interval after the packet before; overdue: as soon as practicable.
        due_ns = s.sent_ns + jittered_ns(lane, s.interval_ns)
        wheel_arm(&lane.reactor.wheel, &s.tx_timer, due_ns if due_ns > now_ns else now_ns)
    if s.detect_at_ns < 0:
        wheel_disarm(&lane.reactor.wheel, &s.detect_timer)
    else:
        wheel_arm(&lane.reactor.wheel, &s.detect_timer, s.detect_at_ns)


cdef bint session_transmit(lane_t *lane, lane_session *s, ns_t now_ns) noexcept nogil:
    cdef ns_t due_ns = s.tx_timer.deadline_ns
    cdef ns_t next_ns
    cdef bint was_dirty = s.dirty
    if s.interval_ns == 0:
        return False
    session_send(lane, s, 0, due_ns, now_ns)
    next_ns = due_ns + jittered_ns(lane, s.interval_ns)     # from the deadline: lateness does not add up
    wheel_arm(&lane.reactor.wheel, &s.tx_timer, next_ns if next_ns > now_ns else
              now_ns + jittered_ns(lane, s.interval_ns))
    return s.dirty and not was_dirty


cdef bint session_detect(lane_t *lane, lane_session *s, ns_t now_ns) noexcept nogil:
    cdef uint32_t i
    cdef bint dirty = False
    if s.detect_at_ns < 0:
        return False
    if s.detect_at_ns <= now_ns:
        for i in range(lane.socket_count):
            if drain(lane, &lane.sockets[i], DRAIN_ROUNDS):
                dirty = True
    if s.detect_at_ns > now_ns:             # heard since it was armed
        wheel_arm(&lane.reactor.wheel, &s.detect_timer, s.detect_at_ns)
        return dirty
    if now_ns - s.detect_at_ns > s.detect_late_max_ns:
        s.detect_late_max_ns = now_ns - s.detect_at_ns
    return make_dirty(lane, s, PENDING_TIMER) or dirty


cdef int lane_on_timer(void *ctx, wheel_node *node, ns_t now_ns) noexcept nogil:
    cdef lane_t *lane = <lane_t *>ctx
    if node.kind == lane.tx_kind:
        return session_transmit(lane, lane.sessions[node.index], now_ns)
    return session_detect(lane, lane.sessions[node.index], now_ns)
