# Where a node hangs depends on two numbers only: the wheel's present tick and the node's own tick. Write both with
# base-64 digits; the highest digit in which they differ is the level, the node's digit there is the slot:
#
#     now   = 0 0 0 0 0 5 17 60
#     node  = 0 0 0 0 0 5 19  2      level 1, slot 19
#
# So at each level only slots after the wheel's own digit are occupied, everything at a lower level comes before
# everything at a higher one, and the next thing to do is the lowest set bit of the lowest non-empty bitmap. When
# time reaches the start of a slot of level 1 or more, that slot's nodes are spread ("cascade") over the levels
# below; a node moves at most 7 times in its life. All nodes of one tick are always in the same list, which is why
# the order of arming survives the cascades.

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from libc.stdint cimport INT64_MAX

cdef extern from *:
    int ctz "__builtin_ctzll"(unsigned long long) noexcept nogil
    int clz "__builtin_clzll"(unsigned long long) noexcept nogil

cdef enum:
    TICK_BITS = 16
    DIGIT_BITS = 6
    DIGIT_MASK = 63
    SLOT_NONE = 0xffff
    SLOT_EXPIRED = 0xfffe


cdef inline uint64_t tick_floor(ns_t t) noexcept nogil:
    return 0 if t < 0 else <uint64_t>t >> TICK_BITS


cdef inline uint64_t tick_ceil(ns_t t) noexcept nogil:
    return 0 if t < 0 else (<uint64_t>t + (WHEEL_TICK_NS - 1)) >> TICK_BITS


cdef inline uint64_t node_tick(const wheel_t *w, ns_t deadline_ns) noexcept nogil:
    cdef uint64_t tick = tick_ceil(deadline_ns)
    return tick if tick > w.now_tick else w.now_tick + 1


cdef inline uint16_t place(uint64_t now_tick, uint64_t tick) noexcept nogil:
    # tick > now_tick, so that they differ in some digit
    cdef int level = (63 - clz(tick ^ now_tick)) // DIGIT_BITS
    return <uint16_t>(level << DIGIT_BITS | <int>(tick >> (level * DIGIT_BITS) & DIGIT_MASK))


cdef inline void list_init(wheel_node *head) noexcept nogil:
    head.next = head
    head.prev = head


cdef inline void list_append(wheel_node *head, wheel_node *n) noexcept nogil:
    n.prev = head.prev
    n.next = head
    head.prev.next = n
    head.prev = n


cdef inline void list_unlink(wheel_node *n) noexcept nogil:
    n.prev.next = n.next
    n.next.prev = n.prev
    n.next = NULL
    n.prev = NULL


cdef inline void hang(wheel_t *w, wheel_node *n, uint16_t slot) noexcept nogil:
    n.slot = slot
    if slot == SLOT_EXPIRED:
        list_append(&w.expired, n)
        return
    list_append(&w.slots[slot >> DIGIT_BITS][slot & DIGIT_MASK], n)
    w.occupied[slot >> DIGIT_BITS] |= <uint64_t>1 << (slot & DIGIT_MASK)


cdef void wheel_init(wheel_t *w, ns_t now_ns) noexcept nogil:
    cdef int level, slot
    for level in range(WHEEL_LEVELS):
        w.occupied[level] = 0
        for slot in range(WHEEL_SLOTS):
            list_init(&w.slots[level][slot])
    list_init(&w.expired)
    w.now_tick = tick_floor(now_ns)
    w.armed = 0


cdef void node_init(wheel_node *n, uint16_t kind, uint32_t index) noexcept nogil:
    n.next = NULL
    n.prev = NULL
    n.deadline_ns = 0
    n.index = index
    n.kind = kind
    n.slot = SLOT_NONE


cdef bint node_armed(const wheel_node *n) noexcept nogil:
    return n.slot != SLOT_NONE


cdef void wheel_arm(wheel_t *w, wheel_node *n, ns_t deadline_ns) noexcept nogil:
    wheel_disarm(w, n)
    n.deadline_ns = deadline_ns
    hang(w, n, place(w.now_tick, node_tick(w, deadline_ns)))
    w.armed += 1


cdef void wheel_disarm(wheel_t *w, wheel_node *n) noexcept nogil:
    cdef int level = n.slot >> DIGIT_BITS
    cdef int slot = n.slot & DIGIT_MASK
    if n.slot == SLOT_NONE:
        return
    list_unlink(n)
    if n.slot != SLOT_EXPIRED and w.slots[level][slot].next == &w.slots[level][slot]:
        w.occupied[level] &= ~(<uint64_t>1 << slot)
    n.slot = SLOT_NONE
    w.armed -= 1


cdef inline int lowest_level(const wheel_t *w) noexcept nogil:
    cdef int level
    for level in range(WHEEL_LEVELS):
        if w.occupied[level]:
            return level
    return WHEEL_LEVELS


cdef inline uint64_t slot_start(const wheel_t *w, int level, int slot) noexcept nogil:
    cdef int shift = level * DIGIT_BITS
    return ((w.now_tick >> shift & ~<uint64_t>DIGIT_MASK) | <uint64_t>slot) << shift


cdef void wheel_advance(wheel_t *w, ns_t now_ns) noexcept nogil:
    cdef uint64_t target = tick_floor(now_ns), tick
    cdef int level, slot
    cdef wheel_node *head
    cdef wheel_node *n
    cdef wheel_node *after
    while True:
        level = lowest_level(w)
        if level == WHEEL_LEVELS:
            break
        slot = ctz(w.occupied[level])
        tick = slot_start(w, level, slot)
        if tick > target:
            break
        w.now_tick = tick
        w.occupied[level] &= w.occupied[level] - 1
        head = &w.slots[level][slot]
        n = head.next
        list_init(head)
        while n != head:
            after = n.next
            tick = tick_ceil(n.deadline_ns)
            hang(w, n, SLOT_EXPIRED if tick <= w.now_tick else place(w.now_tick, tick))
            n = after
    if target > w.now_tick:                 # time that runs backwards is no time at all
        w.now_tick = target


cdef wheel_node *wheel_pop(wheel_t *w) noexcept nogil:
    cdef wheel_node *n = w.expired.next
    if n == &w.expired:
        return NULL
    list_unlink(n)
    n.slot = SLOT_NONE
    w.armed -= 1
    return n


cdef ns_t wheel_next_ns(const wheel_t *w) noexcept nogil:
    cdef int level
    cdef uint64_t tick
    if w.expired.next != &w.expired:
        return <ns_t>(w.now_tick << TICK_BITS)
    level = lowest_level(w)
    if level == WHEEL_LEVELS:
        return INT64_MAX
    tick = slot_start(w, level, ctz(w.occupied[level]))
    return INT64_MAX if tick > <uint64_t>(INT64_MAX >> TICK_BITS) else <ns_t>(tick << TICK_BITS)


cdef int wheel_check(const wheel_t *w) noexcept nogil:
    cdef int level, slot
    cdef uint64_t armed = 0, tick
    cdef const wheel_node *head
    cdef const wheel_node *n
    for level in range(WHEEL_LEVELS):
        for slot in range(WHEEL_SLOTS):
            head = &w.slots[level][slot]
            if (head.next != head) != (w.occupied[level] >> slot & 1):
                return 1                    # the bitmap tells the truth
            n = head.next
            while n != head:
                if n.next.prev != n or n.prev.next != n:
                    return 2                # links are mutual
                if n.slot != (level << DIGIT_BITS | slot):
                    return 3                # a node knows where it hangs
                if place(w.now_tick, node_tick(w, n.deadline_ns)) != n.slot:
                    return 4                # and hangs where its tick belongs
                armed += 1
                n = n.next
    n = w.expired.next
    while n != &w.expired:
        tick = tick_ceil(n.deadline_ns)
        if n.next.prev != n or n.prev.next != n:
            return 5
        if n.slot != SLOT_EXPIRED or tick > w.now_tick:
            return 6                        # expired means due
        armed += 1
        n = n.next
    return 0 if armed == w.armed else 7     # and the count is right


# -- a Python coat for tests and benches -------------------------------------------------------------------------

cdef class Wheel:
    cdef wheel_t w
    cdef wheel_node *nodes
    cdef readonly uint32_t size

    def __cinit__(self, uint32_t size, ns_t now_ns=0):
        cdef uint32_t i
        self.nodes = <wheel_node *>PyMem_RawCalloc(size or 1, sizeof(wheel_node))
        if self.nodes == NULL:
            raise MemoryError
        self.size = size
        wheel_init(&self.w, now_ns)
        for i in range(size):
            node_init(&self.nodes[i], 0, i)

    def __dealloc__(self):
        PyMem_RawFree(self.nodes)

    cdef wheel_node *_node(self, uint32_t index) except NULL:
        if index >= self.size:
            raise IndexError(index)
        return &self.nodes[index]

    @property
    def armed(self) -> int:
        return self.w.armed

    def is_armed(self, uint32_t index) -> bool:
        return node_armed(self._node(index))

    def arm(self, uint32_t index, ns_t deadline_ns) -> None:
        wheel_arm(&self.w, self._node(index), deadline_ns)

    def disarm(self, uint32_t index) -> None:
        wheel_disarm(&self.w, self._node(index))

    def advance(self, ns_t now_ns) -> None:
        wheel_advance(&self.w, now_ns)

    def pop(self) -> int | None:
        cdef wheel_node *n = wheel_pop(&self.w)
        return None if n == NULL else n.index

    def next_ns(self) -> int:
        return wheel_next_ns(&self.w)

    def check(self) -> int:
        return wheel_check(&self.w)

    def arm_all(self, const ns_t[::1] deadlines_ns) -> None:
        cdef Py_ssize_t i
        if deadlines_ns.shape[0] > self.size:
            raise IndexError(deadlines_ns.shape[0])
        with nogil:
            for i in range(deadlines_ns.shape[0]):
                wheel_arm(&self.w, &self.nodes[i], deadlines_ns[i])

    def disarm_all(self) -> None:
        cdef uint32_t i
        with nogil:
            for i in range(self.size):
                wheel_disarm(&self.w, &self.nodes[i])

    def run_until(self, ns_t now_ns) -> int:
        cdef Py_ssize_t popped = 0
        with nogil:
            wheel_advance(&self.w, now_ns)
            while wheel_pop(&self.w) != NULL:
                popped += 1
        return popped
