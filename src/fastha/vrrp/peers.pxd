"""Who else speaks for a virtual router: the last few sources of acceptable adverts, and who speaks for VRIDs that are
not ours. A few stores per advert, no allocation."""

from libc.stdint cimport uint8_t, uint64_t

from fastha.loop.clock cimport ns_t
from fastha.wire.ip cimport ip_same, ip_t

cdef enum:
    PEERS = 8                               # of a router; the one that was silent for longest makes room

cdef struct peer_t:
    ip_t ip                                 # 0: free
    uint8_t priority                        # of its last advert; 0: it resigned
    uint64_t received
    ns_t heard_ns


cdef inline void note_peer(peer_t *peers, ip_t ip, uint8_t priority, ns_t now_ns) noexcept nogil:
    cdef int i, oldest = 0
    for i in range(PEERS):
        if ip_same(peers[i].ip, ip):
            peers[i].priority = priority
            peers[i].received += 1
            peers[i].heard_ns = now_ns
            return
        if peers[i].heard_ns < peers[oldest].heard_ns:
            oldest = i
    peers[oldest].ip = ip
    peers[oldest].priority = priority
    peers[oldest].received = 1
    peers[oldest].heard_ns = now_ns
