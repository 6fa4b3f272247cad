from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memset

from fastha.wire.ah cimport AH_PROTOCOL, AH_SIZE
from fastha.wire.checksum cimport sum_fold, sum_words
from fastha.wire.ip cimport IP4_SIZE, IP6_SIZE, ip4_read, ip4_write, ip6_read, ip6_write, ip_of
from fastha.wire.trailer cimport TRAILER_SIZE

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


cdef uint64_t pseudo_header(uint8_t width, ip_t src, ip_t dst, size_t size) noexcept nogil:
    # RFC 9568 section 5.2.8: version 3 sums source, destination, zero, protocol and length as well (RFC 8200 section
    # 8.1 has wider fields in another order, which makes the same sum).
    cdef uint8_t ends[2 * IP6_SIZE]
    if width == IP4_SIZE:
        ip4_write(ends, src)
        ip4_write(ends + width, dst)
    else:
        ip6_write(ends, src)
        ip6_write(ends + width, dst)
    return sum_words(ends, 2 * width, 0) + htons(VRRP_PROTOCOL) + htons(<uint16_t>size)


cdef int advert_decode_payload(
    const uint8_t *vrrp, size_t payload, bint check_ttl, bint signed, advert_t *out
) noexcept nogil:
    cdef uint64_t acc = 0
    if payload < VRRP_HEADER:
        return ADVERT_SHORT
    if check_ttl and out.ttl != TTL:        # RFC 9568 section 7.1, first MUST, and 5.1.2.3
        return ADVERT_TTL
    out.version = vrrp[0] >> 4
    out.vrid = vrrp[1]
    out.priority = vrrp[2]
    out.count = vrrp[3]
    if out.version != VERSION_3 and (out.version != VERSION_2 or out.width != IP4_SIZE):
        return ADVERT_VERSION
    if vrrp[0] & 15 != ADVERTISEMENT:
        return ADVERT_TYPE
    out.size = VRRP_HEADER + <size_t>out.width * out.count + (AUTH_SIZE if out.version == VERSION_2 else 0)
    if signed and payload == out.size + TRAILER_SIZE:
        out.trailer = vrrp + out.size
    elif payload != out.size:
        return ADVERT_LENGTH
    if out.version == VERSION_3:
        out.adver_cs = get16(vrrp + 4) & 0x0fff             # RFC 9568 section 5.2.6: the rest is reserved, ignored
        acc = pseudo_header(out.width, out.src, out.dst, out.size)
    else:
        out.auth_type = vrrp[4]
        out.adver_cs = <uint16_t>(vrrp[5] * 100)
        out.auth = vrrp + out.size - AUTH_SIZE
    out.addresses = vrrp + VRRP_HEADER
    return ADVERT_CHECKSUM if sum_fold(sum_words(vrrp, out.size, acc)) else ADVERT_OK


cdef int advert_decode(const uint8_t *packet, size_t size, bint check_ttl, advert_t *out) noexcept nogil:
    cdef size_t header, total
    memset(out, 0, sizeof(out[0]))
    out.width = IP4_SIZE
    if size < ADVERT_IP_HEADER:
        return ADVERT_SHORT
    if packet[0] >> 4 != 4:
        return ADVERT_NOT_VRRP
    out.ttl = packet[8]
    out.src = ip4_read(packet + 12)
    out.dst = ip4_read(packet + 16)
    if packet[9] != VRRP_PROTOCOL or get16(packet + 6) & FRAGMENT:
        return ADVERT_NOT_VRRP
    header = (packet[0] & 15) * 4
    total = get16(packet + 2)
    if header < ADVERT_IP_HEADER or total > size or total < header + VRRP_HEADER:
        return ADVERT_SHORT
    return advert_decode_payload(packet + header, total - header, check_ttl, False, out)


cdef int advert_decode6(
    const uint8_t *payload, size_t size, const uint8_t *src, const uint8_t *dst, uint8_t hop_limit, bint check_ttl,
    advert_t *out
) noexcept nogil:
    memset(out, 0, sizeof(out[0]))
    out.width = IP6_SIZE
    out.ttl = hop_limit
    out.src = ip6_read(src)
    out.dst = ip6_read(dst)
    return advert_decode_payload(payload, size, check_ttl, False, out)


cdef bint advert_sum_is(const advert_t *a, bint plain, ip_t dst) noexcept nogil:
    cdef size_t size
    cdef uint64_t acc = 0
    if a.version != VERSION_3 or a.addresses == NULL:
        return False
    size = VRRP_HEADER + <size_t>a.width * a.count
    if not plain:
        acc = pseudo_header(a.width, a.src, dst, size)
    return sum_fold(sum_words(a.addresses - VRRP_HEADER, size, acc)) == 0


cdef void put_header4(uint8_t *packet, size_t total, const advert_t *a) noexcept nogil:
    cdef uint16_t folded
    packet[0] = 4 << 4 | ADVERT_IP_HEADER // 4
    packet[1] = TOS_CS6
    put16(packet + 2, <unsigned int>total)
    packet[8] = a.ttl
    packet[9] = VRRP_PROTOCOL
    ip4_write(packet + 12, a.src)
    ip4_write(packet + 16, a.dst)
    folded = sum_fold(sum_words(packet, ADVERT_IP_HEADER, 0))
    memcpy(packet + 10, &folded, 2)


cdef void put_header6(uint8_t *packet, size_t payload, const advert_t *a) noexcept nogil:
    packet[0] = 6 << 4 | TOS_CS6 >> 4       # RFC 8200 section 3: version, traffic class, flow label 0
    packet[1] = (TOS_CS6 & 15) << 4
    put16(packet + 4, <unsigned int>payload)
    packet[6] = VRRP_PROTOCOL
    packet[7] = a.ttl
    ip6_write(packet + 8, a.src)
    ip6_write(packet + 24, a.dst)


cdef int advert_encode(uint8_t *packet, size_t room, const advert_t *a) noexcept nogil:
    cdef size_t header = ADVERT_IP_HEADER if a.width == IP4_SIZE else ADVERT_IP6_HEADER
    cdef size_t payload = VRRP_HEADER + <size_t>a.width * a.count + (AUTH_SIZE if a.version == VERSION_2 else 0)
    cdef uint8_t *vrrp = packet + header
    cdef uint64_t acc = 0
    cdef uint16_t folded
    cdef bint old = a.summed.high != 0 or a.summed.low != 0
    if room < header + payload or (a.version != VERSION_3 and (a.version != VERSION_2 or a.width != IP4_SIZE)):
        return -1
    memset(packet, 0, header + VRRP_HEADER)
    if a.width == IP4_SIZE:
        put_header4(packet, header + payload, a)
    else:
        put_header6(packet, payload, a)
    vrrp[0] = <uint8_t>(a.version << 4 | ADVERTISEMENT)
    vrrp[1] = a.vrid
    vrrp[2] = a.priority
    vrrp[3] = a.count
    if a.count:
        memcpy(vrrp + VRRP_HEADER, a.addresses, <size_t>a.width * a.count)
    if a.version == VERSION_3:
        put16(vrrp + 4, a.adver_cs & 0x0fff)
        if not a.plain:
            acc = pseudo_header(a.width, a.src, a.summed if old else a.dst, payload)
    else:
        vrrp[4] = a.auth_type
        vrrp[5] = <uint8_t>((a.adver_cs + 99) // 100)
        if a.auth != NULL:
            memcpy(vrrp + payload - AUTH_SIZE, a.auth, AUTH_SIZE)
        else:
            memset(vrrp + payload - AUTH_SIZE, 0, AUTH_SIZE)
    folded = sum_fold(sum_words(vrrp, payload, acc))
    memcpy(vrrp + 6, &folded, 2)
    return <int>(header + payload)


cdef void advert_set_priority(uint8_t *packet, uint8_t priority) noexcept nogil:
    # RFC 1624 section 3, eqn. 3: HC' = ~(~HC + ~m + m'); m is the 16-bit word that holds priority and count.
    cdef uint8_t *vrrp = packet + (ADVERT_IP6_HEADER if packet[0] >> 4 == 6 else (packet[0] & 15) * 4)
    cdef uint16_t checksum, before, after
    if packet[0] >> 4 == 4 and packet[9] == AH_PROTOCOL:
        vrrp += AH_SIZE
    memcpy(&before, vrrp + 2, 2)
    vrrp[2] = priority
    memcpy(&after, vrrp + 2, 2)
    memcpy(&checksum, vrrp + 6, 2)
    checksum = sum_fold(<uint64_t><uint16_t>~checksum + <uint16_t>~before + after)
    memcpy(vrrp + 6, &checksum, 2)


# -- for Python: tests, and prebuilding when a configuration is accepted ------------------------------------------

VERDICTS = ("ok", "short", "not_vrrp", "ttl", "version", "type", "length", "checksum")


cdef int decode_packet(const uint8_t *packet, size_t size, bint check_ttl, advert_t *out) noexcept nogil:
    # An IP packet of either family. A raw socket of IPv6 keeps the header to itself.
    cdef size_t payload
    if size < ADVERT_IP6_HEADER or packet[0] >> 4 != 6:
        return advert_decode(packet, size, check_ttl, out)
    payload = get16(packet + 4)
    advert_decode6(packet, 0, packet + 8, packet + 24, packet[7], False, out)
    if packet[6] != VRRP_PROTOCOL:
        return ADVERT_NOT_VRRP
    if size - ADVERT_IP6_HEADER < payload:
        return ADVERT_SHORT
    return advert_decode6(
        packet + ADVERT_IP6_HEADER, payload, packet + 8, packet + 24, packet[7], check_ttl, out)


def decode(const uint8_t[::1] packet not None, bint check_ttl=True) -> tuple[str, dict]:
    cdef advert_t a
    cdef uint8_t nothing = 0
    cdef uint8_t ends[2 * IP6_SIZE]
    cdef size_t size = packet.shape[0]
    cdef int verdict = decode_packet(&packet[0] if size else &nothing, size, check_ttl, &a)
    cdef int family = 4 if a.width == IP4_SIZE else 6
    if family == 4:
        ip4_write(ends, a.src)
        ip4_write(ends + a.width, a.dst)
    else:
        ip6_write(ends, a.src)
        ip6_write(ends + a.width, a.dst)
    return VERDICTS[verdict], {
        "src": address.unpack(ends[:a.width]),
        "dst": address.unpack(ends[a.width:2 * a.width]),
        "ttl": a.ttl,
        "version": a.version,
        "vrid": a.vrid,
        "priority": a.priority,
        "auth_type": a.auth_type,
        "adver_cs": a.adver_cs,
        "addresses": () if a.addresses == NULL else address.unpack_all(a.addresses[:a.width * <int>a.count], family),
        "auth": b"" if a.auth == NULL else a.auth[:AUTH_SIZE],
    }


def tally(list packets not None, bint check_ttl=True) -> tuple[int, ...]:
    cdef int counts[ADVERT_VERDICTS]
    cdef advert_t a
    cdef bytes packet
    memset(counts, 0, sizeof(counts))
    for packet in packets:
        counts[decode_packet(packet, len(packet), check_ttl, &a)] += 1
    return tuple([counts[<int>i] for i in range(<int>ADVERT_VERDICTS)])


def encode(src, dst, int version, int vrid, int priority, int adver_cs, addresses, int auth_type=0, bytes auth=b"",
           int ttl=255, bint plain=False, summed="") -> bytes:
    cdef advert_t a
    cdef uint8_t packet[ADVERT_MAX]
    cdef int family = 6 if ":" in src else 4
    cdef bytes packed = address.pack_all(addresses, family)
    cdef bytes padded = auth.ljust(AUTH_SIZE, b"\0")
    cdef bytes ends = address.pack_all((src, dst), family)          # of one family, or ValueError
    memset(&a, 0, sizeof(a))
    a.width = IP4_SIZE if family == 4 else IP6_SIZE
    if version != VERSION_3 and (version != VERSION_2 or family != 4):
        raise ValueError(f"VRRP version {version} over IPv{family}")
    if not (1 <= vrid <= 255 and 0 <= priority <= 255 and 0 <= ttl <= 255 and 0 <= auth_type <= 255):
        raise ValueError(f"VRID {vrid}, priority {priority}, TTL {ttl}, authentication type {auth_type}")
    if len(packed) > 255 * a.width:
        raise ValueError(f"{len(packed) // a.width} addresses in one version {version} advert")
    if version == VERSION_3 and (auth or auth_type):
        raise ValueError("VRRP version 3 has no authentication")
    if len(auth) > AUTH_SIZE:
        raise ValueError("authentication data is at most 8 bytes")
    if not 1 <= adver_cs <= (4095 if version == VERSION_3 else 25500):
        raise ValueError(f"advert interval of {adver_cs} cs in version {version}")
    a.src = ip4_read(ends) if family == 4 else ip6_read(ends)
    a.dst = ip4_read(<const uint8_t *>ends + 4) if family == 4 else ip6_read(<const uint8_t *>ends + 16)
    a.ttl = ttl
    a.version = version
    a.vrid = vrid
    a.priority = priority
    a.count = len(packed) // a.width
    a.auth_type = auth_type
    a.adver_cs = adver_cs
    a.addresses = packed
    a.auth = padded
    a.plain = plain
    a.summed = ip_of(address.number(summed))
    return packet[:advert_encode(packet, ADVERT_MAX, &a)]


def set_priority(uint8_t[::1] packet not None, uint8_t priority) -> None:
    cdef size_t size = packet.shape[0]
    cdef bint six = size >= ADVERT_IP6_HEADER + VRRP_HEADER and packet[0] >> 4 == 6
    if not six and (size < ADVERT_IP_HEADER + VRRP_HEADER or packet[0] != (4 << 4 | ADVERT_IP_HEADER // 4)):
        raise ValueError("not an encoded advert")
    advert_set_priority(&packet[0], priority)
