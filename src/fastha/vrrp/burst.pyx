# Many frames of one size in one system call: sendmmsg over slices of one buffer.

from libc.errno cimport EINTR, errno
from libc.stdint cimport uint8_t
from libc.string cimport memset

from fastha.loop.mmsg cimport MSG_DONTWAIT, iovec, mmsghdr, sendmmsg

cdef enum:
    BATCH = 64


cdef int send_some(
    int fd, const uint8_t *frames, size_t size, int count, const uint8_t *to, unsigned int to_size
) noexcept nogil:
    # How many of at most BATCH frames left, or -errno if the first did not.
    cdef mmsghdr messages[BATCH]
    cdef iovec vectors[BATCH]
    cdef int i, n
    memset(messages, 0, sizeof(messages))
    for i in range(count):
        vectors[i].iov_base = <void *>(frames + i * size)
        vectors[i].iov_len = size
        messages[i].msg_hdr.msg_iov = &vectors[i]
        messages[i].msg_hdr.msg_iovlen = 1
        messages[i].msg_hdr.msg_name = <void *>to
        messages[i].msg_hdr.msg_namelen = to_size
    while True:
        n = sendmmsg(fd, messages, count, MSG_DONTWAIT)
        if n >= 0:
            return n
        if errno != EINTR:
            return -errno


def send(int fd, const uint8_t[::1] frames, size_t size, const uint8_t[::1] to) -> tuple[int, int]:
    """(frames that left, errno of the last failure or 0); a frame that fails is skipped."""
    cdef int total = <int>(frames.shape[0] // <Py_ssize_t>size) if size else 0
    cdef int at = 0, left = 0, failed = 0, n, count
    with nogil:
        while at < total:
            count = total - at if total - at < BATCH else BATCH
            n = send_some(fd, &frames[at * <Py_ssize_t>size], size, count, &to[0], <unsigned int>to.shape[0])
            if n > 0:
                left += n
                at += n
            else:
                failed = -n
                at += 1
    return left, failed
