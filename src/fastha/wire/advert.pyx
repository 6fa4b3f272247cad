from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memset

from fastha.wire.checksum cimport sum_fold, sum_words

from fastha.wire import address

cdef extern from "<arpa/inet.h>" nogil:
    uint16_t htons(uint16_t)

cdef enum:
    VRRP_HEADER = 8
    AUTH_SIZE = 8                           # always there in version 2, RFC 3768 section 5.3.10
    TOS_CS6 = 0xc0                          # internetwork control
    FRAGMENT = 0x3fff                       # more-fragments flag and offset
    VERSION_2 = 2
    VERSION_3 = 3
    ADVERTISEMENT = 1
    TTL = 255


cdef inline uint16_t get16(const uint8_t *p) noexcept nogil:
    return <uint16_t>(p[0] << 8 | p[1])


cdef inline void put16(uint8_t *p, unsigned int value) noexcept nogil:
    p[0] = <uint8_t>(value >> 8)
    p[1] = <uint8_t>value


cdef uint64_t pseudo_header(uint32_t src, uint32_t dst, size_t size) noexcept nogil:
    # RFC 9568 section 5.2.8: version 3 sums source, destination, zero, protocol and length as well.
    cdef uint64_t acc = <uint64_t>(src & 0xffff) + (src >> 16) + (dst & 0xffff) + (dst >> 16)
    return acc + htons(VRRP_PROTOCOL) + htons(<uint16_t>size)


cdef int advert_decode(const uint8_t *packet, size_t size, bint check_ttl, advert_t *out) noexcept nogil:
    cdef size_t header, total, payload
    cdef const uint8_t *vrrp
    cdef uint64_t acc = 0
    memset(out, 0, sizeof(out[0]))
    if size < ADVERT_IP_HEADER:
        return ADVERT_SHORT
    if packet[0] >> 4 != 4:
        return ADVERT_NOT_VRRP
    out.ttl = packet[8]
    memcpy(&out.src, packet + 12, 4)
    memcpy(&out.dst, packet + 16, 4)
    if packet[9] != VRRP_PROTOCOL or get16(packet + 6) & FRAGMENT:
        return ADVERT_NOT_VRRP
    header = (packet[0] & 15) * 4
    total = get16(packet + 2)
    if header < ADVERT_IP_HEADER or total > size or total < header + VRRP_HEADER:
        return ADVERT_SHORT
    if check_ttl and out.ttl != TTL:        # RFC 9568 section 7.1, first MUST
        return ADVERT_TTL
    vrrp = packet + header
    payload = total - header
    out.version = vrrp[0] >> 4
    out.vrid = vrrp[1]
    out.priority = vrrp[2]
    out.count = vrrp[3]
    if out.version != VERSION_2 and out.version != VERSION_3:
        return ADVERT_VERSION
    if vrrp[0] & 15 != ADVERTISEMENT:
        return ADVERT_TYPE
    if out.version == VERSION_3:
        out.adver_cs = get16(vrrp + 4) & 0x0fff             # RFC 9568 section 5.2.6: the rest is reserved, ignored
        if out.count == 0 or payload != <size_t>VRRP_HEADER + 4 * out.count:
            return ADVERT_LENGTH
        acc = pseudo_header(out.src, out.dst, payload)
    else:
        out.auth_type = vrrp[4]
        out.adver_cs = <uint16_t>(vrrp[5] * 100)
        if payload != <size_t>VRRP_HEADER + 4 * out.count + AUTH_SIZE:
            return ADVERT_LENGTH
        out.auth = vrrp + payload - AUTH_SIZE
    out.addresses = vrrp + VRRP_HEADER
    return ADVERT_CHECKSUM if sum_fold(sum_words(vrrp, payload, acc)) else ADVERT_OK


cdef int advert_encode(uint8_t *packet, size_t room, const advert_t *a) noexcept nogil:
    cdef size_t payload = VRRP_HEADER + 4 * <size_t>a.count + (AUTH_SIZE if a.version == VERSION_2 else 0)
    cdef size_t total = ADVERT_IP_HEADER + payload
    cdef uint8_t *vrrp = packet + ADVERT_IP_HEADER
    cdef uint64_t acc = 0
    cdef uint16_t folded
    if room < total or (a.version != VERSION_2 and a.version != VERSION_3):
        return -1
    memset(packet, 0, ADVERT_IP_HEADER + VRRP_HEADER)
    packet[0] = 4 << 4 | ADVERT_IP_HEADER // 4
    packet[1] = TOS_CS6
    put16(packet + 2, <unsigned int>total)
    packet[8] = a.ttl
    packet[9] = VRRP_PROTOCOL
    memcpy(packet + 12, &a.src, 4)
    memcpy(packet + 16, &a.dst, 4)
    folded = sum_fold(sum_words(packet, ADVERT_IP_HEADER, 0))
    memcpy(packet + 10, &folded, 2)

    vrrp[0] = <uint8_t>(a.version << 4 | ADVERTISEMENT)
    vrrp[1] = a.vrid
    vrrp[2] = a.priority
    vrrp[3] = a.count
    if a.count:
        memcpy(vrrp + VRRP_HEADER, a.addresses, 4 * <size_t>a.count)
    if a.version == VERSION_3:
        put16(vrrp + 4, a.adver_cs & 0x0fff)
        acc = pseudo_header(a.src, a.dst, payload)
    else:
        vrrp[4] = a.auth_type
        vrrp[5] = <uint8_t>((a.adver_cs + 99) // 100)
        if a.auth != NULL:
            memcpy(vrrp + payload - AUTH_SIZE, a.auth, AUTH_SIZE)
        else:
            memset(vrrp + payload - AUTH_SIZE, 0, AUTH_SIZE)
    folded = sum_fold(sum_words(vrrp, payload, acc))
    memcpy(vrrp + 6, &folded, 2)
    return <int>total


cdef void advert_set_priority(uint8_t *packet, uint8_t priority) noexcept nogil:
    # RFC 1624 section 3, eqn. 3: HC' = ~(~HC + ~m + m'); m is the 16-bit word that holds priority and count.
    cdef uint8_t *vrrp = packet + (packet[0] & 15) * 4
    cdef uint16_t checksum, before, after
    memcpy(&before, vrrp + 2, 2)
    vrrp[2] = priority
    memcpy(&after, vrrp + 2, 2)
    memcpy(&checksum, vrrp + 6, 2)
    checksum = sum_fold(<uint64_t><uint16_t>~checksum + <uint16_t>~before + after)
    memcpy(vrrp + 6, &checksum, 2)


# -- for Python: tests, and prebuilding when a configuration is accepted ------------------------------------------

VERDICTS = ("ok", "short", "not_vrrp", "ttl", "version", "type", "length", "checksum")


def decode(const uint8_t[::1] packet not None, bint check_ttl=True) -> tuple[str, dict]:
    cdef advert_t a
    cdef uint8_t nothing = 0
    cdef size_t size = packet.shape[0]
    cdef int verdict = advert_decode(&packet[0] if size else &nothing, size, check_ttl, &a)
    return VERDICTS[verdict], {
        "src": address.unpack((<uint8_t *>&a.src)[:4]),
        "dst": address.unpack((<uint8_t *>&a.dst)[:4]),
        "ttl": a.ttl,
        "version": a.version,
        "vrid": a.vrid,
        "priority": a.priority,
        "auth_type": a.auth_type,
        "adver_cs": a.adver_cs,
        "addresses": () if a.addresses == NULL else address.unpack_all(a.addresses[:4 * <int>a.count]),
        "auth": b"" if a.auth == NULL else a.auth[:AUTH_SIZE],
    }


def tally(list packets not None, bint check_ttl=True) -> tuple[int, ...]:
    cdef int counts[ADVERT_VERDICTS]
    cdef advert_t a
    cdef bytes packet
    memset(counts, 0, sizeof(counts))
    for packet in packets:
        counts[advert_decode(packet, len(packet), check_ttl, &a)] += 1
    return tuple([counts[<int>i] for i in range(<int>ADVERT_VERDICTS)])


def encode(src, dst, int version, int vrid, int priority, int adver_cs, addresses, int auth_type=0, bytes auth=b"",
           int ttl=255) -> bytes:
    cdef advert_t a
    cdef uint8_t packet[ADVERT_MAX]
    cdef bytes packed = address.pack_all(addresses)
    cdef bytes ends = address.pack(src) + address.pack(dst)
    cdef bytes padded = auth.ljust(AUTH_SIZE, b"\0")
    if version not in (VERSION_2, VERSION_3):
        raise ValueError(f"VRRP version {version}")
    if not (1 <= vrid <= 255 and 0 <= priority <= 255 and 0 <= ttl <= 255 and 0 <= auth_type <= 255):
        raise ValueError(f"VRID {vrid}, priority {priority}, TTL {ttl}, authentication type {auth_type}")
    if len(packed) > 255 * 4 or (version == VERSION_3 and not packed):
        raise ValueError(f"{len(packed) // 4} addresses in one version {version} advert")
    if version == VERSION_3 and (auth or auth_type):
        raise ValueError("VRRP version 3 has no authentication")
    if len(auth) > AUTH_SIZE:
        raise ValueError("authentication data is at most 8 bytes")
    if not 1 <= adver_cs <= (4095 if version == VERSION_3 else 25500):
        raise ValueError(f"advert interval of {adver_cs} cs in version {version}")
    memset(&a, 0, sizeof(a))
    memcpy(&a.src, <const uint8_t *>ends, 4)
    memcpy(&a.dst, <const uint8_t *>ends + 4, 4)
    a.ttl = ttl
    a.version = version
    a.vrid = vrid
    a.priority = priority
    a.count = len(packed) // 4
    a.auth_type = auth_type
    a.adver_cs = adver_cs
    a.addresses = packed
    a.auth = padded
    return packet[:advert_encode(packet, ADVERT_MAX, &a)]


def set_priority(uint8_t[::1] packet not None, uint8_t priority) -> None:
    if packet.shape[0] < ADVERT_IP_HEADER + VRRP_HEADER or packet[0] != (4 << 4 | ADVERT_IP_HEADER // 4):
        raise ValueError("not an encoded advert")
    advert_set_priority(&packet[0], priority)
