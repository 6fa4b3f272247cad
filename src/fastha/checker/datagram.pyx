from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from fastha.checker.outlet cimport ending_of
from fastha.checker.slot cimport (
    ANSWERED, BUFFER, KIND_DNS, KIND_PING, KIND_UDP, LENGTH, MISMATCH, NO_MEMORY, RCODE, READING, READS, REPLY_TIMEOUT,
    SILENT, UNFINISHED, ended, engine_t, flight_t, manner_t,
)
from fastha.loop.clock cimport ns_t

cdef extern from "<sys/socket.h>" nogil:
    ssize_t send(int fd, const void *data, size_t size, int flags)
    ssize_t recv(int fd, void *data, size_t size, int flags)
    enum:
        AF_INET
        MSG_NOSIGNAL

cdef enum:
    DNS_HEADER = 12
    DNS_QUESTION = 512                      # a query over UDP is no longer (RFC 1035 section 4.2.1)
    ICMP_HEADER = 8
    ECHO_SIZE = 24                          # header, and 16 bytes that say which probe this is
    ECHO_REQUEST = 8
    ECHO_REPLY = 0
    ECHO6_REQUEST = 128
    ECHO6_REPLY = 129


cdef uint32_t next_tag(engine_t *e) noexcept nogil:
    # xorshift64* (Vigna 2016): ids that are not told by those before to somebody who sees none of them.
    e.random ^= e.random >> 12
    e.random ^= e.random << 25
    e.random ^= e.random >> 27
    return <uint32_t>((e.random * <uint64_t>2685821657736338717) >> 32)


cdef void echo(const flight_t *f, uint8_t *packet) noexcept nogil:
    cdef uint32_t total = 0, i
    cdef ns_t started_ns = f.probe.started_ns
    memset(packet, 0, ECHO_SIZE)
    packet[0] = ECHO_REQUEST if f.probe.peer.sin6_family == AF_INET else ECHO6_REQUEST
    memcpy(packet + 4, &f.tag, 4)           # identifier (a datagram socket puts its own there) and sequence number
    memcpy(packet + 8, &started_ns, 8)
    memcpy(packet + 16, &f.probe.node.index, 4)
    memcpy(packet + 20, &f.tag, 4)
    if packet[0] == ECHO_REQUEST:           # ICMPv6: the kernel does it, it covers the addresses
        for i in range(0, ECHO_SIZE, 2):
            total += packet[i] << 8 | packet[i + 1]
        total = (total & 0xffff) + (total >> 16)
        total = ~((total & 0xffff) + (total >> 16)) & 0xffff
        packet[2] = <uint8_t>(total >> 8)
        packet[3] = <uint8_t>total


cdef int datagram_ask(flight_t *f) noexcept nogil:
    cdef const manner_t *m = f.probe.manner
    cdef uint8_t packet[DNS_QUESTION]
    cdef const void *data = m.question
    cdef size_t size = m.question_size
    cdef ssize_t n
    f.probe.state = READING
    if m.kind != KIND_UDP:
        f.tag = next_tag(f.engine)
        data = packet
    if m.kind == KIND_DNS:
        memcpy(packet, m.question, size)
        memcpy(packet, &f.tag, 2)
    elif m.kind == KIND_PING:
        echo(f, packet)
        size = ECHO_SIZE
    while True:
        n = send(f.fd, data, size, MSG_NOSIGNAL)
        if n >= 0:
            return UNFINISHED
        if errno == EAGAIN:                 # the device's queue is full
            return ended(f, NO_MEMORY, errno)
        if errno != EINTR:
            return ended(f, ending_of(errno), errno)


cdef int judge_udp(flight_t *f, size_t size) noexcept nogil:
    cdef const manner_t *m = f.probe.manner
    cdef const char *data = f.engine.buffer
    cdef uint32_t i
    if not m.require_reply:
        return ANSWERED
    if size < m.least or size > m.most:
        return ended(f, LENGTH, <int>size)
    if size < m.pattern_size:
        return MISMATCH
    for i in range(m.pattern_size):
        if (data[i] ^ m.pattern[i]) & m.mask[i]:
            return MISMATCH
    return ANSWERED


cdef int judge_dns(flight_t *f, size_t size) noexcept nogil:
    # Not the answer to this query: not an answer at all (RFC 5452 section 9.1); the true one may still come.
    cdef const uint8_t *data = <const uint8_t *>f.engine.buffer
    if size < DNS_HEADER or memcmp(data, &f.tag, 2) != 0 or not data[2] & 0x80:
        return UNFINISHED
    return ended(f, RCODE, data[3] & 15) if data[3] & 15 else ANSWERED


cdef int judge_ping(flight_t *f, size_t size) noexcept nogil:
    cdef const uint8_t *data = <const uint8_t *>f.engine.buffer
    cdef bint v4 = f.probe.peer.sin6_family == AF_INET
    cdef uint8_t ours[ECHO_SIZE]
    cdef size_t header = 0
    if v4 and f.raw:                        # with its IP header (raw(7))
        header = (data[0] & 15) * 4 if size else 0
    if size < header + ECHO_SIZE:
        return UNFINISHED
    data += header
    echo(f, ours)
    if data[0] != (ECHO_REPLY if v4 else ECHO6_REPLY) or data[1] != 0:
        return UNFINISHED
    return ANSWERED if memcmp(data + ICMP_HEADER, ours + ICMP_HEADER, ECHO_SIZE - ICMP_HEADER) == 0 else UNFINISHED


cdef int datagram_read(flight_t *f) noexcept nogil:
    cdef int ending, turn = 0
    cdef ssize_t n
    while turn < READS:
        n = recv(f.fd, f.engine.buffer, BUFFER, 0)
        if n < 0 and errno == EINTR:
            continue
        if n < 0 and errno == EAGAIN:
            return UNFINISHED
        if n < 0:                           # an ICMP error came back
            return ended(f, ending_of(errno), errno)
        turn += 1
        if f.probe.manner.kind == KIND_UDP:
            ending = judge_udp(f, <size_t>n)
        elif f.probe.manner.kind == KIND_DNS:
            ending = judge_dns(f, <size_t>n)
        else:
            ending = judge_ping(f, <size_t>n)
        if ending != UNFINISHED:
            return ending
    return UNFINISHED


cdef int datagram_silence(flight_t *f) noexcept nogil:
    cdef const manner_t *m = f.probe.manner
    return SILENT if m.kind == KIND_UDP and not m.require_reply else REPLY_TIMEOUT
