from libc.errno cimport (
    EACCES, EADDRINUSE, EADDRNOTAVAIL, EAGAIN, ECONNREFUSED, ECONNRESET, EHOSTDOWN, EHOSTUNREACH, EINPROGRESS, EINTR,
    EMFILE, ENETDOWN, ENETUNREACH, ENFILE, ENOBUFS, ENOMEM, EPERM, EPIPE, ETIMEDOUT, errno,
)
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset
from posix.unistd cimport close

from fastha.checker.digest cimport md5_end, md5_free, md5_new, md5_start, md5_update
from fastha.checker.http cimport (
    HTTP_COMPLETE, HTTP_GARBAGE, HTTP_TOO_LONG, http_end, http_feed, http_has_status, http_init,
)
from fastha.loop.clock cimport monotonic_ns
from fastha.loop.reactor cimport reactor_add, reactor_modify, reactor_remove, reactor_timer_kind
from fastha.loop.wheel cimport node_armed, node_init, wheel_arm, wheel_disarm

import errno as errno_names
import os
import socket as sockets
from struct import Struct

cdef extern from * nogil:
    """
    #include <sys/epoll.h>
    #include <sys/socket.h>
    #include <netinet/in.h>
    #include <poll.h>
    #ifndef IP_BIND_ADDRESS_NO_PORT
    #define IP_BIND_ADDRESS_NO_PORT 24      /* linux/in.h */
    #endif
    #include <errno.h>
    static inline void fha_errno_set(int error) { errno = error; }
    """
    void errno_set "fha_errno_set"(int error)
    struct linger:
        int l_onoff
        int l_linger
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd *fds, unsigned long count, int timeout_ms)
    int socket(int domain, int type, int protocol)
    int setsockopt(int fd, int level, int name, const void *value, unsigned int size)
    int getsockopt(int fd, int level, int name, void *value, unsigned int *size)
    int bind(int fd, const sockaddr *address, unsigned int size)
    int connect(int fd, const sockaddr *address, unsigned int size)
    ssize_t send(int fd, const void *data, size_t size, int flags)
    ssize_t recv(int fd, void *data, size_t size, int flags)
    enum:
        EPOLLIN
        EPOLLOUT
        POLLOUT
        SOCK_DGRAM
        SOCK_STREAM
        SOCK_NONBLOCK
        SOCK_CLOEXEC
        SOL_SOCKET
        SO_ERROR
        SO_LINGER
        SO_REUSEADDR
        MSG_NOSIGNAL
        IPPROTO_IP
        IP_BIND_ADDRESS_NO_PORT

RESULT = Struct("=IIHHiqq")
assert RESULT.size == sizeof(result_t)

ENDING_NAMES = {
    "CONNECTED": CONNECTED, "ANSWERED": ANSWERED, "REFUSED": REFUSED, "UNREACHABLE": UNREACHABLE,
    "CONNECT_TIMEOUT": CONNECT_TIMEOUT, "REPLY_TIMEOUT": REPLY_TIMEOUT, "RESET": RESET, "STATUS": STATUS,
    "DIGEST": DIGEST, "SHORT": SHORT, "GARBAGE": GARBAGE, "TOO_LONG": TOO_LONG, "NO_SOURCE": NO_SOURCE,
    "DENIED": DENIED, "ERROR": ERROR, "NO_PORT": NO_PORT, "NO_DESCRIPTOR": NO_DESCRIPTOR, "NO_MEMORY": NO_MEMORY,
}


# -- endings ------------------------------------------------------------------------------------------------------

cdef int ending_of(int error) noexcept nogil:
    # What an errno of socket, connect, send or recv means.
    if error == ECONNREFUSED:
        return REFUSED
    if error == EHOSTUNREACH or error == ENETUNREACH or error == EHOSTDOWN or error == ENETDOWN:
        return UNREACHABLE
    if error == ECONNRESET or error == EPIPE:
        return RESET
    if error == EADDRNOTAVAIL or error == EADDRINUSE:
        return NO_PORT
    if error == EMFILE or error == ENFILE:
        return NO_DESCRIPTOR
    if error == ENOMEM or error == ENOBUFS:
        return NO_MEMORY
    if error == EACCES or error == EPERM:
        return DENIED
    return ERROR


cdef ns_t next_period(ns_t started_ns, ns_t delay_ns, ns_t now_ns) noexcept nogil:
    cdef ns_t late = now_ns - started_ns if now_ns > started_ns else 0
    return started_ns + (late // delay_ns + 1) * delay_ns


cdef void hang_up(probe_t *p, bint peer_closed) noexcept nogil:
    # Unless the peer has closed first, close with RST: TIME_WAIT would keep a local port for a minute after each probe.
    cdef linger at_once
    if p.fd < 0:
        return
    if p.watched:
        reactor_remove(p.engine.reactor, p.fd)
        p.watched = False
    if not peer_closed and p.state != CONNECTING:
        at_once.l_onoff = 1
        at_once.l_linger = 0
        setsockopt(p.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once))
    close(p.fd)
    p.fd = -1


cdef void finish(probe_t *p, int ending, int detail, bint peer_closed) noexcept nogil:
    cdef engine_t *e = p.engine
    cdef ns_t now_ns = monotonic_ns()
    cdef result_t *result
    hang_up(p, peer_closed)
    wheel_disarm(&e.reactor.wheel, &p.node)
    e.in_flight -= 1
    e.ended += 1
    e.endings[ending] += 1
    p.checks += 1
    p.state = HELD
    if ending <= ANSWERED:
        p.took_ns = now_ns - p.started_ns
        if p.steady:                        # verdict.py: (up, ok), the next URL's turn at the next period
            if p.url_count > 1:
                p.url = <uint16_t>((p.url + 1) % p.url_count)
            p.state = WAITING
            wheel_arm(&e.reactor.wheel, &p.node, next_period(p.started_ns, p.delay_ns, now_ns))
            return
    elif ending < NO_PORT:                  # those from NO_PORT on are shortages of our own
        p.failures += 1
    result = &e.results[e.result_count]     # there is room: a slot with a result here is HELD
    e.result_count += 1
    p.reported = True
    result.slot = p.index
    result.generation = p.generation
    result.ending = <uint16_t>ending
    result.url = p.url
    result.detail = detail
    result.started_ns = p.started_ns
    result.ended_ns = now_ns


cdef inline void finish_errno(probe_t *p, int error) noexcept nogil:
    finish(p, ending_of(error), error, False)


# -- one probe ----------------------------------------------------------------------------------------------------

cdef bint watch(probe_t *p, unsigned int events) noexcept nogil:
    cdef int rc
    if p.watched:
        rc = reactor_modify(p.engine.reactor, p.fd, events)
    else:
        rc = reactor_add(p.engine.reactor, p.fd, events, on_descriptor, p)
        p.watched = rc == 0
    if rc < 0:
        finish_errno(p, -rc)
    return rc == 0


cdef void launch(probe_t *p) noexcept nogil:
    cdef engine_t *e = p.engine
    cdef int one = 1, rc
    e.in_flight += 1
    e.started += 1
    p.started_ns = monotonic_ns()
    p.state = CONNECTING
    p.extended = False
    p.sent = 0
    p.fd = socket(p.peer.sin6_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if p.fd < 0:
        finish_errno(p, errno)
        return
    if p.local.sin6_family and not bind_local(p, one):
        return
    rc = connect(p.fd, <sockaddr *>&p.peer, p.address_size)
    if rc < 0 and errno == EADDRNOTAVAIL and no_way(p):
        finish(p, UNREACHABLE, EADDRNOTAVAIL, False)
        return
    if rc < 0 and errno != EINPROGRESS:
        finish_errno(p, errno)
        return
    if rc == 0 and p.url_count == 0:
        p.state = READING                   # connected: hang_up resets
        finish(p, CONNECTED, 0, False)
        return
    wheel_arm(&e.reactor.wheel, &p.node, p.started_ns + p.timeout_ns)
    if rc == 0:
        connected(p)
    else:
        watch(p, EPOLLOUT)


cdef bint no_way(const probe_t *p) noexcept nogil:
    # EADDRNOTAVAIL of a TCP connect: no free port, or (IPv6) no source address that leads there. UDP has ports of its
    # own and tells which. errno is as it was.
    cdef int error, fd = socket(p.peer.sin6_family, SOCK_DGRAM | SOCK_CLOEXEC, 0)
    if fd < 0:
        errno_set(EADDRNOTAVAIL)
        return False
    error = connect(fd, <const sockaddr *>&p.peer, p.address_size)
    close(fd)
    errno_set(EADDRNOTAVAIL)
    return error < 0


cdef bint bind_local(probe_t *p, int one) noexcept nogil:
    # A port of its own is chosen at connect, when the peer is known, so that ports are not used up by the address
    # alone (ip(7), IP_BIND_ADDRESS_NO_PORT; IPv6 sockets take it as well). A fixed port may be used again at once.
    cdef uint16_t port = (<uint16_t *>&p.local)[1]
    cdef int error
    if port:
        setsockopt(p.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one))
    else:
        setsockopt(p.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one))
    if bind(p.fd, <sockaddr *>&p.local, p.address_size) == 0:
        return True
    error = errno
    finish(p, NO_SOURCE if error == EADDRNOTAVAIL else ending_of(error), error, False)
    return False


cdef void connected(probe_t *p) noexcept nogil:
    p.state = SENDING
    if p.url_count == 0:
        finish(p, CONNECTED, 0, False)
        return
    http_init(&p.reply)
    if p.urls[p.url].digested:
        md5_start(p.md5)
    send_request(p)


cdef void send_request(probe_t *p) noexcept nogil:
    cdef url_t *url = &p.urls[p.url]
    cdef ssize_t n
    while p.sent < url.request_size:
        n = send(p.fd, url.request + p.sent, url.request_size - p.sent, MSG_NOSIGNAL)
        if n < 0 and errno == EINTR:
            continue
        if n < 0 and errno == EAGAIN:
            watch(p, EPOLLOUT)
            return
        if n < 0:
            finish_errno(p, errno)
            return
        p.sent += <uint32_t>n
    p.state = READING
    watch(p, EPOLLIN)


cdef void read_reply(probe_t *p) noexcept nogil:
    cdef url_t *url = &p.urls[p.url]
    cdef const char *body
    cdef size_t size
    cdef ssize_t n
    cdef int progress, _turn
    for _turn in range(READS):
        n = recv(p.fd, p.engine.buffer, BUFFER, 0)
        if n < 0 and errno == EINTR:
            continue
        if n < 0 and errno == EAGAIN:
            return
        if n < 0:
            finish_errno(p, errno)
            return
        if n == 0:
            if http_end(&p.reply):
                judge(p, True)
            else:
                finish(p, SHORT, 0, True)
            return
        progress = http_feed(&p.reply, p.engine.buffer, <size_t>n, &body, &size)
        if http_has_status(&p.reply) and not accepted(url, p.reply.status):
            finish(p, STATUS, p.reply.status, False)
            return
        if progress == HTTP_GARBAGE or progress == HTTP_TOO_LONG:
            finish(p, GARBAGE if progress == HTTP_GARBAGE else TOO_LONG, 0, False)
            return
        if size and url.digested:
            md5_update(p.md5, body, size)
        if progress == HTTP_COMPLETE:
            judge(p, False)
            return
        if n < BUFFER:
            return                          # the socket is empty, most likely: epoll tells if not


cdef inline bint accepted(const url_t *url, int status) noexcept nogil:
    return (url.accepted[status >> 3] >> (status & 7)) & 1


cdef void judge(probe_t *p, bint peer_closed) noexcept nogil:
    # The reply is whole and its status accepted; what remains is the digest.
    cdef url_t *url = &p.urls[p.url]
    cdef unsigned char digest[16]
    if url.digested:
        md5_end(p.md5, digest)
        if memcmp(digest, url.digest, 16) != 0:
            finish(p, DIGEST, 0, peer_closed)
            return
    finish(p, ANSWERED, 0, peer_closed)


cdef void connect_result(probe_t *p) noexcept nogil:
    # The kernel has an answer to connect (epoll or poll said so).
    cdef int error = 0
    cdef unsigned int size = sizeof(error)
    if getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0:
        error = errno
    if error == ETIMEDOUT:                  # the kernel gave up before our deadline
        finish(p, CONNECT_TIMEOUT, 0, False)
    elif error:
        finish_errno(p, error)
    else:
        connected(p)


cdef void proceed(probe_t *p) noexcept nogil:
    # The descriptor may be ready: go as far as it lets us.
    if p.state == CONNECTING:
        connect_result(p)
    elif p.state == SENDING:
        send_request(p)
    else:
        read_reply(p)


cdef void proceed_unasked(probe_t *p) noexcept nogil:
    # As `proceed`, when nobody said that the descriptor is ready.
    cdef pollfd ask
    if p.state == CONNECTING:
        ask.fd = p.fd
        ask.events = POLLOUT
        ask.revents = 0
        if poll(&ask, 1, 0) <= 0:
            return
    proceed(p)


# -- the engine ---------------------------------------------------------------------------------------------------

cdef void enqueue(engine_t *e, probe_t *p) noexcept nogil:
    p.state = QUEUED
    p.prev = e.last
    p.next = NULL
    if e.last != NULL:
        e.last.next = p
    else:
        e.first = p
    e.last = p
    e.queued += 1


cdef void dequeue(engine_t *e, probe_t *p) noexcept nogil:
    if p.prev != NULL:
        p.prev.next = p.next
    else:
        e.first = p.next
    if p.next != NULL:
        p.next.prev = p.prev
    else:
        e.last = p.prev
    p.prev = NULL
    p.next = NULL
    e.queued -= 1


cdef void pump(engine_t *e) noexcept nogil:
    # A loop and not a call from `finish`: a thousand refused connects in a row must not become a thousand frames.
    cdef probe_t *p
    while e.first != NULL and e.in_flight < e.limit:
        p = e.first
        dequeue(e, p)
        launch(p)


cdef void probe_due(probe_t *p) noexcept nogil:
    cdef engine_t *e = p.engine
    if e.in_flight < e.limit and e.first == NULL:
        launch(p)
    else:
        e.waited += 1
        enqueue(e, p)
        pump(e)


cdef void probe_cancel(probe_t *p) noexcept nogil:
    cdef engine_t *e = p.engine
    if p.state == QUEUED:
        dequeue(e, p)
    elif p.state >= CONNECTING:
        hang_up(p, False)
        e.in_flight -= 1
        e.cancelled += 1
    wheel_disarm(&e.reactor.wheel, &p.node)
    p.state = HELD


cdef void forget_result(engine_t *e, probe_t *p) noexcept nogil:
    cdef uint32_t i, kept = 0
    for i in range(e.result_count):
        if e.results[i].slot != p.index:
            e.results[kept] = e.results[i]
            kept += 1
    e.result_count = kept
    p.reported = False


cdef int on_descriptor(void *ctx, int fd, uint32_t events, ns_t now_ns) noexcept nogil:
    cdef probe_t *p = <probe_t *>ctx
    cdef engine_t *e = p.engine
    proceed(p)
    pump(e)
    return e.result_count > 0


cdef int on_timer(void *ctx, wheel_node *node, ns_t now_ns) noexcept nogil:
    cdef engine_t *e = <engine_t *>ctx
    cdef probe_t *p = <probe_t *>node       # node is its first member
    if p.state == WAITING:
        probe_due(p)
    else:
        on_deadline(p, now_ns)
        pump(e)
    return e.result_count > 0


cdef void on_deadline(probe_t *p, ns_t now_ns) noexcept nogil:
    # What the kernel already has counts: a reader that is late must not declare a living server dead. And a server that
    # is connected gets back, once, the time that this process took from the exchange by being late itself; a connect
    # needs no work of ours, so there the kernel's silence is the server's.
    cdef ns_t late = now_ns - (p.started_ns + p.timeout_ns)
    proceed_unasked(p)
    if p.state == CONNECTING:
        finish(p, CONNECT_TIMEOUT, 0, False)
    elif p.state > CONNECTING and late > LATE_NS and not p.extended:
        p.extended = True
        wheel_arm(&p.engine.reactor.wheel, &p.node, now_ns + (late if late < p.timeout_ns else p.timeout_ns))
    elif p.state > CONNECTING:
        finish(p, REPLY_TIMEOUT, 0, False)


cdef inline probe_t *at(const engine_t *e, uint32_t index) noexcept nogil:
    return &e.chunks[index // CHUNK][index % CHUNK]


cdef int engine_check(engine_t *e) noexcept nogil:
    cdef uint32_t i, flying = 0, queued = 0, opened = 0, length = 0, reported = 0
    cdef uint64_t sum_endings = 0
    cdef probe_t *p
    for i in range(e.slots):
        p = at(e, i)
        if p.index != i or p.engine != e:
            return 1
        opened += p.state != FREE
        flying += p.state >= CONNECTING
        queued += p.state == QUEUED
        if (p.fd >= 0) != (p.state >= CONNECTING):
            return 2
        if p.watched and p.fd < 0:
            return 3
        if node_armed(&p.node) != (p.state == WAITING or p.state >= CONNECTING):
            return 4
        if p.url_count and (p.url >= p.url_count or p.urls == NULL):
            return 5
        if p.failures > p.checks:
            return 6
        if p.reported and p.state == FREE:
            return 15
        reported += p.reported
    if flying != e.in_flight or queued != e.queued or opened != e.open_slots:
        return 7
    if e.in_flight > e.limit:
        return 8
    p = e.first
    while p != NULL:
        if p.state != QUEUED or (p.next == NULL) != (p == e.last):
            return 9
        length += 1
        p = p.next
    if length != queued:
        return 10
    if e.first != NULL and e.in_flight < e.limit:
        return 11
    if e.started != e.ended + e.cancelled + e.in_flight:
        return 12
    for i in range(ENDINGS):
        sum_endings += e.endings[i]
    if sum_endings != e.ended:
        return 13
    if e.result_count != reported:
        return 14
    return 0


# -- the Python coat ----------------------------------------------------------------------------------------------

def period_ns(int64_t started_ns, int64_t delay_ns, int64_t now_ns) -> int:
    return next_period(started_ns, delay_ns, now_ns)


cdef int set_address(sockaddr_in6 *address, uint32_t *size, str ip, int port) except -1:
    # struct sockaddr_in: family, port, address; sockaddr_in6: family, port, flow, address, scope.
    cdef bytes raw
    cdef char *out = <char *>address
    info = sockets.getaddrinfo(ip, port, type=sockets.SOCK_STREAM, flags=sockets.AI_NUMERICHOST)[0]
    family, where = info[0], info[4]
    raw = sockets.inet_pton(family, where[0].partition("%")[0])
    memset(address, 0, sizeof(address[0]))
    address.sin6_family = family
    out[2] = <char>(port >> 8)
    out[3] = <char>(port & 0xff)
    if family == sockets.AF_INET:
        memcpy(out + 4, <const char *>raw, 4)
        size[0] = 16
    else:
        memcpy(out + 8, <const char *>raw, 16)
        (<uint32_t *>out)[6] = where[3]
        size[0] = 28
    return 0


cdef class Probes:
    def __cinit__(self, Reactor reactor not None, on_results, uint32_t limit=4096):
        memset(&self.e, 0, sizeof(self.e))
        self.reactor = reactor
        self._on_results = on_results
        self.e.reactor = &reactor.r
        self.e.limit = limit or 1
        self.e.buffer = <char *>malloc(BUFFER)
        if self.e.buffer == NULL:
            raise MemoryError
        self.e.kind = reactor_timer_kind(&reactor.r, on_timer, &self.e)
        if self.e.kind < 0:
            raise OSError(-self.e.kind, os.strerror(-self.e.kind))
        reactor.before_sleep(self._deliver)

    def __dealloc__(self):
        cdef uint32_t i
        for i in range(self.e.slots):
            if at(&self.e, i).fd >= 0:
                close(at(&self.e, i).fd)
            free(at(&self.e, i).urls)
            md5_free(at(&self.e, i).md5)
        for i in range((self.e.slots + CHUNK - 1) // CHUNK):
            free(self.e.chunks[i])
        free(self.e.chunks)
        free(self.e.results)
        free(self.e.buffer)

    @property
    def limit(self) -> int:
        return self.e.limit

    @property
    def in_flight(self) -> int:
        return self.e.in_flight

    @property
    def queued(self) -> int:
        return self.e.queued

    def _deliver(self):
        if self.e.result_count:
            self._on_results(self.take())

    def take(self) -> bytes:
        cdef uint32_t i
        data = (<char *>self.e.results)[:self.e.result_count * sizeof(result_t)] if self.e.result_count else b""
        for i in range(self.e.result_count):
            at(&self.e, self.e.results[i].slot).reported = False
        self.e.result_count = 0
        return data

    cdef probe_t *_slot(self, uint32_t index) except NULL:
        if index >= self.e.slots or at(&self.e, index).state == FREE:
            raise IndexError(f"no slot {index}")
        return at(&self.e, index)

    cdef int _grow(self) except -1:
        cdef uint32_t i, chunks = (self.e.slots + CHUNK - 1) // CHUNK
        cdef probe_t *p
        cdef void *grown = realloc(self.e.chunks, (chunks + 1) * sizeof(probe_t *))
        if grown == NULL:
            raise MemoryError
        self.e.chunks = <probe_t **>grown
        grown = realloc(self.e.results, (self.e.slots + CHUNK) * sizeof(result_t))
        if grown == NULL:
            raise MemoryError
        self.e.results = <result_t *>grown
        p = <probe_t *>calloc(CHUNK, sizeof(probe_t))
        if p == NULL:
            raise MemoryError
        self.e.chunks[chunks] = p
        for i in range(CHUNK):
            p[i].index = self.e.slots + i
            p[i].engine = &self.e
            p[i].fd = -1
            node_init(&p[i].node, <uint16_t>self.e.kind, p[i].index)
        for i in range(CHUNK):
            p[CHUNK - 1 - i].next = self.e.free
            self.e.free = &p[CHUNK - 1 - i]
        self.e.slots += CHUNK
        return 0

    def open(self, str ip, int port, *, int64_t timeout_ns, int64_t delay_ns, str bind_ip="", int bind_port=0,
             urls=()) -> int:
        cdef probe_t *p
        cdef sockaddr_in6 peer, local
        cdef uint32_t size, local_size
        if timeout_ns <= 0 or delay_ns <= 0 or not 0 < port < 65536 or not 0 <= bind_port < 65536:
            raise ValueError(f"port {port}, bind port {bind_port}, timeout {timeout_ns} ns, delay {delay_ns} ns")
        set_address(&peer, &size, ip, port)
        memset(&local, 0, sizeof(local))
        if bind_ip or bind_port:
            set_address(&local, &local_size, bind_ip or ("::" if size == 28 else "0.0.0.0"), bind_port)
            if local_size != size:
                raise ValueError(f"cannot bind to {bind_ip} and connect to {ip}")
        if self.e.free == NULL:
            self._grow()
        p = self.e.free
        self._set_urls(p, list(urls))       # may raise: nothing is changed before
        self.e.free = p.next
        p.next = NULL
        p.peer = peer
        p.local = local
        p.address_size = size
        p.timeout_ns = timeout_ns
        p.delay_ns = delay_ns
        p.took_ns = -1
        p.checks = p.failures = 0
        p.url = 0
        p.steady = False
        p.state = HELD
        self.e.open_slots += 1
        return p.index

    cdef int _set_urls(self, probe_t *p, list urls) except -1:
        cdef size_t count = len(urls), total = sum([len(url[0]) for url in urls])
        cdef char *text
        cdef bytes request, digest
        cdef url_t *block
        cdef void *md5 = NULL
        cdef size_t i
        cdef int low, high, status
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
        block = <url_t *>calloc(1, count * sizeof(url_t) + total) if count else NULL
        if count and block == NULL:
            md5_free(md5)
            raise MemoryError
        text = <char *>(block + count)
        for i in range(count):
            request, ranges, digest = urls[i]
            memcpy(text, <const char *>request, len(request))
            block[i].request = text
            block[i].request_size = <uint32_t>len(request)
            text += len(request)
            block[i].digested = len(digest) == 16
            if digest:
                memcpy(block[i].digest, <const char *>digest, 16)
            for low, high in ranges:
                for status in range(low, high + 1):
                    block[i].accepted[status >> 3] |= <uint8_t>(1 << (status & 7))
        p.urls = block
        p.url_count = <uint16_t>count
        p.md5 = md5
        return 0

    def close_slot(self, uint32_t slot) -> None:
        cdef probe_t *p = self._slot(slot)
        probe_cancel(p)
        if p.reported:
            forget_result(&self.e, p)
        free(p.urls)
        md5_free(p.md5)
        p.urls = NULL
        p.md5 = NULL
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
        p.url = url
        p.steady = steady
        p.state = WAITING
        wheel_arm(&self.e.reactor.wheel, &p.node, when_ns)

    def stats(self, uint32_t slot) -> tuple:
        cdef probe_t *p = self._slot(slot)
        return p.checks, p.failures, p.took_ns

    def generation(self, uint32_t slot) -> int:
        return self._slot(slot).generation

    def counters(self) -> dict:
        found = {
            "started": self.e.started, "ended": self.e.ended, "cancelled": self.e.cancelled,
            "in_flight": self.e.in_flight, "queued": self.e.queued, "waited": self.e.waited,
        }
        found |= {name.lower(): self.e.endings[number] for name, number in ENDING_NAMES.items()}
        return found

    def check(self) -> int:
        return engine_check(&self.e)

    def close(self) -> None:
        cdef uint32_t i
        for i in range(self.e.slots):
            if at(&self.e, i).state != FREE:
                self.close_slot(i)
