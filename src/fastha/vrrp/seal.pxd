"""Adverts that are signed: `auth_type AH` (wire/ah.pxd) and `auth_hmac` (wire/trailer.pxd), for one router.

What is sent carries a number that only grows. It is the wall clock, or one more than the last if that has not moved on,
so a replacement of this process, a new daemon and a host that was booted all go on where peers stopped listening. The
last number survives a crash besides (`Lane.seal`, `counters`), for a clock that was set back meanwhile.

What is heard must have a greater number than the last one from that source. AH: keepalived shares one counter between
sending and hearing and starts again at 1, so we stay above every number heard; and a source that was silent for as long
as the most patient peer waits may start anew (it has lost its number: there is no protection across restarts).
"""

from libc.stdint cimport uint8_t, uint64_t

from fastha.loop.clock cimport ns_t
from fastha.wire.advert cimport ADVERT_VERDICTS, advert_t
from fastha.wire.ip cimport ip_t

# After wire.advert's verdicts, in the order of the checks; names in lane.pyx.
cdef enum seal_reason:
    SEAL_MISSING = ADVERT_VERDICTS          # no authentication header, or no trailer though mode is enforce
    SEAL_SHAPE                              # the header or trailer is not as it has to be
    SEAL_STRANGER                           # auth_hmac, unicast: not a configured peer
    SEAL_KEY                                # signed with a key that is not configured
    SEAL_TIME                               # too far from our clock
    SEAL_DIGEST                             # the signature is wrong
    SEAL_REPLAY                             # its number has been heard already
    SEAL_REASONS

cdef enum:
    SEAL_MARKS = 8                          # sources remembered at least

cdef struct seal_mark:
    ip_t src
    uint64_t sequence                       # the greatest from it; 0: free
    ns_t heard_ns

cdef struct seal_t:
    bint ah                                 # else auth_hmac
    bint demand                             # what is unsigned is dropped
    uint8_t active                          # number of the key that signs; 0: this one does not sign
    unsigned int window_s                   # 0: the clock is not compared
    ns_t silence_ns
    uint64_t sent                           # the last number
    uint64_t heard                          # AH: the greatest from anybody
    void *keys[256]                         # wire.mac contexts; AH: the first
    ip_t *peers                             # auth_hmac: who may speak; none: anybody
    unsigned int peer_count
    seal_mark *marks
    unsigned int mark_count

# Decode and verify what a raw socket delivers; ADVERT_OK, another advert_verdict, or a seal_reason.
cdef int seal_decode4(
    seal_t *s, const uint8_t *packet, size_t size, bint check_ttl, advert_t *out, ns_t now_ns) noexcept nogil
cdef int seal_decode6(
    seal_t *s, const uint8_t *payload, size_t size, const uint8_t *src, const uint8_t *dst, uint8_t hop_limit,
    bint check_ttl, advert_t *out, ns_t now_ns) noexcept nogil

# The number of the next advert; then each of its copies, an IP packet of `size` bytes with room for it, is signed.
cdef void seal_next(seal_t *s) noexcept nogil
cdef void seal_sign(seal_t *s, uint8_t *packet, size_t size) noexcept nogil

cdef void seal_free(seal_t *s) noexcept nogil                           # NULL is fine
# From a fastha.vrrp.sealed.Seal; takes over number and marks of `old`, which stays. OSError, MemoryError.
cdef seal_t *seal_new(object spec, ns_t silence_ns, const seal_t *old) except NULL
