from libc.string cimport memset

cdef enum:
    VERSION_1 = 1


cdef inline uint32_t get32(const uint8_t *p) noexcept nogil:
    return <uint32_t>p[0] << 24 | <uint32_t>p[1] << 16 | <uint32_t>p[2] << 8 | p[3]


cdef inline void put32(uint8_t *p, uint32_t value) noexcept nogil:
    p[0] = <uint8_t>(value >> 24)
    p[1] = <uint8_t>(value >> 16)
    p[2] = <uint8_t>(value >> 8)
    p[3] = <uint8_t>value


cdef int bfd_decode(const uint8_t *packet, size_t size, bfd_t *out) noexcept nogil:
    cdef size_t length
    if size < BFD_SIZE:
        memset(out, 0, sizeof(out[0]))
        return BFD_SHORT
    out.diag = packet[0] & 0x1f
    out.state = packet[1] >> 6
    out.flags = packet[1] & 0x3f
    out.multiplier = packet[2]
    out.mine = get32(packet + 4)
    out.yours = get32(packet + 8)
    out.min_tx_us = get32(packet + 12)
    out.min_rx_us = get32(packet + 16)
    out.min_echo_us = get32(packet + 20)
    length = packet[3]
    # RFC 5880 section 6.8.6, each MUST in its turn.
    if packet[0] >> 5 != VERSION_1:
        return BFD_VERSION
    if length < <size_t>(BFD_SIZE_AUTH if out.flags & BFD_AUTH else BFD_SIZE) or length > size:
        return BFD_LENGTH
    if out.multiplier == 0:
        return BFD_MULTIPLIER
    if out.flags & BFD_MULTIPOINT:
        return BFD_MULTIPOINT_SET
    if out.mine == 0:
        return BFD_MY_DISCRIMINATOR
    if out.yours == 0 and out.state != BFD_DOWN and out.state != BFD_ADMIN_DOWN:
        return BFD_YOUR_DISCRIMINATOR
    return BFD_OK


cdef void bfd_encode(uint8_t *packet, const bfd_t *b) noexcept nogil:
    packet[0] = <uint8_t>(VERSION_1 << 5 | (b.diag & 0x1f))
    packet[1] = <uint8_t>(b.state << 6 | (b.flags & 0x3f))
    packet[2] = b.multiplier
    packet[3] = BFD_SIZE
    put32(packet + 4, b.mine)
    put32(packet + 8, b.yours)
    put32(packet + 12, b.min_tx_us)
    put32(packet + 16, b.min_rx_us)
    put32(packet + 20, b.min_echo_us)


# -- for Python: tests, and what is built when a session changes ---------------------------------------------------

VERDICTS = ("ok", "short", "version", "length", "multiplier", "multipoint", "my_discriminator", "your_discriminator")
SIZE = BFD_SIZE
POLL = BFD_POLL
FINAL = BFD_FINAL
INDEPENDENT = BFD_INDEPENDENT
AUTH = BFD_AUTH
DEMAND = BFD_DEMAND


def decode(const uint8_t[::1] packet not None) -> tuple[str, dict]:
    cdef bfd_t b
    cdef uint8_t nothing = 0
    cdef size_t size = packet.shape[0]
    cdef int verdict = bfd_decode(&packet[0] if size else &nothing, size, &b)
    return VERDICTS[verdict], b


def tally(list packets not None) -> tuple[int, ...]:
    cdef int counts[BFD_VERDICTS]
    cdef bfd_t b
    cdef bytes packet
    memset(counts, 0, sizeof(counts))
    for packet in packets:
        counts[bfd_decode(packet, len(packet), &b)] += 1
    return tuple([counts[<int>i] for i in range(<int>BFD_VERDICTS)])


def encode(
    int state, int diag, int multiplier, uint32_t mine, uint32_t yours, uint32_t min_tx_us, uint32_t min_rx_us,
    int flags=0, uint32_t min_echo_us=0,
) -> bytes:
    cdef bfd_t b
    cdef uint8_t packet[BFD_SIZE]
    if not (0 <= state <= 3 and 0 <= diag <= 31 and 0 <= multiplier <= 255 and 0 <= flags <= 63):
        raise ValueError(f"state {state}, diagnostic {diag}, multiplier {multiplier}, flags {flags}")
    b = bfd_t(diag, state, flags, multiplier, mine, yours, min_tx_us, min_rx_us, min_echo_us)
    bfd_encode(packet, &b)
    return packet[:BFD_SIZE]
