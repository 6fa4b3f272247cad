# The Python coat of engine.pyx: owns the memory, checks what it is given, and hands over what is pending.

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

from fastha.bfd.engine cimport (
    PENDING_PACKET, PENDING_REOPEN, PENDING_TIMER, REASONS_COUNT, find_mine, jittered_ns, lane_hear, lane_init,
    lane_on_readable, lane_on_timer, lane_session, lane_t, session_arm, session_detect, session_link, session_send,
    session_transmit, session_unlink,
)
from fastha.loop.clock cimport monotonic_ns, ns_t
from fastha.loop.lateness cimport LATE_STEPS
from fastha.loop.reactor cimport reactor_add, reactor_remove, reactor_timer_kind, reactor_turn
from fastha.loop.wheel cimport node_init, wheel_disarm
from fastha.wire.bfd cimport BFD_DEMAND, BFD_DOWN, BFD_FINAL, BFD_SIZE, BFD_VERDICTS, bfd_t

import os
import socket

from fastha.wire.bfd import VERDICTS

cdef extern from "<sys/epoll.h>" nogil:
    enum:
        EPOLLIN

REASONS = (*VERDICTS[:BFD_VERDICTS], "no_session", "port", "ttl", "authentication", "admin_down")

PACKET = PENDING_PACKET
TIMER = PENDING_TIMER
REOPEN = PENDING_REOPEN
SIZES = {socket.AF_INET: 4, socket.AF_INET6: 16}


cdef class Lane:
    def __cinit__(self, Reactor reactor not None):
        self.reactor = reactor
        self.lane = <lane_t *>calloc(1, sizeof(lane_t))
        if self.lane == NULL:
            raise MemoryError
        self.lane.reactor = &reactor.r
        self.lane.random = int.from_bytes(os.urandom(8), "big") | 1
        lane_init(self.lane)
        self.lane.tx_kind = reactor_timer_kind(&reactor.r, lane_on_timer, self.lane)
        self.lane.detect_kind = reactor_timer_kind(&reactor.r, lane_on_timer, self.lane)
        if self.lane.tx_kind < 0 or self.lane.detect_kind < 0:
            raise OSError(-self.lane.detect_kind, os.strerror(-self.lane.detect_kind))

    def __dealloc__(self):
        cdef uint32_t i
        cdef lane_t *lane = self.lane
        if lane == NULL:
            return
        for i in range(lane.session_count):
            wheel_disarm(&lane.reactor.wheel, &lane.sessions[i].tx_timer)
            wheel_disarm(&lane.reactor.wheel, &lane.sessions[i].detect_timer)
            free(lane.sessions[i])
        for i in range(lane.socket_count):
            reactor_remove(lane.reactor, lane.sockets[i].fd)
        free(lane.sessions)
        free(lane)

    cdef lane_session *session(self, int index) except NULL:
        if index < 0 or <uint32_t>index >= self.lane.session_count or not self.lane.sessions[index].used:
            raise IndexError(f"no session {index}")
        return self.lane.sessions[index]

    def add_socket(self, int fd, int family, bint multihop) -> int:
        cdef uint32_t slot = self.lane.socket_count
        cdef int rc
        if slot == 4 or family not in SIZES:
            raise ValueError("there are at most four sockets: IPv4, IPv6; single hop, multihop")
        rc = reactor_add(self.lane.reactor, fd, EPOLLIN, lane_on_readable, self.lane)
        if rc < 0:
            raise OSError(-rc, os.strerror(-rc))
        self.lane.sockets[slot].fd = fd
        self.lane.sockets[slot].family = family
        self.lane.sockets[slot].multihop = multihop
        self.lane.socket_count += 1
        return slot

    def add(self, *, uint32_t mine, int family, bint multihop, bytes peer, bytes local, uint8_t least_ttl) -> int:
        cdef lane_t *lane = self.lane
        cdef uint32_t index = 0
        cdef lane_session **grown
        cdef lane_session *s
        if not mine:
            raise ValueError("a discriminator is not 0")
        if find_mine(lane, mine) != NULL:
            raise ValueError(f"discriminator {mine} is taken")
        while index < lane.session_count and lane.sessions[index].used:
            index += 1
        if index == lane.session_count:
            s = <lane_session *>calloc(1, sizeof(lane_session))
            grown = <lane_session **>realloc(lane.sessions, (index + 1) * sizeof(lane_session *))
            if grown != NULL:
                lane.sessions = grown
            if s == NULL or grown == NULL:
                free(s)
                raise MemoryError
            lane.sessions[index] = s
            lane.session_count += 1
        s = lane.sessions[index]
        memset(s, 0, sizeof(s[0]))
        node_init(&s.tx_timer, lane.tx_kind, index)
        node_init(&s.detect_timer, lane.detect_kind, index)
        s.index = index
        s.mine = mine
        s.state = BFD_DOWN
        s.tx_fd = -1
        s.detect_at_ns = -1
        self._address(s, family, multihop, peer, local, least_ttl)
        s.used = True
        session_link(lane, s)
        return index

    cdef int _address(
        self, lane_session *s, int family, bint multihop, bytes peer, bytes local, uint8_t least_ttl
    ) except -1:
        if len(peer) != SIZES.get(family) or len(local) not in (0, len(peer)):
            raise ValueError("addresses are 4 or 16 bytes, as the family says")
        s.family = family
        s.multihop = multihop
        s.least_ttl = least_ttl
        memset(s.peer, 0, 16)
        memset(s.local, 0, 16)
        memcpy(s.peer, <const uint8_t *>peer, len(peer))
        memcpy(s.local, <const uint8_t *>local, len(local))
        return 0

    def configure(
        self, int index, *, bint multihop, bytes peer, bytes local, uint8_t least_ttl, int family
    ) -> None:
        cdef lane_session *s = self.session(index)
        session_unlink(self.lane, s)
        try:
            self._address(s, family, multihop, peer, local, least_ttl)
        finally:
            session_link(self.lane, s)

    def remove(self, int index) -> None:
        cdef lane_session *s = self.session(index)
        wheel_disarm(&self.lane.reactor.wheel, &s.tx_timer)
        wheel_disarm(&self.lane.reactor.wheel, &s.detect_timer)
        session_unlink(self.lane, s)
        s.used = False

    def connect(self, int index, int fd) -> None:
        self.session(index).tx_fd = fd

    def load(
        self, int index, bytes packet, dict heard, ns_t interval_ns, ns_t detection_ns, ns_t detect_at_ns, ns_t now_ns
    ) -> None:
        cdef lane_session *s = self.session(index)
        cdef bfd_t b = heard
        if len(packet) != BFD_SIZE or interval_ns < 0 or detection_ns < 0:
            raise ValueError("a packet of 24 bytes, intervals of 0 or more")
        b.flags &= BFD_DEMAND
        s.heard = b
        memcpy(s.packet, <const uint8_t *>packet, BFD_SIZE)
        s.state = s.packet[1] >> 6
        s.interval_ns = interval_ns
        s.detection_ns = detection_ns
        s.detect_at_ns = detect_at_ns
        session_arm(self.lane, s, now_ns)

    def detect_at(self, int index) -> int:
        return self.session(index).detect_at_ns

    def send(self, int index, bint final=False) -> None:
        cdef lane_session *s = self.session(index)
        cdef ns_t now_ns = monotonic_ns()
        session_send(self.lane, s, BFD_FINAL if final else 0, -1, now_ns)
        session_arm(self.lane, s, now_ns)

    def take(self, int most) -> list:
        cdef lane_session *s
        cdef uint32_t what
        events = []
        while most > 0 and self.lane.dirty_first != NULL:
            most -= 1
            s = self.lane.dirty_first
            self.lane.dirty_first = s.next_dirty
            if s.next_dirty == NULL:
                self.lane.dirty_last = NULL
            what = s.pending
            s.pending = 0
            s.dirty = False
            if what & PENDING_PACKET:
                events.append((s.index, PACKET, s.last, s.heard_ns))
            if what & PENDING_TIMER:
                events.append((s.index, TIMER, None, 0))
            if what & PENDING_REOPEN:
                events.append((s.index, REOPEN, None, 0))
        return events

    def counters(self, int index) -> dict:
        cdef lane_session *s = self.session(index)
        return {
            "sent": s.sent,
            "send_errors": s.send_errors,
            "last_errno": s.last_errno,
            "received": s.received,
            "late_max_ns": s.late_max_ns,
            "late": [s.late[i] for i in range(<int>LATE_STEPS)],
            "detect_late_max_ns": s.detect_late_max_ns,
            "discarded": {REASONS[i]: s.discarded[i] for i in range(<int>REASONS_COUNT) if s.discarded[i]},
        }

    def totals(self) -> dict:
        cdef lane_t *lane = self.lane
        return {
            "discarded": {REASONS[i]: lane.discarded[i] for i in range(<int>REASONS_COUNT) if lane.discarded[i]},
            "errors": lane.socket_errors,
        }

    def jittered_ns(self, ns_t interval_ns) -> int:
        return jittered_ns(self.lane, interval_ns)

    def breathe(self) -> None:
        with nogil:
            reactor_turn(self.lane.reactor, False)

    def hear(self, int slot, bytes packet, int ttl, bytes src, bytes dst, ns_t now_ns) -> bool:
        cdef bytes source = src.ljust(16, b"\0")
        cdef bytes destination = dst.ljust(16, b"\0")
        if slot < 0 or <uint32_t>slot >= self.lane.socket_count or len(source) != 16 or len(destination) != 16:
            raise ValueError(f"no socket {slot}, or an address of more than 16 bytes")
        return lane_hear(
            self.lane, &self.lane.sockets[slot], packet, len(packet), ttl, source, destination, now_ns
        )

    def hear_all(self, int slot, list packets, int ttl, list sources, ns_t now_ns) -> int:
        cdef bytes packet, source
        cdef int dirty = 0
        cdef const uint8_t *data
        cdef const uint8_t *src
        for packet, source in zip(packets, sources, strict=True):
            data, src = packet, source
            dirty += lane_hear(self.lane, &self.lane.sockets[slot], data, len(packet), ttl, src, src, now_ns)
        return dirty

    def fire(self, int index, int what, ns_t now_ns) -> bool:
        cdef lane_session *s = self.session(index)
        if what == PENDING_TIMER:
            wheel_disarm(&self.lane.reactor.wheel, &s.detect_timer)
            return session_detect(self.lane, s, now_ns)
        wheel_disarm(&self.lane.reactor.wheel, &s.tx_timer)
        return session_transmit(self.lane, s, now_ns)

    def close(self) -> None:
        cdef uint32_t i
        for i in range(self.lane.session_count):
            if self.lane.sessions[i].used:
                self.remove(i)
        for i in range(self.lane.socket_count):
            reactor_remove(self.lane.reactor, self.lane.sockets[i].fd)
        self.lane.socket_count = 0
