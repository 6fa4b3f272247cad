from libc.errno cimport (
    EACCES, EADDRINUSE, EADDRNOTAVAIL, EAGAIN, ECONNREFUSED, ECONNRESET, EHOSTDOWN, EHOSTUNREACH, EINPROGRESS, EMFILE,
    ENETDOWN, ENETUNREACH, ENFILE, ENOBUFS, ENODEV, ENOMEM, EPERM, EPIPE, EPROTONOSUPPORT, errno,
)
from libc.stdint cimport uint16_t
from libc.string cimport strlen
from posix.unistd cimport close

from fastha.checker.slot cimport (
    CONNECTED, CONNECTING, DENIED, ERROR, KIND_HTTP, KIND_PING, NO_DESCRIPTOR, NO_MEMORY, NO_PORT, NO_SOURCE, REFUSED,
    RESET, UNFINISHED, UNREACHABLE, ended, engine_t, flight_t, manner_t, probe_t, sockaddr, sockaddr_in6,
)

cdef extern from * nogil:
    """
    #include <errno.h>
    #include <sys/socket.h>
    #include <netinet/in.h>
    #ifndef IP_BIND_ADDRESS_NO_PORT
    #define IP_BIND_ADDRESS_NO_PORT 24      /* linux/in.h */
    #endif
    #ifndef IP_RECVERR
    #define IP_RECVERR 11
    #endif
    #ifndef IPV6_RECVERR
    #define IPV6_RECVERR 25
    #endif
    """
    struct linger:
        int l_onoff
        int l_linger
    int socket(int domain, int type, int protocol)
    int setsockopt(int fd, int level, int name, const void *value, unsigned int size)
    int bind(int fd, const sockaddr *address, unsigned int size)
    int connect(int fd, const sockaddr *address, unsigned int size)
    enum:
        AF_INET
        AF_INET6
        SOCK_DGRAM
        SOCK_RAW
        SOCK_STREAM
        SOCK_NONBLOCK
        SOCK_CLOEXEC
        SOL_SOCKET
        SO_BINDTODEVICE
        SO_LINGER
        SO_MARK
        SO_REUSEADDR
        IPPROTO_ICMP
        IPPROTO_ICMPV6
        IPPROTO_IP
        IPPROTO_IPV6
        IP_BIND_ADDRESS_NO_PORT
        IP_RECVERR
        IPV6_RECVERR


cdef int ending_of(int error) noexcept nogil:
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


cdef inline unsigned int size_of(const sockaddr_in6 *address) noexcept nogil:
    return 16 if address.sin6_family == AF_INET else 28


cdef int ping_socket(flight_t *f, int family) noexcept nogil:
    # Datagram sockets of ICMP are for the groups of net.ipv4.ping_group_range (icmp(7)), raw ones for CAP_NET_RAW.
    cdef int v6 = family == AF_INET6
    cdef int protocol = IPPROTO_ICMPV6 if v6 else IPPROTO_ICMP
    cdef int fd
    if not f.engine.raw_ping[v6]:
        f.raw = False
        fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol)
        if fd >= 0 or (errno != EACCES and errno != EPERM and errno != EPROTONOSUPPORT):
            return fd
    fd = socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol)
    f.raw = True
    f.engine.raw_ping[v6] = fd >= 0         # if this is refused as well, the group may be let in later
    return fd


cdef int bind_local(flight_t *f, const manner_t *m) noexcept nogil:
    # A port of its own is chosen at connect, when the peer is known, so that ports are not used up by the address
    # alone (ip(7), IP_BIND_ADDRESS_NO_PORT; IPv6 sockets take it as well). A fixed port may be used again at once.
    cdef int error, one = 1
    if (<const uint16_t *>&m.local)[1]:
        setsockopt(f.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one))
    elif m.kind != KIND_PING:
        setsockopt(f.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one))
    if bind(f.fd, <const sockaddr *>&m.local, size_of(&m.local)) == 0:
        return UNFINISHED
    error = errno
    return ended(f, NO_SOURCE if error == EADDRNOTAVAIL else ending_of(error), error)


cdef int outlet_open(flight_t *f) noexcept nogil:
    cdef const manner_t *m = f.probe.manner
    cdef int family = f.probe.peer.sin6_family, one = 1
    if m.kind == KIND_PING:
        f.fd = ping_socket(f, family)
    else:
        f.fd = socket(family, (SOCK_STREAM if m.kind <= KIND_HTTP else SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if f.fd < 0:
        return ended(f, ending_of(errno), errno)
    if m.mark and setsockopt(f.fd, SOL_SOCKET, SO_MARK, &m.mark, sizeof(m.mark)) < 0:
        return ended(f, ending_of(errno), errno)
    # Before the address: a link-local one means nothing without its interface (RFC 4007 section 6).
    if m.device[0] and setsockopt(f.fd, SOL_SOCKET, SO_BINDTODEVICE, m.device, <unsigned int>strlen(m.device)) < 0:
        return ended(f, NO_SOURCE if errno == ENODEV else ending_of(errno), errno)
    if m.kind > KIND_HTTP:
        # Without it an ICMP "host unreachable" is not told to a connected datagram socket (ip(7)).
        if family == AF_INET:
            setsockopt(f.fd, IPPROTO_IP, IP_RECVERR, &one, sizeof(one))
        else:
            setsockopt(f.fd, IPPROTO_IPV6, IPV6_RECVERR, &one, sizeof(one))
    return bind_local(f, m) if m.local.sin6_family else UNFINISHED


cdef bint no_way(const probe_t *p) noexcept nogil:
    # EADDRNOTAVAIL of a TCP connect: no free port, or (IPv6) no source address that leads there. UDP has ports of its
    # own and tells which.
    cdef int error, fd = socket(p.peer.sin6_family, SOCK_DGRAM | SOCK_CLOEXEC, 0)
    if fd < 0:
        return False
    error = connect(fd, <const sockaddr *>&p.peer, size_of(&p.peer))
    close(fd)
    return error < 0


cdef int outlet_connect(flight_t *f) noexcept nogil:
    cdef const probe_t *p = f.probe
    cdef int error
    if connect(f.fd, <const sockaddr *>&p.peer, size_of(&p.peer)) == 0:
        return CONNECTED if p.manner.kind <= KIND_HTTP else UNFINISHED
    error = errno
    if error == EINPROGRESS:
        return UNFINISHED
    if p.manner.kind > KIND_HTTP:
        if error == EAGAIN:                 # datagrams: every local port is taken
            return ended(f, NO_PORT, error)
        return ended(f, UNREACHABLE if error == EADDRNOTAVAIL else ending_of(error), error)
    if error == EADDRNOTAVAIL and no_way(p):
        return ended(f, UNREACHABLE, error)
    return ended(f, ending_of(error), error)


cdef void outlet_close(flight_t *f) noexcept nogil:
    # Unless the peer has closed first, close with RST: TIME_WAIT would keep a local port for a minute after each probe.
    cdef engine_t *e = f.engine
    cdef const manner_t *m = f.probe.manner
    cdef linger at_once
    if m.kind <= KIND_HTTP and not f.peer_closed and f.probe.state != CONNECTING:
        if m.reset:
            at_once.l_onoff = 1
            at_once.l_linger = 0
            setsockopt(f.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once))
            e.resets += 1
        else:
            e.farewells += 1
    close(f.fd)
    f.fd = -1
