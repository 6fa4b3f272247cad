# See engine.pxd for the shape. Facts that matter here:
#
# - recvmmsg fills buffers that were allocated once; a batch is bounded, so a flood cannot keep timers waiting.
# - Before a master-down timer acts its socket is drained: what the kernel already has is heard first.
# - Masters due in the same turn leave in one sendmmsg: the handler takes their nodes from the wheel's expired list.
# - A router is cold when its turn comes: the kernel has used the caches since. What is to come is fetched meanwhile.
# - Where adverts arrive all the time, waking up for each costs more than all else; so the loop rests between two looks.
# - The cells of machine.py that are repeated here name it; tests/unit/test_vrrp_lane.py compares both over a grid.

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdlib cimport free
from libc.string cimport memcmp, memset

from fastha.loop.clock cimport NS_PER_S, monotonic_ns
from fastha.loop.reactor cimport reactor_rest
from fastha.loop.wheel cimport node_armed, wheel_arm, wheel_pop
from fastha.loop.lateness cimport note_lateness
from fastha.loop.mmsg cimport MSG_DONTWAIT, mmsghdr, msghdr, recvmmsg, sendmmsg
from fastha.vrrp.peers cimport note_peer
from fastha.vrrp.seal cimport seal_decode4, seal_decode6, seal_next, seal_sign
from fastha.wire.advert cimport (
    ADVERT_CHECKSUM, ADVERT_LENGTH, ADVERT_OK, advert_decode, advert_decode6, advert_set_priority, advert_sum_is,
    advert_t,
)
from fastha.wire.ah cimport AH_PROTOCOL, AH_SIZE
from fastha.wire.ip cimport ip4_read, ip6_read, ip_less, ip_same, ip_t

cdef extern from * nogil:
    """
    #include <netinet/in.h>
    #include <stdint.h>
    #include <string.h>
    #include <sys/socket.h>

    /* What came beside an IPv6 packet: source and destination (16 bytes each; 0: not said), hop limit (or -1). */
    static void packet_facts6(struct msghdr *message, uint8_t *src, uint8_t *dst, int *hops)
    {
        memset(src, 0, 16);
        memset(dst, 0, 16);
        *hops = -1;
        if (message->msg_namelen >= sizeof(struct sockaddr_in6))
            memcpy(src, &((struct sockaddr_in6 *)message->msg_name)->sin6_addr, 16);
        for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
            if (c->cmsg_level != IPPROTO_IPV6)
                continue;
            if (c->cmsg_type == IPV6_HOPLIMIT && c->cmsg_len >= CMSG_LEN(sizeof(int)))
                memcpy(hops, CMSG_DATA(c), sizeof(int));
            else if (c->cmsg_type == IPV6_PKTINFO && c->cmsg_len >= CMSG_LEN(sizeof(struct in6_pktinfo)))
                memcpy(dst, CMSG_DATA(c), 16);
        }
    }
    """
    void packet_facts6(msghdr *message, uint8_t *src, uint8_t *dst, int *hops)

cdef enum:
    ROUNDS = 4                              # batches per readiness: then timers have their say
    DRAIN_ROUNDS = 64                       # batches before silence is believed: more than a socket's buffer holds
    NS_PER_CS = 10000000
    MIN_INTERVAL_NS = 10000000              # rules.MIN_INTERVAL_NS
    FAR = 20                                # routers that are fetched before their turn
    NEAR = 8                                # whose frames are

cdef extern from * nogil:
    void prefetch "__builtin_prefetch"(const void *at)

# -- timers, as in rules.py ----------------------------------------------------------------------------------------

cdef ns_t router_interval_ns(const lane_router *r, ns_t heard_ns) noexcept nogil:
    if r.version == 2:
        return r.advert_int_ns
    return heard_ns if heard_ns > MIN_INTERVAL_NS else MIN_INTERVAL_NS


cdef ns_t router_down_ns(const lane_router *r, ns_t master_adver_ns) noexcept nogil:
    cdef ns_t unit = NS_PER_S if r.version == 2 else master_adver_ns
    return r.down_adverts * router_interval_ns(r, master_adver_ns) + (256 - r.priority) * unit // 256


cdef ns_t router_due_ns(const lane_router *r, ns_t now_ns) noexcept nogil:
    cdef ns_t beat_ns = r.advert_int_ns // BEATS
    return (now_ns + r.advert_int_ns) // beat_ns * beat_ns


cdef void router_arm(lane_t *lane, lane_router *r, ns_t deadline_ns) noexcept nogil:
    r.deadline_ns = deadline_ns
    wheel_arm(&lane.reactor.wheel, r.timer, deadline_ns)


# -- pending -------------------------------------------------------------------------------------------------------

cdef bint make_dirty(lane_t *lane, lane_router *r, uint32_t what) noexcept nogil:
    r.pending |= what
    if r.dirty:
        return False
    r.dirty = True
    r.next_dirty = NULL
    if lane.dirty_last == NULL:
        lane.dirty_first = r
    else:
        lane.dirty_last.next_dirty = r
    lane.dirty_last = r
    return True


cdef bint pend_advert(
    lane_t *lane, lane_router *r, const advert_t *a, ns_t adver_ns, ns_t now_ns
) noexcept nogil:
    r.heard_ns = now_ns
    if a.priority == 0:
        r.zero_src = a.src
        return make_dirty(lane, r, PENDING_ZERO | PENDING_ZERO_LAST)
    r.pending &= ~<uint32_t>PENDING_ZERO_LAST
    if not r.pending & PENDING_ADVERT or a.priority > r.best_priority or (
            a.priority == r.best_priority and not ip_less(a.src, r.best_src)):
        r.best_priority = a.priority
        r.best_src = a.src
        r.best_adver_ns = adver_ns
    return make_dirty(lane, r, PENDING_ADVERT)


# -- receiving -----------------------------------------------------------------------------------------------------

cdef bint same_addresses(const lane_router *r, const advert_t *a) noexcept nogil:
    cdef int i, j
    cdef size_t width = r.width
    if a.count != r.count or a.width != r.width:
        return False
    if memcmp(a.addresses, r.addresses, width * a.count) == 0:
        return True
    for i in range(a.count):                # the same in another order
        for j in range(r.count):
            if memcmp(a.addresses + width * i, r.addresses + width * j, width) == 0:
                break
        else:
            return False
    return True


cdef bint note_addresses(lane_t *lane, lane_router *r, ip_t src) noexcept nogil:
    # Counted always, told once per peer, honoured.
    cdef int i
    r.addresses_differ += 1
    for i in range(LANE_PEERS):
        if ip_same(r.told[i], src):
            return False
    r.told[r.told_next % LANE_PEERS] = src
    r.told_next += 1
    r.addresses_src = src
    return make_dirty(lane, r, PENDING_ADDRESSES)


cdef int acceptable(const lane_router *r, const advert_t *a) noexcept nogil:
    # ADVERT_OK or why not: what wire.advert cannot know.
    cdef uint32_t i
    if a.version != r.version:
        return LANE_OTHER_VERSION           # RFC 9568 section 7.1; keepalived does not mix versions either
    if a.version == 3 and a.count == 0 and r.count != 0:
        return ADVERT_LENGTH                # RFC 9568 section 5.2.5: at least one; `no_virtual_ipaddress` has none
    if ip_same(a.src, r.own_ip):
        return LANE_SELF
    if r.allowed_count:
        for i in range(r.allowed_count):
            if ip_same(r.allowed[i].ip, a.src):
                if not r.allowed[i].low <= a.ttl <= r.allowed[i].high:
                    return LANE_BOUNDS
                break
        else:
            return LANE_UNLISTED
    if r.version == 2:
        if a.auth_type != r.auth_type:
            return LANE_AUTH_TYPE           # RFC 2338 section 7.1
        if r.auth_type == 1 and memcmp(a.auth, r.auth, 8) != 0:
            return LANE_AUTH_PASSWORD
        if a.adver_cs * <ns_t>NS_PER_CS != r.advert_int_ns:
            return LANE_INTERVAL            # RFC 3768 section 7.1
    return ADVERT_OK


cdef bint other_sum(const lane_router *r, const advert_t *a) noexcept nogil:
    # v3_checksum_as_v2, old_unicast_checksum; a seal would not have been looked at.
    if r.seal != NULL or r.version != 3:
        return False
    if r.plain_sum and advert_sum_is(a, True, a.dst):
        return True
    return (r.old_sum.low != 0 or r.old_sum.high != 0) and advert_sum_is(a, False, r.old_sum)


cdef lane_router *find(lane_socket *s, uint8_t vrid, ip_t src, ip_t dst) noexcept nogil:
    # Whose it is; NULL and counted if it is nobody's.
    cdef lane_router *r = s.by_vrid[vrid]
    while r != NULL and not ip_same(r.listen_ip, dst):
        r = r.next_vrid
    if r == NULL:
        s.unknown_vrid += 1
        if s.by_vrid[vrid] == NULL:
            s.strangers[vrid] = src
    return r


cdef bint lane_hear(lane_t *lane, lane_socket *s, const uint8_t *packet, size_t size, ns_t now_ns) noexcept nogil:
    cdef advert_t a
    cdef lane_router *r
    cdef size_t header
    cdef bint check_ttl
    if size < 20:
        s.malformed += 1
        return False
    header = (packet[0] & 15) * 4 + (AH_SIZE if packet[9] == AH_PROTOCOL else 0)
    if header < 20 or size < header + 2:
        s.malformed += 1
        return False
    r = find(s, packet[header + 1], ip4_read(packet + 12), ip4_read(packet + 16))
    if r == NULL:
        return False
    # RFC 9568 5.1.1.3: TTL 255; unicast crosses routers, so there it is not looked at (as keepalived)
    check_ttl = packet[16] & 0xf0 == 0xe0
    if r.seal != NULL:
        return judged(lane, r, seal_decode4(r.seal, packet, size, check_ttl, &a, now_ns), &a, now_ns)
    return judged(lane, r, advert_decode(packet, size, check_ttl, &a), &a, now_ns)


cdef bint lane_hear6(
    lane_t *lane, lane_socket *s, const uint8_t *payload, size_t size, const uint8_t *src, const uint8_t *dst, int hops,
    ns_t now_ns
) noexcept nogil:
    cdef advert_t a
    cdef lane_router *r
    if size < 2 or hops < 0:
        s.malformed += 1
        return False
    r = find(s, payload[1], ip6_read(src), ip6_read(dst))
    if r == NULL:
        return False
    if r.seal != NULL:
        return judged(lane, r, seal_decode6(
            r.seal, payload, size, src, dst, <uint8_t>hops, dst[0] == 0xff, &a, now_ns), &a, now_ns)
    return judged(lane, r, advert_decode6(payload, size, src, dst, <uint8_t>hops, dst[0] == 0xff, &a), &a, now_ns)


cdef bint judged(lane_t *lane, lane_router *r, int verdict, const advert_t *a, ns_t now_ns) noexcept nogil:
    # An advert for this router and what the decoder says of it.
    cdef bint fresh = False
    if verdict == ADVERT_CHECKSUM and other_sum(r, a):
        verdict = ADVERT_OK
    if verdict == ADVERT_OK:
        verdict = acceptable(r, a)
    if verdict != ADVERT_OK:
        r.discarded[verdict] += 1
        return False
    r.received += 1
    note_peer(r.peers, a.src, a.priority, now_ns)
    if a.priority == 0:
        r.zero_received += 1
    if not (r.trusting and ip_same(a.src, r.master_ip)) and not same_addresses(r, a):
        fresh = note_addresses(lane, r, a.src)
    return hear_valid(lane, r, a, now_ns) or fresh


cdef bint hear_valid(lane_t *lane, lane_router *r, const advert_t *a, ns_t now_ns) noexcept nogil:
    cdef ns_t adver_ns = a.adver_cs * <ns_t>NS_PER_CS
    if r.role == LANE_FAULT:
        return False                        # machine: FAULT x Advert, AdvertZero
    if r.deaf and r.role != LANE_MASTER:
        return False                        # machine.step; of two masters Python tells
    if r.dirty or r.role == LANE_MASTER or r.holding or a.priority == 0 or not ip_same(a.src, r.master_ip):
        return pend_advert(lane, r, a, adver_ns, now_ns)
    if r.role == LANE_INIT:
        return False                        # machine: INIT x Advert from the same master
    if a.priority != r.master_priority:
        return pend_advert(lane, r, a, adver_ns, now_ns)
    # machine._backup_advert, from the master it already knows
    if r.preempt and a.priority < r.priority:
        if r.patient:
            return pend_advert(lane, r, a, adver_ns, now_ns)
        return False                        # (450) discard
    if r.delaying:
        return pend_advert(lane, r, a, adver_ns, now_ns)
    r.master_adver_ns = router_interval_ns(r, adver_ns)                             # (430)-(435)
    router_arm(lane, r, now_ns + router_down_ns(r, r.master_adver_ns))              # (440)-(445)
    return False


cdef bint hear_batch6(lane_t *lane, lane_socket *s, int n, ns_t now_ns) noexcept nogil:
    cdef uint8_t src[16]
    cdef uint8_t dst[16]
    cdef int i, hops
    cdef bint dirty = False
    for i in range(n):
        packet_facts6(&lane.rx6_messages[i].msg_hdr, src, dst, &hops)
        if lane_hear6(lane, s, lane.rx_room + i * ROOM, lane.rx6_messages[i].msg_len, src, dst, hops, now_ns):
            dirty = True
    return dirty


cdef void ready6(lane_t *lane) noexcept nogil:
    # The kernel writes how much it used over how much there is.
    cdef int i
    for i in range(BATCH):
        lane.rx6_messages[i].msg_hdr.msg_namelen = NAME6
        lane.rx6_messages[i].msg_hdr.msg_controllen = sizeof(lane.rx6_control[i])


cdef inline void fetch(const lane_router *r) noexcept nogil:
    # What each advert needs of it; see its definition.
    cdef const char *at = <const char *>r
    prefetch(at)
    prefetch(at + 64)
    prefetch(at + 128)


cdef inline void fetch_hearers(const lane_t *lane, const lane_socket *s, int n) noexcept nogil:
    # Whose adverts a batch of IPv4 packets has.
    cdef const uint8_t *packet
    cdef const lane_router *r
    cdef int i
    for i in range(n):
        packet = lane.rx_room + i * ROOM
        r = s.by_vrid[packet[(packet[0] & 15) * 4 + 1]]
        if r != NULL:
            fetch(r)
            prefetch(<const char *>r + 192)
            prefetch(<const char *>r + 256)


cdef bint drain(lane_t *lane, lane_socket *s, int rounds) noexcept nogil:
    cdef int n, i
    cdef ns_t now_ns
    cdef bint dirty = False
    cdef lane_socket *hearer = lane.sockets[s.hears_for]
    if hearer == NULL:
        hearer = s
    cdef mmsghdr *messages = &lane.rx6_messages[0] if s.six else &lane.rx_messages[0]
    while rounds > 0:
        rounds -= 1
        if s.six:
            ready6(lane)
        n = recvmmsg(s.fd, messages, BATCH, MSG_DONTWAIT, NULL)
        if n < 0:
            if errno == EINTR:
                continue
            if errno != EAGAIN:
                s.errors += 1               # ENETDOWN and the like; reading has cleared it
            break
        now_ns = monotonic_ns()
        if s.six:
            dirty = hear_batch6(lane, hearer, n, now_ns) or dirty
        else:
            fetch_hearers(lane, hearer, n)
            for i in range(n):
                if lane_hear(lane, hearer, lane.rx_room + i * ROOM, lane.rx_messages[i].msg_len, now_ns):
                    dirty = True
        if n < BATCH:
            break
    return dirty


cdef int lane_on_readable(void *ctx, int fd, uint32_t events, ns_t now_ns) noexcept nogil:
    cdef lane_t *lane = <lane_t *>ctx
    cdef lane_socket *s
    if <uint32_t>fd >= lane.fd_count:
        return 0
    s = lane.sockets[lane.slot_of_fd[fd]]
    if now_ns - lane.heard_ns < 2 * lane.rest_ns:
        reactor_rest(lane.reactor, now_ns + lane.rest_ns)
    lane.heard_ns = now_ns
    return drain(lane, s, ROUNDS) if s != NULL and s.fd == fd else 0


# -- sending -------------------------------------------------------------------------------------------------------

cdef void lane_flush(lane_t *lane) noexcept nogil:
    cdef uint32_t done = 0, i
    cdef int n
    cdef ns_t now_ns
    cdef lane_router *owner
    while done < lane.tx_count:
        n = sendmmsg(lane.tx_fd, lane.tx_messages + done, lane.tx_count - done, MSG_DONTWAIT)
        if n < 0 and errno == EINTR:
            continue
        if n <= 0:                          # the first one failed: ENETDOWN, ENOBUFS, ...; the others have their turn
            lane.tx_owners[done].send_errors += 1
            lane.tx_owners[done].last_errno = errno
            done += 1
            continue
        now_ns = monotonic_ns()
        for i in range(done, done + n):
            lane.tx_owners[i].sent += 1
            if lane.tx_due_ns[i] >= 0:
                owner = lane.tx_owners[i]
                note_lateness(&owner.late_max_ns, owner.late, now_ns - lane.tx_due_ns[i])
        done += n
    lane.tx_count = 0


cdef void router_enqueue(lane_t *lane, lane_router *r, ns_t due_ns) noexcept nogil:
    cdef uint32_t i, k
    cdef lane_frame *frame
    if r.seal != NULL:                      # one number for all copies
        seal_next(r.seal)
        for i in range(r.frame_count):
            seal_sign(r.seal, r.frames[i].data + r.frames[i].ip_offset, r.frames[i].size - r.frames[i].ip_offset)
    for i in range(r.frame_count):
        if lane.tx_count == BATCH or (lane.tx_count and lane.tx_fd != r.tx_fd):
            lane_flush(lane)
        frame = &r.frames[i]
        k = lane.tx_count
        lane.tx_fd = r.tx_fd
        lane.tx_vectors[k].iov_base = frame.data
        lane.tx_vectors[k].iov_len = frame.size
        memset(&lane.tx_messages[k], 0, sizeof(mmsghdr))
        lane.tx_messages[k].msg_hdr.msg_iov = &lane.tx_vectors[k]
        lane.tx_messages[k].msg_hdr.msg_iovlen = 1
        if frame.to_size:
            lane.tx_messages[k].msg_hdr.msg_name = frame.to
            lane.tx_messages[k].msg_hdr.msg_namelen = frame.to_size
        lane.tx_owners[k] = r
        lane.tx_due_ns[k] = due_ns
        lane.tx_count += 1


cdef void router_stamp(lane_router *r, uint8_t priority) noexcept nogil:
    cdef uint32_t i
    for i in range(r.frame_count):
        advert_set_priority(r.frames[i].data + r.frames[i].ip_offset, priority)


# -- timers --------------------------------------------------------------------------------------------------------

cdef bint router_due(lane_t *lane, lane_router *r, ns_t now_ns) noexcept nogil:
    # True if the router became dirty. Frames are enqueued; the caller flushes.
    cdef ns_t next_ns, silent_ns
    cdef ns_t patience_ns = r.down_adverts * r.advert_int_ns        # of the quickest peer
    cdef bint dirty = False
    if r.role != LANE_MASTER and r.role != LANE_BACKUP:
        return False
    silent_ns = now_ns - (r.deadline_ns - r.advert_int_ns)
    if r.slot >= 0 and (r.role == LANE_BACKUP or silent_ns > patience_ns):
        # What has come is heard before a backup believes in silence, or a late master in itself.
        dirty = drain(lane, lane.sockets[r.slot], DRAIN_ROUNDS)
        if r.second_slot >= 0:
            dirty = drain(lane, lane.sockets[r.second_slot], DRAIN_ROUNDS) or dirty
    if r.role == LANE_MASTER and silent_ns <= (patience_ns if r.dirty else r.silence_ns):
        # machine._master_timer, (630)-(635)
        router_enqueue(lane, r, r.deadline_ns)
        next_ns = r.deadline_ns + r.advert_int_ns
        router_arm(lane, r, next_ns if next_ns > now_ns else router_due_ns(r, now_ns))
        return dirty
    if node_armed(r.timer):                 # an advert was among it
        return dirty
    return make_dirty(lane, r, PENDING_TIMER) or dirty


cdef inline const wheel_node *ahead_of(const lane_t *lane, const wheel_node *node, bint whole) noexcept nogil:
    # The node after this one. What is to be used soon is fetched: its router, or (`whole`) the frames of that.
    cdef const lane_router *r
    if node == &lane.reactor.wheel.expired or node == NULL:
        return node
    if node.kind == lane.kind:
        r = lane.routers[node.index]
        if not whole:
            fetch(r)
        elif r.frame_count:
            prefetch(r.frames)
            prefetch(<const char *>r.frames + 64)
    return node.next


cdef int lane_on_timer(void *ctx, wheel_node *node, ns_t now_ns) noexcept nogil:
    cdef lane_t *lane = <lane_t *>ctx
    cdef wheel_node *head = &lane.reactor.wheel.expired
    cdef const wheel_node *far = head.next
    cdef const wheel_node *near = head.next
    cdef int dirty = 0, _i
    for _i in range(FAR):
        far = ahead_of(lane, far, False)
    for _i in range(NEAR):
        near = ahead_of(lane, near, True)
    while True:
        far = ahead_of(lane, far, False)
        near = ahead_of(lane, near, True)
        if router_due(lane, lane.routers[node.index], now_ns):
            dirty = 1
        if head.next == head or head.next.kind != lane.kind:
            break
        node = wheel_pop(&lane.reactor.wheel)
    lane_flush(lane)
    return dirty


# -- taking routers out --------------------------------------------------------------------------------------------

cdef void router_free_frames(lane_router *r) noexcept nogil:
    free(r.frames)
    r.frames = NULL
    r.frame_count = 0


cdef void router_unlink_vrid(lane_t *lane, lane_router *r) noexcept nogil:
    cdef lane_router **at
    if r.slot < 0 or lane.sockets[r.slot] == NULL:
        r.slot = -1
        return
    at = &lane.sockets[r.slot].by_vrid[r.vrid]
    while at[0] != NULL:
        if at[0] == r:
            at[0] = r.next_vrid
            break
        at = &at[0].next_vrid
    r.next_vrid = NULL
    r.slot = -1


cdef void router_unlink_dirty(lane_t *lane, lane_router *r) noexcept nogil:
    cdef lane_router *other = lane.dirty_first
    cdef lane_router *before = NULL
    while other != NULL and other != r:
        before = other
        other = other.next_dirty
    if other == NULL:
        return
    if before == NULL:
        lane.dirty_first = r.next_dirty
    else:
        before.next_dirty = r.next_dirty
    if lane.dirty_last == r:
        lane.dirty_last = before
    r.dirty = False
