# Facts, and what they mean here:
#
# - epoll reports descriptors, and a handler may remove and close another one that was reported in the same batch, whose
#   number may even be in use again. So an event carries the generation of its slot, and is dropped if that has passed.
# - Level-triggered descriptors of Python would be reported anew by each of the polls that serve native ones between
#   Python callbacks. So they live in a second epoll inside the first: any number of them is one event there.
# - A sleep must never end before the timer it waits for (that would spin), nor much after. epoll_pwait2 takes
#   nanoseconds; where it is missing (or a seccomp filter of old refuses it) milliseconds are rounded up.
# - Handlers take time, so `now` is read again after each: what a timer handler is told, and the lag, are true.
# - A Python signal handler runs only when the interpreter is asked: after EINTR and after each Python turn. A signal
#   that falls between that and the sleep waits for the next turn; loop.signals has no such gap.

from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EBADF, EEXIST, EINTR, EINVAL, ENOENT, ENOMEM, ENOSPC, ENOSYS, EPERM, errno
from libc.stdint cimport INT64_MAX
from libc.stdlib cimport free, realloc
from libc.string cimport memset
from posix.unistd cimport close

from fastha.loop.clock cimport monotonic_ns
from fastha.loop.lateness cimport LATE_STEPS, note_lateness
from fastha.loop.wheel cimport (
    node_armed, node_init, wheel_advance, wheel_arm, wheel_disarm, wheel_init, wheel_next_ns, wheel_pop,
)

import os

cdef extern from * nogil:
    """
    #include <sys/epoll.h>
    #include <sys/syscall.h>
    #include <time.h>
    #include <unistd.h>
    #ifndef SYS_epoll_pwait2
    #define SYS_epoll_pwait2 441    /* Linux 5.11, the same number on every architecture */
    #endif
    struct fha_timespec64 { long long tv_sec, tv_nsec; };   /* struct __kernel_timespec */
    static inline int fha_epoll_pwait2(int epfd, struct epoll_event *events, int room, long long timeout_ns)
    {
        struct fha_timespec64 ts = {timeout_ns / 1000000000, timeout_ns % 1000000000};
        return (int)syscall(SYS_epoll_pwait2, epfd, events, room, timeout_ns < 0 ? NULL : &ts, NULL, (size_t)0);
    }
    static inline int fha_sleep_until(long long ns)     /* 0, or EINTR */
    {
        struct timespec ts = {ns / 1000000000, ns % 1000000000};
        return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
    }
    """
    ctypedef union epoll_data_t:
        uint64_t u64
    cdef struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epfd, int op, int fd, epoll_event *event)
    int epoll_wait(int epfd, epoll_event *events, int room, int timeout_ms)
    int epoll_pwait2 "fha_epoll_pwait2"(int epfd, epoll_event *events, int room, long long timeout_ns)
    int sleep_until "fha_sleep_until"(long long ns)
    enum:
        EPOLL_CLOEXEC
        EPOLL_CTL_ADD
        EPOLL_CTL_MOD
        EPOLL_CTL_DEL
        EPOLLIN

cdef enum:
    BATCH = 256                             # events fetched per system call
    ROUNDS = 16                             # fetches per turn before timers have their say
    NS_PER_MS = 1000000
    MAX_MS = 60000                          # a coarse sleep; waking up once a minute for nothing is free


cdef inline uint64_t label(uint32_t generation, int fd) noexcept nogil:
    return <uint64_t>generation << 32 | <uint32_t>fd


cdef int reactor_init(reactor_t *r) noexcept nogil:
    memset(r, 0, sizeof(r[0]))
    wheel_init(&r.wheel, monotonic_ns())
    r.epfd = epoll_create1(EPOLL_CLOEXEC)
    return 0 if r.epfd >= 0 else -errno


cdef void reactor_close(reactor_t *r) noexcept nogil:
    if r.epfd >= 0:
        close(r.epfd)
    r.epfd = -1
    free(r.fds)
    r.fds = NULL
    r.fds_size = 0


cdef int grow(reactor_t *r, int fd) noexcept nogil:
    cdef uint32_t size = r.fds_size or 64
    cdef fd_slot *fds
    while size <= <uint32_t>fd:
        size *= 2
    fds = <fd_slot *>realloc(r.fds, size * sizeof(fd_slot))
    if fds == NULL:
        return -ENOMEM
    memset(fds + r.fds_size, 0, (size - r.fds_size) * sizeof(fd_slot))
    r.fds = fds
    r.fds_size = size
    return 0


cdef inline fd_slot *slot_of(reactor_t *r, int fd) noexcept nogil:
    if fd < 0 or <uint32_t>fd >= r.fds_size or r.fds[fd].handler == NULL:
        return NULL
    return &r.fds[fd]


cdef int reactor_add(reactor_t *r, int fd, uint32_t events, fd_handler handler, void *ctx) noexcept nogil:
    cdef epoll_event event
    cdef fd_slot *slot
    cdef int rc
    if fd < 0 or r.epfd < 0:
        return -EBADF
    if handler == NULL:
        return -EINVAL
    if <uint32_t>fd >= r.fds_size:
        rc = grow(r, fd)
        if rc < 0:
            return rc
    slot = &r.fds[fd]
    if slot.handler != NULL:
        return -EEXIST
    event.events = events
    event.data.u64 = label(slot.generation, fd)
    if epoll_ctl(r.epfd, EPOLL_CTL_ADD, fd, &event) < 0:
        return -errno
    slot.handler = handler
    slot.ctx = ctx
    slot.events = events
    return 0


cdef int reactor_modify(reactor_t *r, int fd, uint32_t events) noexcept nogil:
    cdef epoll_event event
    cdef fd_slot *slot = slot_of(r, fd)
    if slot == NULL:
        return -ENOENT
    if slot.events == events:
        return 0
    event.events = events
    event.data.u64 = label(slot.generation, fd)
    if epoll_ctl(r.epfd, EPOLL_CTL_MOD, fd, &event) < 0:
        return -errno
    slot.events = events
    return 0


cdef int reactor_remove(reactor_t *r, int fd) noexcept nogil:
    cdef fd_slot *slot = slot_of(r, fd)
    if slot == NULL:
        return -ENOENT
    slot.handler = NULL
    slot.generation += 1                    # events already fetched for it are void
    return 0 if epoll_ctl(r.epfd, EPOLL_CTL_DEL, fd, NULL) == 0 else -errno


cdef void reactor_forget(reactor_t *r, int fd) noexcept nogil:
    cdef fd_slot *slot = slot_of(r, fd)
    if slot != NULL:
        slot.handler = NULL
        slot.generation += 1


cdef int reactor_again(reactor_t *r, int fd) noexcept nogil:
    cdef epoll_event event
    cdef fd_slot *slot = slot_of(r, fd)
    if slot == NULL:
        return -ENOENT
    event.events = slot.events
    event.data.u64 = label(slot.generation, fd)
    return 0 if epoll_ctl(r.epfd, EPOLL_CTL_MOD, fd, &event) == 0 else -errno


cdef void reactor_rest(reactor_t *r, ns_t until_ns) noexcept nogil:
    r.rest_until_ns = until_ns


cdef int reactor_timer_kind(reactor_t *r, timer_handler handler, void *ctx) noexcept nogil:
    if r.kinds == REACTOR_KINDS:
        return -ENOSPC
    r.timer_handlers[r.kinds] = handler
    r.timer_ctx[r.kinds] = ctx
    r.kinds += 1
    return <int>r.kinds - 1


cdef int fetch(reactor_t *r, epoll_event *events, ns_t timeout_ns) noexcept nogil:
    # -1: for ever. The number of events, or -errno.
    cdef ns_t ms
    cdef int n
    if timeout_ns == 0:
        n = epoll_wait(r.epfd, events, BATCH, 0)
        return n if n >= 0 else -errno
    if not r.coarse:
        n = epoll_pwait2(r.epfd, events, BATCH, timeout_ns)
        if n >= 0:
            return n
        if errno != ENOSYS and errno != EPERM:
            return -errno
        r.coarse = True
    ms = (timeout_ns + NS_PER_MS - 1) // NS_PER_MS if timeout_ns < <ns_t>MAX_MS * NS_PER_MS else MAX_MS
    n = epoll_wait(r.epfd, events, BATCH, -1 if timeout_ns < 0 else <int>ms)
    return n if n >= 0 else -errno


cdef ns_t sleep_ns(const reactor_t *r) noexcept nogil:
    cdef ns_t next_ns = wheel_next_ns(&r.wheel), now_ns
    if next_ns == INT64_MAX:
        return -1
    now_ns = monotonic_ns()
    return next_ns - now_ns if next_ns > now_ns else 0


cdef int rest(reactor_t *r) noexcept nogil:
    # Sleep until the rest is over or a timer is due. 0 or -EINTR.
    cdef ns_t until_ns = r.rest_until_ns, next_ns = wheel_next_ns(&r.wheel)
    r.rest_until_ns = 0
    return -sleep_until(until_ns if until_ns < next_ns else next_ns)


cdef void serve_fds(reactor_t *r, const epoll_event *events, int n) noexcept nogil:
    cdef fd_slot *slot
    cdef int fd, i
    for i in range(n):
        fd = <int><uint32_t>events[i].data.u64
        slot = slot_of(r, fd)               # looked up each time: a handler may have grown the array
        if slot == NULL or slot.generation != <uint32_t>(events[i].data.u64 >> 32):
            continue
        if slot.handler(slot.ctx, fd, events[i].events, monotonic_ns()):
            r.python_due = True


cdef void serve_timers(reactor_t *r) noexcept nogil:
    cdef wheel_node *node
    cdef ns_t now_ns = monotonic_ns()
    wheel_advance(&r.wheel, now_ns)
    node = wheel_pop(&r.wheel)
    while node != NULL:
        note_lateness(&r.lag_max_ns, r.lag, now_ns - node.deadline_ns)
        if node.kind < r.kinds and r.timer_handlers[node.kind](r.timer_ctx[node.kind], node, now_ns):
            r.python_due = True
        node = wheel_pop(&r.wheel)
        if node != NULL:
            now_ns = monotonic_ns()


cdef int reactor_turn(reactor_t *r, bint wait) noexcept nogil:
    cdef epoll_event events[BATCH]
    cdef int n, _round
    cdef int interrupted = 0
    n = 0
    if wait and r.rest_until_ns != 0:
        n = rest(r)
        if n == 0:
            n = fetch(r, events, 0)
    else:
        n = fetch(r, events, sleep_ns(r) if wait else 0)
    if n == -EINTR:                         # SIGCONT after a long stop, say: hear what came meanwhile, then timers
        interrupted = n
        n = fetch(r, events, 0)
    if n > 0:
        serve_fds(r, events, n)
    for _round in range(1, ROUNDS):         # what has arrived is heard before any timer acts on silence
        if n < BATCH:
            break
        n = fetch(r, events, 0)
        if n > 0:
            serve_fds(r, events, n)
    serve_timers(r)
    r.turns += 1
    return n if n < 0 else interrupted


cdef int turn_until_python(reactor_t *r) noexcept nogil:
    cdef int rc = 0
    while rc == 0 and not r.python_due:
        rc = reactor_turn(r, True)
    return rc


# -- the Python coat ---------------------------------------------------------------------------------------------

cdef struct py_timer:
    wheel_node node                         # first, so that a node is its py_timer
    void *owner                             # the Timer, borrowed: _py_timers holds it


cdef int on_python_fds(void *ctx, int fd, uint32_t events, ns_t now_ns) noexcept nogil:
    return not (<Reactor>ctx)._serving


cdef int on_python_timer(void *ctx, wheel_node *node, ns_t now_ns) noexcept nogil:
    push_due(&(<Reactor>ctx)._due, node)
    return 1


cdef void push_due(wheel_node *head, wheel_node *node) noexcept nogil:
    node.prev = head.prev
    node.next = head
    head.prev.next = node
    head.prev = node


cdef void drop_due(wheel_node *node) noexcept nogil:
    node.prev.next = node.next
    node.next.prev = node.prev
    node.next = NULL
    node.prev = NULL


cdef class Timer:
    """See reactor.pyi."""
    cdef py_timer t
    cdef Reactor reactor                    # None: fired or cancelled
    cdef object callback
    cdef readonly int64_t when_ns

    def cancel(self) -> None:
        if self.reactor is not None:
            self._forget()

    cdef int _forget(self) except -1:
        cdef Reactor reactor = self.reactor
        if node_armed(&self.t.node):
            wheel_disarm(&reactor.r.wheel, &self.t.node)
        else:
            drop_due(&self.t.node)
        self.reactor = None
        self.callback = None
        reactor._py_timers.discard(self)
        return 0


cdef int check(int rc) except -1:
    if rc < 0:
        raise OSError(-rc, os.strerror(-rc))
    return rc


cdef class Reactor:
    def __cinit__(self):
        self._py_epfd = -1
        self._py_fds = {}
        self._py_timers = set()
        self._before_sleep = []
        self._due.next = self._due.prev = &self._due
        self.r.epfd = -1
        self._open()

    cdef int _open(self) except -1:
        check(reactor_init(&self.r))
        self._py_epfd = epoll_create1(EPOLL_CLOEXEC)
        if self._py_epfd < 0:
            check(-errno)
        check(reactor_add(&self.r, self._py_epfd, EPOLLIN, on_python_fds, <void *>self))
        check(reactor_timer_kind(&self.r, on_python_timer, <void *>self))   # kind 0
        return 0

    def __dealloc__(self):
        reactor_close(&self.r)
        if self._py_epfd >= 0:
            close(self._py_epfd)

    @property
    def turns(self) -> int:
        return self.r.turns

    def now_ns(self) -> int:
        return monotonic_ns()

    def add(self, int fd, uint32_t events, callback) -> None:
        cdef epoll_event event
        cdef uint32_t generation = self._py_generation
        event.events = events
        event.data.u64 = label(generation, fd)
        if epoll_ctl(self._py_epfd, EPOLL_CTL_ADD, fd, &event) < 0:
            check(-errno)
        self._py_generation += 1
        self._py_fds[fd] = (generation, callback)

    def modify(self, int fd, uint32_t events) -> None:
        cdef epoll_event event
        entry = self._py_fds.get(fd)
        if entry is None:
            check(-ENOENT)
        event.events = events
        event.data.u64 = label(entry[0], fd)
        if epoll_ctl(self._py_epfd, EPOLL_CTL_MOD, fd, &event) < 0:
            check(-errno)

    def remove(self, int fd) -> None:
        if self._py_fds.pop(fd, None) is None:
            check(-ENOENT)
        if epoll_ctl(self._py_epfd, EPOLL_CTL_DEL, fd, NULL) < 0:
            check(-errno)

    def call_at(self, int64_t deadline_ns, callback) -> Timer:
        cdef Timer timer = Timer.__new__(Timer)
        cdef ns_t now_ns = monotonic_ns()
        if self.r.epfd < 0:
            check(-EBADF)
        timer.reactor = self
        timer.callback = callback
        timer.when_ns = deadline_ns
        timer.t.owner = <void *>timer
        node_init(&timer.t.node, 0, 0)
        self._py_timers.add(timer)
        # A deadline in the past is the caller's choice, not lateness of this loop.
        wheel_arm(&self.r.wheel, &timer.t.node, deadline_ns if deadline_ns > now_ns else now_ns)
        return timer

    def call_later(self, int64_t delay_ns, callback) -> Timer:
        return self.call_at(monotonic_ns() + delay_ns, callback)

    def before_sleep(self, hook) -> None:
        self._before_sleep.append(hook)

    def take_lag_ns(self) -> int:
        lag = self.r.lag_max_ns
        self.r.lag_max_ns = 0
        return lag

    def lag(self) -> list:
        return [self.r.lag[i] for i in range(<int>LATE_STEPS)]

    def run(self) -> None:
        cdef int rc
        if self._running:
            raise RuntimeError("the reactor is already running")
        if self.r.epfd < 0:
            raise ValueError("the reactor is closed")
        self._running = True
        try:
            while not self._stopping:
                with nogil:
                    rc = turn_until_python(&self.r)
                if rc < 0 and rc != -EINTR:
                    check(rc)
                PyErr_CheckSignals()
                if self.r.python_due:
                    self._serve()
        finally:
            self._running = False
            self._stopping = False

    cdef int _poll(self) except -1:
        # Between two Python callbacks: native work does not wait for the second one.
        cdef int rc = reactor_turn(&self.r, False)
        if rc < 0 and rc != -EINTR:
            check(rc)
        PyErr_CheckSignals()
        return 0

    cdef int _serve(self) except -1:
        self.r.python_due = False
        self._serving = True
        try:
            self._serve_fds()
            self._serve_timers()
            for hook in self._before_sleep.copy():
                hook()
                self._poll()
        except BaseException:
            self.r.python_due = True        # what is left, hooks included, is done if somebody runs the loop again
            raise
        finally:
            self._serving = False
        return 0

    cdef int _serve_fds(self) except -1:
        cdef epoll_event events[BATCH]
        cdef int fd, i
        cdef int n = epoll_wait(self._py_epfd, events, BATCH, 0)
        if n < 0 and errno != EINTR:
            check(-errno)
        for i in range(n):
            fd = <int><uint32_t>events[i].data.u64
            entry = self._py_fds.get(fd)
            if entry is None or <uint32_t>entry[0] != <uint32_t>(events[i].data.u64 >> 32):
                continue
            entry[1](events[i].events)
            self._poll()
        return 0

    cdef int _serve_timers(self) except -1:
        # Only those that are due now: a callback that comes due again meanwhile does not keep the hooks waiting.
        cdef Py_ssize_t left = 0
        cdef wheel_node *node = self._due.next
        cdef Timer timer
        while node != &self._due:
            left += 1
            node = node.next
        while left > 0 and self._due.next != &self._due:
            timer = <Timer>(<py_timer *>self._due.next).owner
            callback = timer.callback
            timer._forget()
            callback()
            self._poll()
            left -= 1
        return 0

    def stop(self) -> None:
        self._stopping = True

    def close(self) -> None:
        cdef Timer timer
        for timer in list(self._py_timers):
            timer._forget()
        self._py_fds.clear()
        self._before_sleep.clear()
        reactor_close(&self.r)
        if self._py_epfd >= 0:
            close(self._py_epfd)
        self._py_epfd = -1
