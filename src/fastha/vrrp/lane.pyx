# The Python coat of engine.pyx: owns the memory, checks what it is given, and hands over what is pending.

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

from fastha.loop.clock cimport ns_t
from fastha.loop.lateness cimport LATE_STEPS
from fastha.loop.reactor cimport reactor_add, reactor_remove, reactor_timer_kind, reactor_turn
from fastha.loop.wheel cimport node_init, wheel_disarm, wheel_node
from fastha.vrrp.engine cimport (
    BATCH, BEATS, FEW, LANE_PEERS, LANE_REASONS, PENDING_ADDRESSES, PENDING_ADVERT, PENDING_TIMER, PENDING_ZERO,
    PENDING_ZERO_LAST, REST_NS, ROOM, TIMERS, lane_allowed, lane_flush, lane_frame, lane_hear, lane_hear6,
    lane_on_readable, lane_on_timer, lane_router, lane_socket, lane_t, router_arm, router_due, router_enqueue,
    router_free_frames, router_stamp, router_unlink_dirty, router_unlink_vrid,
)
from fastha.vrrp.peers cimport PEERS
from fastha.vrrp.seal cimport seal_free, seal_new, seal_t
from fastha.wire.advert cimport ADVERT_VERDICTS
from fastha.wire.ip cimport IP4_SIZE, IP6_SIZE, ip4_read, ip6_read, ip_number, ip_of

import os

from fastha.wire.advert import VERDICTS

cdef extern from "<sys/epoll.h>" nogil:
    enum:
        EPOLLIN

SEALS = (
    "auth_missing", "auth_shape", "auth_stranger", "auth_key", "auth_time", "auth_digest", "auth_replay",
)
REASONS = (*VERDICTS[:ADVERT_VERDICTS], *SEALS, "version_differs", "auth_type", "auth_password", "interval", "self",
           "unlisted", "ttl_bounds")

TIMER = PENDING_TIMER
ADVERT = PENDING_ADVERT
ZERO = PENDING_ZERO
ADDRESSES = PENDING_ADDRESSES
REMEMBERED = LANE_PEERS


cdef void free_addresses(lane_router *r) noexcept nogil:
    if r.addresses != r.few:
        free(r.addresses)
    r.addresses = NULL


cdef class Lane:
    def __cinit__(self, Reactor reactor not None):
        cdef int i, kind
        self.reactor = reactor
        self.lane = <lane_t *>calloc(1, sizeof(lane_t))
        if self.lane == NULL:
            raise MemoryError
        self.lane.reactor = &reactor.r
        self.lane.rest_ns = REST_NS
        self.lane.rx_room = <uint8_t *>malloc(BATCH * ROOM)
        if self.lane.rx_room == NULL:
            raise MemoryError
        for i in range(BATCH):
            self.lane.rx_vectors[i].iov_base = self.lane.rx_room + i * ROOM
            self.lane.rx_vectors[i].iov_len = ROOM
            self.lane.rx_messages[i].msg_hdr.msg_iov = &self.lane.rx_vectors[i]
            self.lane.rx_messages[i].msg_hdr.msg_iovlen = 1
            self.lane.rx6_messages[i] = self.lane.rx_messages[i]
            self.lane.rx6_messages[i].msg_hdr.msg_name = self.lane.rx6_names[i]
            self.lane.rx6_messages[i].msg_hdr.msg_control = self.lane.rx6_control[i]
        kind = reactor_timer_kind(&reactor.r, lane_on_timer, self.lane)
        if kind < 0:
            raise OSError(-kind, os.strerror(-kind))
        self.lane.kind = kind

    def __dealloc__(self):
        cdef uint32_t i
        cdef lane_t *lane = self.lane
        if lane == NULL:
            return
        for i in range(lane.router_count):
            if lane.routers[i] != NULL:
                wheel_disarm(&lane.reactor.wheel, lane.routers[i].timer)
                router_free_frames(lane.routers[i])
                free_addresses(lane.routers[i])
                free(lane.routers[i].allowed)
                seal_free(lane.routers[i].seal)
                free(lane.routers[i])
        for i in range(lane.socket_count):
            if lane.sockets[i] != NULL:
                reactor_remove(lane.reactor, lane.sockets[i].fd)
                free(lane.sockets[i])
        for i in range((lane.router_count + TIMERS - 1) // TIMERS):
            free(lane.timers[i])
        free(lane.timers)
        free(lane.routers)
        free(lane.sockets)
        free(lane.slot_of_fd)
        free(lane.rx_room)
        free(lane)

    cdef lane_router *router(self, int index) except NULL:
        if index < 0 or <uint32_t>index >= self.lane.router_count or not self.lane.routers[index].used:
            raise IndexError(f"no router {index}")
        return self.lane.routers[index]

    @property
    def rest_ns(self) -> int:
        return self.lane.rest_ns

    def add_socket(self, int fd, bint six=False, int hears_for=-1) -> int:
        cdef lane_t *lane = self.lane
        cdef uint32_t slot = 0
        cdef lane_socket **grown
        cdef uint32_t *slots
        cdef int rc
        if hears_for >= 0:
            self.socket(hears_for)
        if <uint32_t>fd >= lane.fd_count:
            slots = <uint32_t *>realloc(lane.slot_of_fd, 2 * (fd + 1) * sizeof(uint32_t))
            if slots == NULL:
                raise MemoryError
            memset(slots + lane.fd_count, 0, (2 * (fd + 1) - lane.fd_count) * sizeof(uint32_t))
            lane.slot_of_fd = slots
            lane.fd_count = 2 * (fd + 1)
        while slot < lane.socket_count and lane.sockets[slot] != NULL:
            slot += 1
        if slot == lane.socket_count:
            grown = <lane_socket **>realloc(lane.sockets, (slot + 1) * sizeof(lane_socket *))
            if grown == NULL:
                raise MemoryError
            lane.sockets = grown
            lane.sockets[slot] = NULL
            lane.socket_count += 1
        rc = reactor_add(lane.reactor, fd, EPOLLIN, lane_on_readable, lane)
        if rc < 0:
            raise OSError(-rc, os.strerror(-rc))
        lane.sockets[slot] = <lane_socket *>calloc(1, sizeof(lane_socket))
        if lane.sockets[slot] == NULL:
            reactor_remove(lane.reactor, fd)
            raise MemoryError
        lane.sockets[slot].fd = fd
        lane.sockets[slot].hears_for = hears_for if hears_for >= 0 else <int>slot
        lane.slot_of_fd[fd] = slot
        lane.sockets[slot].six = six
        return slot

    cdef lane_socket *socket(self, int slot) except NULL:
        if slot < 0 or <uint32_t>slot >= self.lane.socket_count or self.lane.sockets[slot] == NULL:
            raise IndexError(f"no socket {slot}")
        return self.lane.sockets[slot]

    def remove_socket(self, int slot) -> None:
        cdef lane_socket *s = self.socket(slot)
        cdef uint32_t i
        for i in range(self.lane.router_count):
            if self.lane.routers[i].slot == slot:
                router_unlink_vrid(self.lane, self.lane.routers[i])
            if self.lane.routers[i].second_slot == slot:
                self.lane.routers[i].second_slot = -1
        for i in range(self.lane.socket_count):
            if self.lane.sockets[i] != NULL and self.lane.sockets[i].hears_for == slot:
                self.lane.sockets[i].hears_for = <int>i
        reactor_remove(self.lane.reactor, s.fd)
        free(s)
        self.lane.sockets[slot] = NULL

    def add(self) -> int:
        cdef lane_t *lane = self.lane
        cdef uint32_t index = 0
        cdef lane_router **grown
        cdef wheel_node **pieces
        cdef lane_router *r
        while index < lane.router_count and lane.routers[index].used:
            index += 1
        if index == lane.router_count:
            if index % TIMERS == 0:
                pieces = <wheel_node **>realloc(lane.timers, (index // TIMERS + 1) * sizeof(wheel_node *))
                if pieces == NULL:
                    raise MemoryError
                lane.timers = pieces
                pieces[index // TIMERS] = <wheel_node *>calloc(TIMERS, sizeof(wheel_node))
                if pieces[index // TIMERS] == NULL:
                    raise MemoryError
            r = <lane_router *>calloc(1, sizeof(lane_router))
            grown = <lane_router **>realloc(lane.routers, (index + 1) * sizeof(lane_router *))
            if grown != NULL:
                lane.routers = grown
            if r == NULL or grown == NULL:
                free(r)
                raise MemoryError
            lane.routers[index] = r
            lane.router_count += 1
        r = lane.routers[index]
        memset(r, 0, sizeof(r[0]))
        r.timer = &lane.timers[index // TIMERS][index % TIMERS]
        node_init(r.timer, lane.kind, index)
        r.index = index
        r.slot = -1
        r.second_slot = -1
        r.tx_fd = -1
        r.deadline_ns = -1
        r.used = True
        return index

    def remove(self, int index) -> None:
        cdef lane_router *r = self.router(index)
        wheel_disarm(&self.lane.reactor.wheel, r.timer)
        router_unlink_vrid(self.lane, r)
        router_unlink_dirty(self.lane, r)
        router_free_frames(r)
        free_addresses(r)
        free(r.allowed)
        r.allowed = NULL
        r.allowed_count = 0
        seal_free(r.seal)
        r.seal = NULL
        r.used = False

    def configure(
        self, int index, *, int slot, bytes listen_ip, uint8_t version, uint8_t vrid, own_ip,
        ns_t advert_int_ns, ns_t silence_ns, uint8_t down_adverts, bint preempt, bint patient, bytes auth,
        bytes addresses, int tx_fd, frames, int second_slot=-1, bint trusting=False, bint plain_sum=False, old_sum=0,
        allowed=(), bint deaf=False,
    ) -> None:
        cdef lane_router *r = self.router(index)
        cdef lane_frame *frame
        cdef bytes data, to
        cdef size_t size = len(addresses), width = len(listen_ip)
        if width not in (IP4_SIZE, IP6_SIZE) or len(auth) not in (0, 8) or size % width or size > 255 * width:
            raise ValueError("listen_ip is 4 or 16 bytes, auth 0 or 8, addresses as listen_ip each and at most 255")
        for data, offset, to in frames:
            if len(data) > 0xffff or len(to) > 32 or offset + (28 if width == IP4_SIZE else 48) > len(data):
                raise ValueError("a frame is too long or too short, or its socket address of another kind")
        if slot >= 0 and self.socket(slot).six != (width == IP6_SIZE):
            raise ValueError("listen_ip and the socket are of different families")
        if second_slot >= 0:
            self.socket(second_slot)
        router_unlink_vrid(self.lane, r)
        r.second_slot = second_slot
        r.version = version
        r.vrid = vrid
        r.own_ip = ip_of(own_ip)
        r.listen_ip = ip4_read(listen_ip) if width == IP4_SIZE else ip6_read(listen_ip)
        r.advert_int_ns = advert_int_ns
        self.lane.rest_ns = min(self.lane.rest_ns, advert_int_ns // BEATS)
        r.silence_ns = silence_ns
        r.down_adverts = down_adverts
        r.preempt = preempt
        r.patient = patient
        r.trusting = trusting
        r.plain_sum = plain_sum
        r.old_sum = ip_of(old_sum)
        self.allow(r, allowed)
        r.deaf = deaf
        r.auth_type = 1 if auth else 2 if r.seal != NULL and r.seal.ah else 0      # RFC 2338 section 5.3.6
        if auth:
            memcpy(r.auth, <const uint8_t *>auth, 8)
        free_addresses(r)
        r.addresses = &r.few[0] if size <= FEW else <uint8_t *>malloc(size)
        if r.addresses == NULL:
            raise MemoryError
        memcpy(r.addresses, <const uint8_t *>addresses, size)
        r.width = width
        r.count = size // width
        memset(r.told, 0, sizeof(r.told))
        router_free_frames(r)
        r.tx_fd = tx_fd
        size = len(frames) * sizeof(lane_frame)
        r.frames = <lane_frame *>calloc(1, size + sum([len(data) for data, _, _ in frames]) + 1)
        if r.frames == NULL:
            raise MemoryError
        for data, offset, to in frames:
            frame = &r.frames[r.frame_count]
            frame.data = <uint8_t *>r.frames + size
            size += len(data)
            memcpy(frame.data, <const uint8_t *>data, len(data))
            frame.size = len(data)
            frame.ip_offset = offset
            frame.to_size = len(to)
            memcpy(frame.to, <const uint8_t *>to, len(to))
            r.frame_count += 1
        router_stamp(r, r.priority)
        if slot >= 0:
            r.slot = slot
            r.next_vrid = self.lane.sockets[slot].by_vrid[vrid]
            self.lane.sockets[slot].by_vrid[vrid] = r

    cdef int allow(self, lane_router *r, allowed) except -1:
        cdef lane_allowed *grown = NULL
        cdef uint32_t count = 0
        if allowed:
            grown = <lane_allowed *>calloc(len(allowed), sizeof(lane_allowed))
            if grown == NULL:
                raise MemoryError
            for ip, low, high in allowed:
                grown[count].ip = ip_of(ip)
                grown[count].low = low
                grown[count].high = high
                count += 1
        free(r.allowed)
        r.allowed = grown
        r.allowed_count = count
        return 0

    def seal(self, int index, spec, ns_t silence_ns, uint64_t sequence=0) -> None:
        cdef lane_router *r = self.router(index)
        cdef seal_t *made = NULL
        if spec is not None:
            made = seal_new(spec, silence_ns, r.seal)
            if sequence > made.sent:
                made.sent = sequence
        seal_free(r.seal)
        r.seal = made

    def load(
        self, int index, uint8_t role, uint8_t priority, ns_t deadline_ns, ns_t master_adver_ns, master_ip,
        uint8_t master_priority, bint holding, bint delaying,
    ) -> None:
        cdef lane_router *r = self.router(index)
        if priority != r.priority:
            router_stamp(r, priority)
        r.role = role
        r.priority = priority
        r.master_adver_ns = master_adver_ns
        r.master_ip = ip_of(master_ip)
        r.master_priority = master_priority
        r.holding = holding
        r.delaying = delaying
        if deadline_ns < 0:
            r.deadline_ns = -1
            wheel_disarm(&self.lane.reactor.wheel, r.timer)
        else:
            router_arm(self.lane, r, deadline_ns)

    def timers(self, int index) -> tuple[int, int]:
        cdef lane_router *r = self.router(index)
        return r.deadline_ns, r.master_adver_ns

    def send(self, int index, uint8_t priority) -> None:
        cdef lane_router *r = self.router(index)
        if priority != r.priority:
            router_stamp(r, priority)
        with nogil:
            router_enqueue(self.lane, r, -1)
            lane_flush(self.lane)
        if priority != r.priority:
            router_stamp(r, r.priority)

    def take(self) -> list:
        cdef lane_router *r = self.lane.dirty_first
        cdef uint32_t what
        events = []
        while r != NULL:
            what = r.pending
            r.pending = 0
            r.dirty = False
            if what & PENDING_ADDRESSES:
                events.append((r.index, ADDRESSES, 0, ip_number(r.addresses_src), 0, r.heard_ns))
            if what & PENDING_ZERO and not what & PENDING_ZERO_LAST:
                events.append((r.index, ZERO, 0, ip_number(r.zero_src), 0, r.heard_ns))
            if what & PENDING_ADVERT:
                events.append((r.index, ADVERT, r.best_priority, ip_number(r.best_src), r.best_adver_ns, r.heard_ns))
            if what & PENDING_ZERO_LAST:
                events.append((r.index, ZERO, 0, ip_number(r.zero_src), 0, r.heard_ns))
            if what & PENDING_TIMER:
                events.append((r.index, TIMER, 0, 0, 0, 0))
            r = r.next_dirty
        self.lane.dirty_first = self.lane.dirty_last = NULL
        return events

    def counters(self, int index) -> dict:
        cdef lane_router *r = self.router(index)
        return {
            "sent": r.sent,
            "send_errors": r.send_errors,
            "last_errno": r.last_errno,
            "received": r.received,
            "zero_received": r.zero_received,
            "addresses_differ": r.addresses_differ,
            **({"sequence": r.seal.sent} if r.seal != NULL else {}),
            "late_max_ns": r.late_max_ns,
            "late": [r.late[i] for i in range(<int>LATE_STEPS)],
            "discarded": {REASONS[i]: r.discarded[i] for i in range(<int>LANE_REASONS) if r.discarded[i]},
        }

    def socket_counters(self, int slot) -> dict:
        cdef lane_socket *s = self.socket(slot)
        return {"unknown_vrid": s.unknown_vrid, "malformed": s.malformed, "errors": s.errors}

    def peers(self, int index) -> list:
        cdef lane_router *r = self.router(index)
        return [
            (ip_number(r.peers[i].ip), r.peers[i].priority, r.peers[i].received, r.peers[i].heard_ns)
            for i in range(<int>PEERS) if r.peers[i].received
        ]

    def strangers(self, int slot) -> dict:
        cdef lane_socket *s = self.socket(slot)
        return {i: ip for i in range(256) if s.by_vrid[i] == NULL and (ip := ip_number(s.strangers[i]))}

    def breathe(self) -> None:
        with nogil:
            reactor_turn(self.lane.reactor, False)

    def hear(self, int slot, bytes packet, ns_t now_ns) -> bool:
        return self.hear_many(slot, packet, now_ns, 1) > 0

    def hear_many(self, int slot, bytes packet, ns_t now_ns, int times) -> int:
        cdef lane_socket *s = self.socket(slot)
        cdef const uint8_t *data = packet
        cdef size_t size = len(packet)
        cdef int dirty = 0, i
        if s.six and size < 40:
            raise ValueError("an IPv6 packet has a header of 40 bytes")
        with nogil:
            for i in range(times):
                if s.six:
                    dirty += lane_hear6(self.lane, s, data + 40, size - 40, data + 8, data + 24, data[7], now_ns + i)
                else:
                    dirty += lane_hear(self.lane, s, data, size, now_ns + i)
        return dirty

    def fire(self, int index, ns_t now_ns) -> bool:
        cdef lane_router *r = self.router(index)
        cdef bint dirty
        wheel_disarm(&self.lane.reactor.wheel, r.timer)
        dirty = router_due(self.lane, r, now_ns)
        lane_flush(self.lane)
        return dirty

    def close(self) -> None:
        cdef uint32_t i
        for i in range(self.lane.router_count):
            if self.lane.routers[i].used:
                self.remove(i)
        for i in range(self.lane.socket_count):
            if self.lane.sockets[i] != NULL:
                self.remove_socket(i)
