from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint32_t
from libc.string cimport memcmp

from fastha.checker.digest cimport md5_end, md5_new, md5_start, md5_update
from fastha.checker.http cimport (
    HTTP_COMPLETE, HTTP_GARBAGE, HTTP_TOO_LONG, http_end, http_feed, http_has_status, http_init,
)
from fastha.checker.outlet cimport ending_of
from fastha.checker.slot cimport (
    ANSWERED, BUFFER, DIGEST, GARBAGE, NO_MEMORY, READING, READS, SENDING, SHORT, STATUS, TOO_LONG, UNFINISHED,
    ended, flight_t, url_t,
)

cdef extern from "<sys/socket.h>" nogil:
    ssize_t send(int fd, const void *data, size_t size, int flags)
    ssize_t recv(int fd, void *data, size_t size, int flags)
    enum:
        MSG_NOSIGNAL

cdef extern from "<sys/epoll.h>" nogil:
    enum:
        EPOLLERR
        EPOLLHUP
        EPOLLRDHUP


cdef inline url_t *url_of(flight_t *f) noexcept nogil:
    return &f.probe.urls[f.probe.url]


cdef int exchange_begin(flight_t *f) noexcept nogil:
    f.probe.state = SENDING
    f.sent = 0
    http_init(&f.reply)
    if url_of(f).digested:
        if f.md5 == NULL:                   # once for each flight, not for each probe
            f.md5 = md5_new()
        if f.md5 == NULL:
            return ended(f, NO_MEMORY, 0)
        md5_start(f.md5)
    return UNFINISHED


cdef int exchange_write(flight_t *f) noexcept nogil:
    cdef url_t *url = url_of(f)
    cdef ssize_t n
    while f.sent < url.request_size:
        n = send(f.fd, url.request + f.sent, url.request_size - f.sent, MSG_NOSIGNAL)
        if n < 0 and errno == EINTR:
            continue
        if n < 0 and errno == EAGAIN:
            return UNFINISHED
        if n < 0:
            return ended(f, ending_of(errno), errno)
        f.sent += <uint32_t>n
    f.probe.state = READING
    return UNFINISHED


cdef inline bint accepted(const url_t *url, int status) noexcept nogil:
    return (url.accepted[status >> 3] >> (status & 7)) & 1


cdef int judge(flight_t *f) noexcept nogil:
    # The reply is whole and its status accepted; what remains is the digest.
    cdef url_t *url = url_of(f)
    cdef unsigned char digest[16]
    if url.digested:
        md5_end(f.md5, digest)
        if memcmp(digest, url.digest, 16) != 0:
            return ended(f, DIGEST, 0)
    return ended(f, ANSWERED, 0)


cdef int exchange_read(flight_t *f, bint *again) noexcept nogil:
    cdef url_t *url = url_of(f)
    cdef const char *body
    cdef size_t size
    cdef ssize_t n
    cdef int progress, turn = 0
    again[0] = False
    while turn < READS:
        n = recv(f.fd, f.engine.buffer, BUFFER, 0)
        if n < 0 and errno == EINTR:
            continue
        if n < 0 and errno == EAGAIN:
            return UNFINISHED
        if n < 0:
            return ended(f, ending_of(errno), errno)
        if n == 0:
            f.peer_closed = True
            return judge(f) if http_end(&f.reply) else ended(f, SHORT, 0)
        turn += 1
        progress = http_feed(&f.reply, f.engine.buffer, <size_t>n, &body, &size)
        if http_has_status(&f.reply) and not accepted(url, f.reply.status):
            return ended(f, STATUS, f.reply.status)
        if progress == HTTP_GARBAGE or progress == HTTP_TOO_LONG:
            return ended(f, GARBAGE if progress == HTTP_GARBAGE else TOO_LONG, 0)
        if size and url.digested:
            md5_update(f.md5, body, size)
        if progress == HTTP_COMPLETE:
            return judge(f)
        # A short read has emptied the socket, and what comes later is an edge of its own; but an end that is there
        # already has had its edge.
        if n < BUFFER and f.heard and not f.heard & (EPOLLRDHUP | EPOLLHUP | EPOLLERR):
            return UNFINISHED
    again[0] = True
    return UNFINISHED
