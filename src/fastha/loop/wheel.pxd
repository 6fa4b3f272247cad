"""Hierarchical timer wheel: arm and disarm in O(1), advance in O(expired + crossed slots).

Nodes are the caller's and intrusive: arming allocates nothing. Time is passed in; the wheel asks no clock.
Expired nodes are *pulled* with wheel_pop; the wheel calls nobody back.

One tick is 2**16 ns (65.5 us). A node hangs in the first tick that begins at or after its deadline, and never
in the present one: so it never fires early, at most one tick late, and a node that is re-armed from the loop that
pops (even with a deadline in the past) waits for the next advance instead of keeping that loop busy for ever.
Nodes are popped in the order of their ticks, and within one tick in the order of arming.

Neither a wheel nor an armed node may move in memory: lists point into them.
"""

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from fastha.loop.clock cimport ns_t

cdef enum:
    WHEEL_LEVELS = 8                        # 8 levels x 6 bits of ticks of 2**16 ns: all of ns_t
    WHEEL_SLOTS = 64
    WHEEL_TICK_NS = 65536

cdef struct wheel_node:
    wheel_node *next
    wheel_node *prev
    ns_t deadline_ns                        # as given to wheel_arm; still there after the node was popped
    uint32_t index                          # the owner's: which of its objects
    uint16_t kind                           # the owner's: which handler of the reactor (reactor_timer_kind)
    uint16_t slot                           # the wheel's: level << 6 | slot; 0xffff: not armed, 0xfffe: expired

cdef struct wheel_t:
    wheel_node slots[WHEEL_LEVELS][WHEEL_SLOTS]   # list heads
    wheel_node expired                            # list head
    uint64_t occupied[WHEEL_LEVELS]               # bit s: slot s is not empty
    uint64_t now_tick
    uint64_t armed                                # nodes armed or expired and not yet popped

cdef void wheel_init(wheel_t *w, ns_t now_ns) noexcept nogil
cdef void node_init(wheel_node *n, uint16_t kind, uint32_t index) noexcept nogil
cdef bint node_armed(const wheel_node *n) noexcept nogil                           # armed, or expired and not popped
cdef void wheel_arm(wheel_t *w, wheel_node *n, ns_t deadline_ns) noexcept nogil    # re-arms an armed node
cdef void wheel_disarm(wheel_t *w, wheel_node *n) noexcept nogil                   # no-op if not armed
cdef void wheel_advance(wheel_t *w, ns_t now_ns) noexcept nogil                    # due nodes -> expired list
cdef wheel_node *wheel_pop(wheel_t *w) noexcept nogil                              # next expired, disarmed; or NULL

# When wheel_advance has something to do: never later than the tick of the true next deadline, earlier (by less
# than one slot of the node's level) when a far slot has to be spread over nearer ones. INT64_MAX if empty.
cdef ns_t wheel_next_ns(const wheel_t *w) noexcept nogil

# 0 if every invariant holds, else which one does not (the numbers stand beside the checks). O(everything).
cdef int wheel_check(const wheel_t *w) noexcept nogil
