"""epoll and the wheel under one loop that stays in C until Python is needed.

A native handler runs without the GIL and answers 0 ("go on") or 1 ("Python has work": queues of the handler's
room are to be drained). Python handlers are for descriptors and timers that move at human speed (channel,
rtnetlink, heartbeat). Order within a turn: descriptors, then due timers, then (with the GIL) Python handlers,
then the before-sleep hooks, then sleep. Native descriptors and timers are served between Python callbacks as well,
so that a train of slow Python callbacks keeps adverts waiting no longer than its slowest callback.
"""

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from fastha.loop.clock cimport ns_t
from fastha.loop.lateness cimport LATE_STEPS
from fastha.loop.wheel cimport wheel_node, wheel_t

# `now_ns` is at most one handler call old.
ctypedef int (*fd_handler)(void *ctx, int fd, uint32_t events, ns_t now_ns) noexcept nogil
ctypedef int (*timer_handler)(void *ctx, wheel_node *node, ns_t now_ns) noexcept nogil

cdef enum:
    REACTOR_KINDS = 16

cdef struct fd_slot:
    fd_handler handler                      # NULL: free
    void *ctx
    uint32_t events
    uint32_t generation                     # in epoll_data, so that an event for a closed-and-reused fd is dropped

cdef struct reactor_t:
    int epfd
    wheel_t wheel                           # for arming nodes: wheel_arm(&reactor.r.wheel, &node, deadline_ns)
    fd_slot *fds                            # indexed by descriptor, grown by doubling
    uint32_t fds_size
    timer_handler timer_handlers[REACTOR_KINDS]
    void *timer_ctx[REACTOR_KINDS]
    uint32_t kinds
    uint64_t turns                          # loop progress: what a heartbeat proves
    ns_t lag_max_ns                         # worst lateness of a timer since last taken
    uint64_t lag[LATE_STEPS]                # lateness of all timers, native and Python's, since the start
    bint python_due                         # some handler answered 1
    ns_t rest_until_ns                      # 0, or when descriptors are looked at again
    bint coarse                             # this kernel has no epoll_pwait2: milliseconds, rounded up

# 0 or -errno.
cdef int reactor_init(reactor_t *r) noexcept nogil
cdef void reactor_close(reactor_t *r) noexcept nogil            # idempotent; handlers' descriptors stay their owners'
cdef int reactor_add(reactor_t *r, int fd, uint32_t events, fd_handler handler, void *ctx) noexcept nogil
cdef int reactor_modify(reactor_t *r, int fd, uint32_t events) noexcept nogil
cdef int reactor_remove(reactor_t *r, int fd) noexcept nogil    # before close(); safe from inside any handler
# Before the close() of a descriptor of which nobody has a copy: its end takes it out of the epoll, without a call.
cdef void reactor_forget(reactor_t *r, int fd) noexcept nogil
# Report an edge-triggered descriptor that is still ready once more. 0 or -errno.
cdef int reactor_again(reactor_t *r, int fd) noexcept nogil
# Do not look at any descriptor before this; timers keep their time, and a signal ends it. For a handler that would be
# woken for each of many things that may wait.
cdef void reactor_rest(reactor_t *r, ns_t until_ns) noexcept nogil
# Registers a handler for nodes whose `kind` is the returned number; -ENOSPC when all are taken.
cdef int reactor_timer_kind(reactor_t *r, timer_handler handler, void *ctx) noexcept nogil
# One turn of descriptors and timers; sleeps first if `wait` and nothing is due. 0, or -errno (-EINTR: a signal came).
cdef int reactor_turn(reactor_t *r, bint wait) noexcept nogil

cdef class Reactor:
    """The Python coat: owns the reactor_t. See reactor.pyi for what Python sees."""
    cdef reactor_t r
    cdef int _py_epfd                       # Python's descriptors live in an epoll of their own, inside r.epfd
    cdef uint32_t _py_generation
    cdef dict _py_fds                       # fd -> (generation, callback)
    cdef set _py_timers                     # owns every Timer that is armed or due
    cdef wheel_node _due                    # list head: Python timers whose time has come
    cdef list _before_sleep
    cdef bint _serving                      # inside _serve: the next callback is coming anyway
    cdef bint _running
    cdef bint _stopping
    cdef int _open(self) except -1
    cdef int _poll(self) except -1
    cdef int _serve(self) except -1
    cdef int _serve_fds(self) except -1
    cdef int _serve_timers(self) except -1
