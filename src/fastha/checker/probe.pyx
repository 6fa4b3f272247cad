cimport cython
from libc.errno cimport ETIMEDOUT, errno
from libc.stdint cimport UINT32_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset
from posix.unistd cimport close

from fastha.checker.datagram cimport datagram_ask, datagram_read, datagram_silence
from fastha.checker.digest cimport md5_free, md5_new
from fastha.checker.exchange cimport exchange_begin, exchange_read, exchange_write
from fastha.checker.outlet cimport ending_of, outlet_close, outlet_connect, outlet_open
from fastha.checker.slot cimport (
    ANSWERED, BUFFER, CHUNK, CONNECT_TIMEOUT, CONNECTED, CONNECTING, DELIVERY, ENDINGS, FREE, HELD, KIND_HTTP,
    KIND_TCP, LATE_BOUNDS, LATE_NS, NO_MEMORY, NO_PORT, QUEUED, READING, REPLY_TIMEOUT, SENDING, SILENT,
    UNFINISHED, WAITING, engine_t, flight_t, list_t, manner_t, probe_t, result_t, sockaddr_in6, url_t,
)
from fastha.loop.clock cimport monotonic_ns
from fastha.loop.reactor cimport Reactor, reactor_add, reactor_again, reactor_forget, reactor_timer_kind
from fastha.loop.wheel cimport node_armed, node_init, wheel_arm, wheel_disarm, wheel_node

import errno as errno_names
import os
import socket as sockets
from struct import Struct

cdef extern from * nogil:
    """
    #include <poll.h>
    #include <sys/epoll.h>
    #include <sys/socket.h>
    """
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd *fds, unsigned long count, int timeout_ms)
    int getsockopt(int fd, int level, int name, void *value, unsigned int *size)
    enum:
        EPOLLERR
        EPOLLET
        EPOLLHUP
        EPOLLIN
        EPOLLOUT
        EPOLLRDHUP
        POLLOUT
        SOL_SOCKET
        SO_ERROR

RESULT = Struct("=IIHHiqq")
assert RESULT.size == sizeof(result_t)
KINDS = ("TCP_CHECK", "HTTP_GET", "UDP_CHECK", "DNS_CHECK", "PING_CHECK")     # kind_t
LATE = ("late_1ms", "late_10ms", "late_50ms", "late_1s", "later")
ENDING_NAMES = {
    name: number for number, name in enumerate((
        "CONNECTED", "ANSWERED", "REFUSED", "UNREACHABLE", "CONNECT_TIMEOUT", "REPLY_TIMEOUT", "RESET", "STATUS",
        "DIGEST", "SHORT", "GARBAGE", "TOO_LONG", "NO_SOURCE", "DENIED", "ERROR", "NO_PORT", "NO_DESCRIPTOR",
        "NO_MEMORY", "SILENT", "MISMATCH", "LENGTH", "RCODE",
    ))
}
assert len(ENDING_NAMES) == ENDINGS
assert (ENDING_NAMES["NO_MEMORY"], ENDING_NAMES["SILENT"]) == (NO_MEMORY, SILENT)


# -- lists of slots -------------------------------------------------------------------------------------------------

cdef void append(list_t *list_, probe_t *p) noexcept nogil:
    p.prev = list_.last
    p.next = NULL
    if list_.last != NULL:
        list_.last.next = p
    else:
        list_.first = p
    list_.last = p
    list_.count += 1


cdef void unlink(list_t *list_, probe_t *p) noexcept nogil:
    if p.prev != NULL:
        p.prev.next = p.next
    else:
        list_.first = p.next
    if p.next != NULL:
        p.next.prev = p.prev
    else:
        list_.last = p.prev
    p.prev = NULL
    p.next = NULL
    list_.count -= 1


# -- the beginning and the end of a flight --------------------------------------------------------------------------

cdef ns_t next_period(ns_t started_ns, ns_t delay_ns, ns_t now_ns) noexcept nogil:
    cdef ns_t late = now_ns - started_ns if now_ns > started_ns else 0
    return started_ns + (late // delay_ns + 1) * delay_ns


cdef flight_t *take_off(engine_t *e, probe_t *p) noexcept nogil:
    # There is one: fewer than `limit` are in flight.
    cdef flight_t *f = e.free_flight
    if f != NULL:
        e.free_flight = f.next
    else:
        f = &e.flights[e.flights_made]
        e.flights_made += 1
        f.engine = e
        f.fd = -1
    f.probe = p
    f.detail = 0
    f.heard = 0
    f.watched = False
    f.extended = False
    f.peer_closed = False
    p.flight = f
    e.in_flight += 1
    if e.in_flight > e.most_in_flight:
        e.most_in_flight = e.in_flight
    return f


cdef void land(flight_t *f) noexcept nogil:
    cdef engine_t *e = f.engine
    if f.fd >= 0:
        if f.watched:
            reactor_forget(e.reactor, f.fd)
        outlet_close(f)
    f.probe.flight = NULL
    f.probe = NULL
    f.next = e.free_flight
    e.free_flight = f
    e.in_flight -= 1


cdef inline uint32_t micros(ns_t ns) noexcept nogil:
    return <uint32_t>(ns // 1000) if ns < <ns_t>(UINT32_MAX - 1) * 1000 else UINT32_MAX - 1


cdef inline bint good(int ending) noexcept nogil:
    return ending <= ANSWERED or ending == SILENT


cdef void finish(flight_t *f, int ending) noexcept nogil:
    cdef engine_t *e = f.engine
    cdef probe_t *p = f.probe
    cdef ns_t now_ns = monotonic_ns()
    cdef int detail = f.detail
    land(f)
    wheel_disarm(&e.reactor.wheel, &p.node)
    e.ended += 1
    e.endings[ending] += 1
    p.checks += 1
    p.state = HELD
    if good(ending):
        if ending != SILENT:
            p.took_us = micros(now_ns - p.started_ns)
        if p.steady:                        # verdict.py: (up, ok), the next URL's turn at the next period
            if p.url_count > 1:
                p.url = <uint16_t>((p.url + 1) % p.url_count)
            p.state = WAITING
            wheel_arm(&e.reactor.wheel, &p.node, next_period(p.started_ns, p.manner.delay_ns, now_ns))
            return
    elif ending < NO_PORT or ending > NO_MEMORY:        # those between are shortages of our own
        p.failures += 1
    p.ending = <uint8_t>ending
    p.detail = detail
    p.lasted_us = micros(now_ns - p.started_ns)
    p.reported = True
    append(&e.results, p)


# -- one probe ------------------------------------------------------------------------------------------------------

cdef void count_lateness(engine_t *e, ns_t late_ns) noexcept nogil:
    e.late[0 if late_ns < 1000000 else 1 if late_ns < 10000000 else 2 if late_ns < 50000000 else
           3 if late_ns < 1000000000 else 4] += 1


cdef bint watch(flight_t *f, uint32_t events) noexcept nogil:
    cdef int rc = reactor_add(f.engine.reactor, f.fd, events, on_descriptor, f)
    f.watched = rc == 0
    if rc < 0:
        f.detail = -rc
        finish(f, ending_of(-rc))
    return rc == 0


cdef void launch(engine_t *e, probe_t *p) noexcept nogil:
    cdef flight_t *f = take_off(e, p)
    cdef int ending
    e.started += 1
    p.started_ns = monotonic_ns()
    count_lateness(e, p.started_ns - p.node.deadline_ns)
    p.state = CONNECTING
    ending = outlet_open(f)
    if ending == UNFINISHED:
        ending = outlet_connect(f)
    if ending == UNFINISHED and p.manner.kind > KIND_HTTP:
        ending = datagram_ask(f)
    elif ending == CONNECTED:
        p.state = SENDING                   # a stream that was there at once (it is reset at the end)
        ending = CONNECTED if p.manner.kind == KIND_TCP else exchange_begin(f)
    if ending != UNFINISHED:
        finish(f, ending)
        return
    wheel_arm(&e.reactor.wheel, &p.node, p.started_ns + p.manner.timeout_ns)
    if p.manner.kind == KIND_TCP:
        watch(f, EPOLLOUT)
    elif p.manner.kind == KIND_HTTP:        # edges: one epoll_ctl for the whole exchange
        watch(f, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)
    else:
        watch(f, EPOLLIN)


cdef int connect_error(flight_t *f) noexcept nogil:
    cdef int error = 0
    cdef unsigned int size = sizeof(error)
    if getsockopt(f.fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0:
        error = errno
    f.detail = error
    if error == ETIMEDOUT:                  # the kernel gave up before our deadline
        return CONNECT_TIMEOUT
    return ending_of(error) if error else UNFINISHED


cdef void proceed_stream(flight_t *f, uint32_t events) noexcept nogil:
    # `events` 0: nobody said that it is connected or readable.
    cdef probe_t *p = f.probe
    cdef int ending = UNFINISHED
    cdef bint again = False
    f.heard |= events & ~<uint32_t>EPOLLOUT
    if p.state == CONNECTING:
        if events & (EPOLLERR | EPOLLHUP):
            ending = connect_error(f)
        if ending == UNFINISHED:
            p.state = SENDING
            ending = CONNECTED if p.manner.kind == KIND_TCP else exchange_begin(f)
    if ending == UNFINISHED and p.state == SENDING:
        ending = exchange_write(f)
    if ending == UNFINISHED and p.state == READING and (f.heard or not events):
        ending = exchange_read(f, &again)
        if again:
            reactor_again(f.engine.reactor, f.fd)
    if ending != UNFINISHED:
        finish(f, ending)


cdef void proceed_unasked(flight_t *f) noexcept nogil:
    # As far as the descriptor lets us, when nobody said that it is ready.
    cdef pollfd ask
    cdef int ending
    if f.probe.manner.kind > KIND_HTTP:
        ending = datagram_read(f)
        if ending != UNFINISHED:
            finish(f, ending)
        return
    ask.revents = 0
    if f.probe.state == CONNECTING:
        ask.fd = f.fd
        ask.events = POLLOUT
        if poll(&ask, 1, 0) <= 0:
            return
    f.heard |= EPOLLRDHUP                   # an end that is there already is to be found now
    proceed_stream(f, <uint32_t>ask.revents)


# -- the engine -----------------------------------------------------------------------------------------------------

cdef void pump(engine_t *e) noexcept nogil:
    # A loop and not a call from `finish`: a thousand refused connects in a row must not become a thousand frames.
    cdef probe_t *p
    while e.queue.first != NULL and e.in_flight < e.limit:
        p = e.queue.first
        unlink(&e.queue, p)
        launch(e, p)


cdef void probe_due(engine_t *e, probe_t *p) noexcept nogil:
    if e.in_flight < e.limit and e.queue.first == NULL:
        launch(e, p)
    else:
        e.waited += 1
        p.state = QUEUED
        append(&e.queue, p)
        pump(e)


cdef void probe_cancel(engine_t *e, probe_t *p) noexcept nogil:
    if p.state == QUEUED:
        unlink(&e.queue, p)
    elif p.state >= CONNECTING:
        land(p.flight)
        e.cancelled += 1
    wheel_disarm(&e.reactor.wheel, &p.node)
    p.state = HELD


cdef int on_descriptor(void *ctx, int fd, uint32_t events, ns_t now_ns) noexcept nogil:
    cdef flight_t *f = <flight_t *>ctx
    cdef engine_t *e = f.engine
    cdef int ending
    if f.probe.manner.kind <= KIND_HTTP:
        proceed_stream(f, events)
    else:
        ending = datagram_read(f)
        if ending != UNFINISHED:
            finish(f, ending)
    if e.queue.first != NULL:
        pump(e)
    return e.results.first != NULL


cdef int on_timer(void *ctx, wheel_node *node, ns_t now_ns) noexcept nogil:
    cdef engine_t *e = <engine_t *>ctx
    cdef probe_t *p = <probe_t *>node       # node is its first member
    if p.state == WAITING:
        probe_due(e, p)
    else:
        on_deadline(p.flight, now_ns)
        pump(e)
    return e.results.first != NULL


cdef void on_deadline(flight_t *f, ns_t now_ns) noexcept nogil:
    # What the kernel already has counts: a reader that is late must not declare a living server dead. And a server that
    # is connected gets back, once, the time that this process took from the exchange by being late itself; a connect
    # or a datagram needs no work of ours, so there the kernel's silence is the server's.
    cdef probe_t *p = f.probe
    cdef ns_t timeout_ns = p.manner.timeout_ns
    cdef ns_t late = now_ns - (p.started_ns + timeout_ns)
    proceed_unasked(f)
    if p.flight != f:
        return
    if p.manner.kind > KIND_HTTP:
        finish(f, datagram_silence(f))
    elif p.state == CONNECTING:
        finish(f, CONNECT_TIMEOUT)
    elif late > LATE_NS and not f.extended:
        f.extended = True
        wheel_arm(&f.engine.reactor.wheel, &p.node, now_ns + (late if late < timeout_ns else timeout_ns))
    else:
        finish(f, REPLY_TIMEOUT)


cdef inline probe_t *at(const engine_t *e, uint32_t index) noexcept nogil:
    return &e.chunks[index // CHUNK][index % CHUNK]


cdef int list_check(const list_t *list_, int state, bint reported) noexcept nogil:
    cdef uint32_t length = 0
    cdef probe_t *p = list_.first
    while p != NULL:
        if p.state != state or (p.next == NULL) != (p == list_.last) or p.reported != reported:
            return 1
        length += 1
        p = p.next
    return length != list_.count


cdef int engine_check(engine_t *e) noexcept nogil:
    cdef uint32_t i, flying = 0, queued = 0, opened = 0, reported = 0, resting = 0
    cdef uint64_t sum_endings = 0
    cdef flight_t *f
    cdef probe_t *p
    for i in range(e.slots):
        p = at(e, i)
        if p.node.index != i:
            return 1
        opened += p.state != FREE
        flying += p.state >= CONNECTING
        queued += p.state == QUEUED
        if (p.flight != NULL) != (p.state >= CONNECTING):
            return 2
        if p.flight != NULL and (p.flight.probe != p or p.flight.fd < 0 or not p.flight.watched):
            return 3
        if node_armed(&p.node) != (p.state == WAITING or p.state >= CONNECTING):
            return 4
        if p.url_count and (p.url >= p.url_count or p.urls == NULL):
            return 5
        if p.failures > p.checks:
            return 6
        if p.reported and p.state == FREE:
            return 15
        if (p.manner != NULL) != (p.state != FREE):
            return 16
        reported += p.reported
    if flying != e.in_flight or queued != e.queue.count or opened != e.open_slots:
        return 7
    if e.in_flight > e.limit or e.most_in_flight > e.flights_made:
        return 8
    if list_check(&e.queue, QUEUED, False):
        return 9
    if list_check(&e.results, HELD, True):
        return 10
    if e.queue.first != NULL and e.in_flight < e.limit:
        return 11
    if e.started != e.ended + e.cancelled + e.in_flight:
        return 12
    for i in range(ENDINGS):
        sum_endings += e.endings[i]
    if sum_endings != e.ended:
        return 13
    if e.results.count != reported:
        return 14
    f = e.free_flight
    while f != NULL:
        if f.fd >= 0 or f.probe != NULL:
            return 17
        resting += 1
        f = f.next
    return 0 if resting + e.in_flight == e.flights_made else 18


# -- the Python coat ------------------------------------------------------------------------------------------------

def period_ns(int64_t started_ns, int64_t delay_ns, int64_t now_ns) -> int:
    return next_period(started_ns, delay_ns, now_ns)


cdef int set_address(sockaddr_in6 *address, str ip, int port) except -1:
    # struct sockaddr_in: family, port, address; sockaddr_in6: family, port, flow, address, scope.
    cdef bytes raw
    cdef char *out = <char *>address
    cdef str plain, zone
    plain, _, zone = ip.partition("%")
    family = sockets.AF_INET6 if ":" in plain else sockets.AF_INET
    try:
        raw = sockets.inet_pton(family, plain)
    except OSError:
        raise ValueError(f"{ip!r} is not an address") from None
    memset(address, 0, sizeof(address[0]))
    address.sin6_family = family
    out[2] = <char>(port >> 8)
    out[3] = <char>(port & 0xff)
    if family == sockets.AF_INET:
        memcpy(out + 4, <const char *>raw, 4)
    else:
        memcpy(out + 8, <const char *>raw, 16)
        (<uint32_t *>out)[6] = (int(zone) if zone.isdigit() else sockets.if_nametoindex(zone)) if zone else 0
    return 0


cdef char *put(char *out, bytes data) except NULL:
    memcpy(out, <const char *>data, len(data))
    return out + len(data)


@cython.no_gc_clear                         # __dealloc__ needs its dicts
cdef class Probes:
    def __cinit__(self, Reactor reactor not None, on_results, uint32_t limit=4096):
        memset(&self.e, 0, sizeof(self.e))
        self.reactor = reactor
        self._on_results = on_results
        self._manners = {}
        self._keys = {}
        self.e.reactor = &reactor.r
        self.e.limit = limit or 1
        self.e.random = int.from_bytes(os.urandom(8), "big") | 1
        self.e.buffer = <char *>malloc(BUFFER)
        self.e.flights = <flight_t *>calloc(self.e.limit, sizeof(flight_t))
        self.e.delivery = <result_t *>malloc(DELIVERY * sizeof(result_t))
        if self.e.buffer == NULL or self.e.flights == NULL or self.e.delivery == NULL:
            raise MemoryError
        self.e.kind = reactor_timer_kind(&reactor.r, on_timer, &self.e)
        if self.e.kind < 0:
            raise OSError(-self.e.kind, os.strerror(-self.e.kind))
        reactor.before_sleep(self._deliver)

    def __dealloc__(self):
        cdef uint32_t i
        for i in range(self.e.flights_made):
            if self.e.flights[i].fd >= 0:
                close(self.e.flights[i].fd)
            md5_free(self.e.flights[i].md5)
        for i in range(self.e.slots):
            free(at(&self.e, i).urls)
        for i in range((self.e.slots + CHUNK - 1) // CHUNK):
            free(self.e.chunks[i])
        for address in self._manners.values():
            free(<void *><size_t>address)
        free(self.e.chunks)
        free(self.e.flights)
        free(self.e.delivery)
        free(self.e.buffer)

    @property
    def limit(self) -> int:
        return self.e.limit

    @property
    def in_flight(self) -> int:
        return self.e.in_flight

    @property
    def queued(self) -> int:
        return self.e.queue.count

    def _deliver(self):
        # A storm is delivered in parts, each a turn of its own, so that heartbeats and the channel have theirs between.
        if self.e.results.first != NULL:
            data = self.take()
            if self.e.results.first != NULL:
                self.reactor.r.python_due = True
            self._on_results(data)

    def take(self) -> bytes:
        cdef uint32_t count = 0
        cdef probe_t *p
        cdef result_t *r
        while count < DELIVERY and self.e.results.first != NULL:
            p = self.e.results.first
            unlink(&self.e.results, p)
            p.reported = False
            r = &self.e.delivery[count]
            r.slot = p.node.index
            r.generation = p.generation
            r.ending = p.ending
            r.url = p.url
            r.detail = p.detail
            r.started_ns = p.started_ns
            r.ended_ns = p.started_ns + <ns_t>p.lasted_us * 1000
            count += 1
        return (<char *>self.e.delivery)[:count * sizeof(result_t)]

    cdef probe_t *_slot(self, uint32_t index) except NULL:
        if index >= self.e.slots or at(&self.e, index).state == FREE:
            raise IndexError(f"no slot {index}")
        return at(&self.e, index)

    cdef int _grow(self) except -1:
        cdef uint32_t i, chunks = (self.e.slots + CHUNK - 1) // CHUNK
        cdef probe_t *p
        grown = realloc(self.e.chunks, (chunks + 1) * sizeof(probe_t *))
        if grown == NULL:
            raise MemoryError
        self.e.chunks = <probe_t **>grown
        p = <probe_t *>calloc(CHUNK, sizeof(probe_t))
        if p == NULL:
            raise MemoryError
        self.e.chunks[chunks] = p
        for i in range(CHUNK):
            node_init(&p[i].node, <uint16_t>self.e.kind, self.e.slots + i)
        for i in range(CHUNK):
            p[CHUNK - 1 - i].next = self.e.free
            self.e.free = &p[CHUNK - 1 - i]
        self.e.slots += CHUNK
        return 0

    cdef manner_t *_manner(self, tuple key) except NULL:
        # The one that is there already, or a new one; not yet counted as used.
        cdef manner_t *m
        cdef bytes question, pattern, mask
        cdef char *behind
        known = self._manners.get(key)
        if known is not None:
            return <manner_t *><size_t>known
        (kind, v6, timeout_ns, delay_ns, bind_ip, bind_port, bind_if, mark, reset, question, pattern, mask,
         require_reply, least, most) = key
        device = bind_if.encode()
        if len(device) > 15:
            raise ValueError(f"no interface has the name {bind_if!r}")
        if len(pattern) != len(mask):
            raise ValueError("pattern and mask have one length")
        m = <manner_t *>calloc(1, sizeof(manner_t) + len(question) + len(pattern) + len(mask))
        if m == NULL:
            raise MemoryError
        behind = <char *>(m + 1)
        m.kind = <uint8_t>KINDS.index(kind)
        m.reset = reset
        m.require_reply = require_reply
        m.mark = mark
        put(m.device, device)
        m.timeout_ns = timeout_ns
        m.delay_ns = delay_ns
        m.question, m.question_size = behind, <uint32_t>len(question)
        behind = put(behind, question)
        m.pattern, m.pattern_size = behind, <uint32_t>len(pattern)
        behind = put(behind, pattern)
        m.mask = behind
        put(behind, mask)
        m.least, m.most = least, most
        try:
            if bind_ip or bind_port:
                set_address(&m.local, bind_ip or ("::" if v6 else "0.0.0.0"), bind_port)
            self._manners[key] = <size_t>m
            self._keys[<size_t>m] = key
        except BaseException:
            free(m)
            raise
        return m

    cdef int _part(self, const manner_t *manner) except -1:
        cdef manner_t *m = <manner_t *>manner
        m.uses -= 1
        if m.uses == 0:
            del self._manners[self._keys.pop(<size_t>m)]
            free(m)
        return 0

    def open(self, str ip, int port, *, int64_t timeout_ns, int64_t delay_ns, str kind="", str bind_ip="",
             int bind_port=0, str bind_if="", uint32_t mark=0, bint reset=True, urls=(), bytes question=b"",
             bytes pattern=b"", bytes mask=b"", bint require_reply=False, uint32_t least=0,
             uint32_t most=65535) -> int:
        cdef probe_t *p
        cdef manner_t *m
        cdef url_t *block
        cdef sockaddr_in6 peer
        cdef list wanted = list(urls)
        cdef bint v6 = ":" in ip
        kind = kind or ("HTTP_GET" if wanted else "TCP_CHECK")
        if kind not in KINDS:
            raise ValueError(f"no probe is a {kind}")
        if timeout_ns <= 0 or delay_ns <= 0 or not (port > 0 or kind == "PING_CHECK") or not 0 <= port < 65536 \
                or not 0 <= bind_port < 65536:
            raise ValueError(f"port {port}, bind port {bind_port}, timeout {timeout_ns} ns, delay {delay_ns} ns")
        if bind_ip and (":" in bind_ip) != v6:
            raise ValueError(f"cannot bind to {bind_ip} and connect to {ip}")
        if (kind == "HTTP_GET") != bool(wanted) or (kind == "DNS_CHECK" and not 12 <= len(question) <= 512):
            raise ValueError(f"{kind} with {len(wanted)} URLs and a question of {len(question)} bytes")
        set_address(&peer, ip, port)
        if self.e.free == NULL:
            self._grow()
        m = self._manner((kind, v6, timeout_ns, delay_ns, bind_ip, bind_port, bind_if, mark, reset, question, pattern,
                          mask, require_reply, least, most))
        m.uses += 1
        try:
            block = self._urls(wanted)
        except BaseException:
            self._part(m)
            raise
        p = self.e.free
        self.e.free = p.next
        p.next = NULL
        p.manner = m
        p.urls = block
        p.url_count = <uint16_t>len(wanted)
        p.peer = peer
        p.took_us = UINT32_MAX
        p.checks = p.failures = 0
        p.url = 0
        p.steady = False
        p.state = HELD
        self.e.open_slots += 1
        return p.node.index

    cdef url_t *_urls(self, list urls) except? NULL:
        cdef size_t count = len(urls), total = sum([len(url[0]) for url in urls])
        cdef char *text
        cdef bytes request, digest
        cdef url_t *block
        cdef void *md5
        cdef size_t i
        cdef int low, high, status
        if count == 0:
            return NULL
        for request, ranges, digest in urls:
            if len(digest) not in (0, 16) or not request or len(request) > 1 << 20:
                raise ValueError("a digest has 16 bytes, a request 1 to 2**20")
            if any(not 100 <= a <= b <= 599 for a, b in ranges):
                raise ValueError(f"statuses are within 100..599: {ranges}")
        if count > 0xffff:
            raise ValueError(f"{count} URLs")
        if any([url[2] for url in urls]):
            md5 = md5_new()
            if md5 == NULL:
                raise OSError(errno_names.ENOSYS, "libcrypto has no MD5")
            md5_free(md5)
        block = <url_t *>calloc(1, count * sizeof(url_t) + total)
        if block == NULL:
            raise MemoryError
        text = <char *>(block + count)
        for i in range(count):
            request, ranges, digest = urls[i]
            block[i].request = text
            block[i].request_size = <uint32_t>len(request)
            text = put(text, request)
            block[i].digested = len(digest) == 16
            if digest:
                put(<char *>block[i].digest, digest)
            for low, high in ranges:
                for status in range(low, high + 1):
                    block[i].accepted[status >> 3] |= <uint8_t>(1 << (status & 7))
        return block

    def close_slot(self, uint32_t slot) -> None:
        cdef probe_t *p = self._slot(slot)
        probe_cancel(&self.e, p)
        if p.reported:
            p.reported = False
            unlink(&self.e.results, p)
        free(p.urls)
        p.urls = NULL
        self._part(p.manner)
        p.manner = NULL
        p.url_count = 0
        p.url = 0
        p.generation += 1
        p.state = FREE
        p.next = self.e.free
        self.e.free = p
        self.e.open_slots -= 1
        pump(&self.e)

    def schedule(self, uint32_t slot, int64_t when_ns, uint16_t url=0, bint steady=False) -> None:
        cdef probe_t *p = self._slot(slot)
        if p.state != HELD and p.state != WAITING:
            raise ValueError(f"slot {slot} is not waiting for anything")
        if url and url >= p.url_count:
            raise ValueError(f"slot {slot} has no URL {url}")
        if p.reported:                      # nobody waits for that answer any more
            p.reported = False
            unlink(&self.e.results, p)
        p.url = url
        p.steady = steady
        p.state = WAITING
        wheel_arm(&self.e.reactor.wheel, &p.node, when_ns)

    def stats(self, uint32_t slot) -> tuple:
        cdef probe_t *p = self._slot(slot)
        return p.checks, p.failures, -1 if p.took_us == UINT32_MAX else <int64_t>p.took_us * 1000

    def generation(self, uint32_t slot) -> int:
        return self._slot(slot).generation

    def counters(self) -> dict:
        found = {
            "started": self.e.started, "ended": self.e.ended, "cancelled": self.e.cancelled,
            "in_flight": self.e.in_flight, "queued": self.e.queue.count, "waited": self.e.waited,
            "most_in_flight": self.e.most_in_flight, "limit": self.e.limit,
            "resets": self.e.resets, "farewells": self.e.farewells,
        }
        found |= {LATE[number]: self.e.late[number] for number in range(LATE_BOUNDS)}
        found |= {name.lower(): self.e.endings[number] for name, number in ENDING_NAMES.items()}
        return found

    def check(self) -> int:
        return engine_check(&self.e)

    def close(self) -> None:
        cdef uint32_t i
        for i in range(self.e.slots):
            if at(&self.e, i).state != FREE:
                self.close_slot(i)
