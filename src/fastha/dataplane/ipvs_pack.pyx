# Operations -> struct fha_ipvs_op[], ten thousand at a time: one pass, no Python object made.

from cpython.unicode cimport PyUnicode_AsUTF8
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, memset, strchr, strlen

from fastha.dataplane.rows import Forward

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int family, const char *text, void *address)

cdef extern from "<sys/socket.h>" nogil:
    enum: AF_INET
    enum: AF_INET6

cdef extern from "<linux/ip_vs.h>" nogil:
    enum: IPVS_CMD_NEW_DEST
    enum: IPVS_CMD_SET_DEST
    enum: IPVS_CMD_DEL_DEST

cdef extern from "fha_ipvs.h" nogil:
    enum: FHA_IPVS_NAME_SIZE

    struct fha_ipvs_service:
        uint16_t family
        uint16_t protocol
        uint16_t port
        uint16_t netmask
        uint32_t fwmark
        uint32_t flags
        uint32_t timeout_s
        uint8_t address[16]
        char scheduler[16]
        char pe_name[16]

    struct fha_ipvs_dest:
        uint16_t family
        uint16_t port
        uint32_t forward
        int32_t weight
        uint32_t uthreshold
        uint32_t lthreshold
        uint16_t tun_port
        uint16_t tun_flags
        uint8_t tun_type
        uint8_t address[16]

    struct fha_ipvs_op:
        uint32_t verb
        fha_ipvs_service service
        fha_ipvs_dest dest

cdef object TUN = Forward.TUN


cdef int put_address(uint8_t *out, str ip) except -1:
    # Sixteen bytes, an IPv4 address in the first four; all zero for "". Returns the family.
    cdef const char *text = PyUnicode_AsUTF8(ip)
    cdef int family = AF_INET if strchr(text, c":") == NULL else AF_INET6
    if text[0] and inet_pton(family, text, out) != 1:
        raise ValueError(f"not an address: {ip!r}")
    return family


cdef int put_name(char *out, str name) except -1:
    cdef const char *text = PyUnicode_AsUTF8(name)
    cdef size_t size = strlen(text)
    if size >= FHA_IPVS_NAME_SIZE:
        raise ValueError(f"longer than {FHA_IPVS_NAME_SIZE - 1} characters: {name!r}")
    memcpy(out, text, size)
    return 0


cdef int put_key(fha_ipvs_service *out, object key) except -1:
    memset(out, 0, sizeof(fha_ipvs_service))
    out.family = key.family
    out.protocol = key.protocol
    out.port = key.port
    out.fwmark = key.fwmark
    put_address(out.address, key.ip)
    return 0


cdef int put_service(fha_ipvs_service *out, object service) except -1:
    out.netmask = service.netmask
    out.flags = service.flags
    out.timeout_s = service.timeout_s
    put_name(out.scheduler, service.scheduler)
    put_name(out.pe_name, service.pe_name)
    return 0


cdef int put_dest(fha_ipvs_dest *out, object dest) except -1:
    # Only a tunnel's destination has a tunnel.
    forward = dest.forward
    out.forward = forward
    out.weight = dest.weight
    out.uthreshold = dest.uthreshold
    out.lthreshold = dest.lthreshold
    if forward is TUN:
        out.tun_port = dest.tun_port
        out.tun_flags = dest.tun_flags
        out.tun_type = dest.tun_type
    return 0


def fill_ops(uint8_t[::1] room, list ops) -> None:
    cdef fha_ipvs_op *out = <fha_ipvs_op *>&room[0]
    cdef fha_ipvs_service identity  # of `key`: neighbours mostly share their service
    cdef object key = None
    cdef Py_ssize_t i
    cdef tuple op
    if <size_t>room.shape[0] < len(ops) * sizeof(fha_ipvs_op):
        raise ValueError("more operations than room")
    for i in range(len(ops)):
        entry = ops[i]
        if not isinstance(entry, tuple) or len(entry) != 5:
            raise TypeError(f"not an Op: {entry!r}")
        op = <tuple>entry  # a subclass: Cython's own check would refuse it
        if op[1] is not key:
            key = op[1]
            put_key(&identity, key)
        memset(out, 0, sizeof(fha_ipvs_op))
        out.verb = op[0]
        memcpy(&out.service, &identity, sizeof(identity))
        if out.verb in (IPVS_CMD_NEW_DEST, IPVS_CMD_SET_DEST, IPVS_CMD_DEL_DEST):
            dest_key = op[3]
            out.dest.family = put_address(out.dest.address, dest_key.ip)
            out.dest.port = dest_key.port
            if op[4] is not None:
                put_dest(&out.dest, op[4])
        elif op[2] is not None:
            put_service(&out.service, op[2])
        out += 1
