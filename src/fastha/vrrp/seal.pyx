from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from fastha.wire.advert cimport (
    ADVERT_IP6_HEADER, ADVERT_IP_HEADER, ADVERT_NOT_VRRP, ADVERT_OK, ADVERT_SHORT, ADVERT_VERSION, VRRP_PROTOCOL,
    advert_decode_payload,
)
from fastha.wire.ah cimport AH_OK, AH_OTHER, AH_PROTOCOL, AH_SHORT, ah_decode, ah_right, ah_sign, ah_t
from fastha.wire.ip cimport IP4_SIZE, IP6_SIZE, ip4_read, ip6_read, ip_of, ip_same
from fastha.wire.mac cimport mac_free, mac_new
from fastha.wire.trailer cimport TRAILER_SIZE, trailer_decode, trailer_right, trailer_sign, trailer_t

cdef extern from "<time.h>" nogil:
    ctypedef long time_t
    struct timespec:
        time_t tv_sec
        long tv_nsec
    enum:
        CLOCK_REALTIME
    int clock_gettime(int clock, timespec *at)

cdef enum:
    FRAGMENT = 0x3fff
    AH_LAST = 0xffffffff


cdef uint64_t wall() noexcept nogil:
    # Seconds << 32 | 1/65536 s << 16: wire/trailer.pxd without counter.
    cdef timespec at
    clock_gettime(CLOCK_REALTIME, &at)
    return <uint64_t>at.tv_sec << 32 | (<uint64_t>at.tv_nsec * 65536 // 1000000000) << 16


# -- hearing -------------------------------------------------------------------------------------------------------

cdef seal_mark *mark_of(seal_t *s, ip_t src) noexcept nogil:
    # Its mark, or the one that was silent for longest. Only what was verified gets this far.
    cdef unsigned int i
    cdef seal_mark *oldest = s.marks
    for i in range(s.mark_count):
        if s.marks[i].sequence and ip_same(s.marks[i].src, src):
            return &s.marks[i]
        if s.marks[i].heard_ns < oldest.heard_ns:
            oldest = &s.marks[i]
    oldest.sequence = 0
    oldest.src = src
    return oldest


cdef int fresh(seal_t *s, ip_t src, uint64_t sequence, ns_t now_ns) noexcept nogil:
    # ADVERT_OK and remembered, or SEAL_REPLAY.
    cdef seal_mark *mark = mark_of(s, src)
    cdef bint old = mark.sequence != 0 and <int64_t>(sequence - mark.sequence) <= 0    # RFC 1982
    if s.ah:
        old = sequence <= mark.sequence and mark.sequence and now_ns - mark.heard_ns < s.silence_ns
    if old:
        return SEAL_REPLAY
    mark.sequence = sequence
    mark.heard_ns = now_ns
    if s.ah and sequence > s.heard:
        s.heard = sequence
    return ADVERT_OK


cdef bint stranger(const seal_t *s, ip_t src) noexcept nogil:
    cdef unsigned int i
    for i in range(s.peer_count):
        if ip_same(s.peers[i], src):
            return False
    return s.peer_count > 0


cdef int trailed(seal_t *s, const advert_t *a, ns_t now_ns) noexcept nogil:
    # An advert that is right in itself: what of its trailer?
    cdef trailer_t t
    cdef int64_t apart_s
    if a.trailer == NULL:
        return <int>SEAL_MISSING if s.demand else <int>ADVERT_OK
    if not trailer_decode(a.trailer, &t):
        return SEAL_SHAPE
    if stranger(s, a.src):
        return SEAL_STRANGER
    if s.keys[t.key_id] == NULL:
        return SEAL_KEY
    if s.window_s:
        apart_s = <int64_t>(wall() >> 32) - <int64_t>(t.sequence >> 32)
        if apart_s > s.window_s or -apart_s > s.window_s:
            return SEAL_TIME
    if not trailer_right(s.keys[t.key_id], a.trailer - a.size, a.size, a.trailer, a.src, a.width):
        return SEAL_DIGEST
    return fresh(s, a.src, t.sequence, now_ns)


cdef int headed(
    seal_t *s, const uint8_t *packet, size_t size, bint check_ttl, advert_t *out, ns_t now_ns
) noexcept nogil:
    cdef ah_t ah
    cdef int verdict = ah_decode(packet, size, &ah)
    if verdict == AH_SHORT:
        return ADVERT_SHORT
    if verdict == AH_OTHER:
        return <int>SEAL_MISSING if packet[9] == VRRP_PROTOCOL else <int>ADVERT_NOT_VRRP
    if verdict != AH_OK:
        return SEAL_SHAPE
    verdict = advert_decode_payload(ah.payload, ah.size, check_ttl, False, out)
    if verdict != ADVERT_OK:
        return verdict
    if out.version != 2:                    # RFC 5798 section 9 has no authentication
        return ADVERT_VERSION
    if not ah_right(s.keys[0], packet, &ah):
        return SEAL_DIGEST
    return fresh(s, out.src, ah.sequence, now_ns)


cdef int seal_decode4(
    seal_t *s, const uint8_t *packet, size_t size, bint check_ttl, advert_t *out, ns_t now_ns
) noexcept nogil:
    cdef size_t header, total
    cdef int verdict
    memset(out, 0, sizeof(out[0]))
    if size < ADVERT_IP_HEADER:
        return ADVERT_SHORT
    out.width = IP4_SIZE
    out.ttl = packet[8]
    out.src = ip4_read(packet + 12)
    out.dst = ip4_read(packet + 16)
    if s.ah:
        return headed(s, packet, size, check_ttl, out, now_ns)
    if packet[0] >> 4 != 4 or packet[9] != VRRP_PROTOCOL or (packet[6] << 8 | packet[7]) & FRAGMENT:
        return ADVERT_NOT_VRRP
    header = (packet[0] & 15) * 4
    total = packet[2] << 8 | packet[3]
    if header < ADVERT_IP_HEADER or total > size or total < header:
        return ADVERT_SHORT
    verdict = advert_decode_payload(packet + header, total - header, check_ttl, True, out)
    return verdict if verdict != ADVERT_OK else trailed(s, out, now_ns)


cdef int seal_decode6(
    seal_t *s, const uint8_t *payload, size_t size, const uint8_t *src, const uint8_t *dst, uint8_t hop_limit,
    bint check_ttl, advert_t *out, ns_t now_ns
) noexcept nogil:
    cdef int verdict
    memset(out, 0, sizeof(out[0]))
    out.width = IP6_SIZE
    out.ttl = hop_limit
    out.src = ip6_read(src)
    out.dst = ip6_read(dst)
    verdict = advert_decode_payload(payload, size, check_ttl, True, out)
    if verdict != ADVERT_OK:
        return verdict
    return <int>SEAL_MISSING if s.ah else trailed(s, out, now_ns)


# -- sending -------------------------------------------------------------------------------------------------------

cdef void seal_next(seal_t *s) noexcept nogil:
    cdef uint64_t now = wall()
    if not s.active:
        return
    if s.ah:
        s.sent = (s.sent if s.sent > s.heard else s.heard) + 1
        if now >> 32 > s.sent:
            s.sent = now >> 32
        if s.sent > AH_LAST:                # RFC 2402 section 3.3.2 wants another key by then
            s.sent = 1
            s.heard = 0
    else:
        s.sent = now if now > s.sent else s.sent + 1


cdef void seal_sign(seal_t *s, uint8_t *packet, size_t size) noexcept nogil:
    cdef size_t header = ADVERT_IP_HEADER if packet[0] >> 4 == 4 else ADVERT_IP6_HEADER
    if not s.active:
        return
    if s.ah:
        if packet[9] == AH_PROTOCOL:
            ah_sign(s.keys[0], packet, <uint32_t>s.sent)
        return
    trailer_sign(
        s.keys[s.active], packet + header, size - header - TRAILER_SIZE,
        ip4_read(packet + 12) if header == ADVERT_IP_HEADER else ip6_read(packet + 8),
        IP4_SIZE if header == ADVERT_IP_HEADER else IP6_SIZE, s.active, s.sent)


# -- from Python ---------------------------------------------------------------------------------------------------

cdef void seal_free(seal_t *s) noexcept nogil:
    cdef int i
    if s == NULL:
        return
    for i in range(256):
        mac_free(s.keys[i])
    free(s.peers)
    free(s.marks)
    free(s)


cdef seal_t *seal_new(object spec, ns_t silence_ns, const seal_t *old) except NULL:
    cdef seal_t *s = <seal_t *>calloc(1, sizeof(seal_t))
    cdef bytes key
    cdef int number
    cdef unsigned int i
    if s == NULL:
        raise MemoryError
    try:
        s.ah = spec.ah
        s.demand = spec.demand
        s.active = spec.active
        s.window_s = spec.window_s
        s.silence_ns = silence_ns
        for number, key in spec.keys:
            if not 0 <= number <= 255 or s.keys[number] != NULL:
                raise ValueError(f"key {number}")
            s.keys[number] = mac_new(b"MD5" if s.ah else b"SHA256", key, len(key))
            if s.keys[number] == NULL:
                raise OSError(f"libcrypto has no HMAC-{'MD5' if s.ah else 'SHA256'}")
        if s.keys[0 if s.ah else s.active] == NULL and s.active:
            raise ValueError(f"no key {s.active} to sign with")
        s.peer_count = len(spec.peers)
        s.mark_count = max(SEAL_MARKS, s.peer_count)
        s.peers = <ip_t *>calloc(s.peer_count + 1, sizeof(ip_t))
        s.marks = <seal_mark *>calloc(s.mark_count, sizeof(seal_mark))
        if s.peers == NULL or s.marks == NULL:
            raise MemoryError
        for i in range(s.peer_count):
            s.peers[i] = ip_of(spec.peers[i])
    except BaseException:
        seal_free(s)
        raise
    if old != NULL and old.ah == s.ah:
        s.sent = old.sent
        s.heard = old.heard
        i = min(s.mark_count, old.mark_count)
        memcpy(s.marks, old.marks, i * sizeof(seal_mark))
    return s
