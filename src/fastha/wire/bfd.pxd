"""BFD Control packets, RFC 5880 section 4.1: the payload of a UDP datagram, in and out of caller's buffers.

       0                   1                   2                   3
       0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
      +-----+---------+---+-----------+---------------+---------------+
      |Vers |  Diag   |Sta|P|F|C|A|D|M|  Detect Mult  |    Length     |
      +-----+---------+---+-----------+---------------+---------------+
      |                       My Discriminator                        |
      |                      Your Discriminator                       |
      |                 Desired Min TX Interval (us)                  |
      |                Required Min RX Interval (us)                  |
      |             Required Min Echo RX Interval (us)                |
      +---------------------------------------------------------------+
      |  Auth Type    |   Auth Len    |   only if A is set ...        |
"""

from libc.stdint cimport uint8_t, uint32_t

cdef enum:
    BFD_SIZE = 24               # without an authentication section
    BFD_SIZE_AUTH = 26          # the least with one

# bfd.SessionState, RFC 5880 section 4.1 (Sta).
cdef enum bfd_state:
    BFD_ADMIN_DOWN = 0
    BFD_DOWN = 1
    BFD_INIT = 2
    BFD_UP = 3

# The flag bits of the second byte, below Sta.
cdef enum bfd_flag:
    BFD_POLL = 0x20
    BFD_FINAL = 0x10
    BFD_INDEPENDENT = 0x08      # C: Control Plane Independent
    BFD_AUTH = 0x04
    BFD_DEMAND = 0x02
    BFD_MULTIPOINT = 0x01

# Why a packet is discarded before a session is looked for: RFC 5880 section 6.8.6, in its order. Names for Python:
# bfd.VERDICTS.
cdef enum bfd_verdict:
    BFD_OK = 0
    BFD_SHORT                   # no room for the mandatory section
    BFD_VERSION                 # not 1
    BFD_LENGTH                  # below 24 (26 with A), or more than the datagram holds
    BFD_MULTIPLIER              # Detect Mult is 0
    BFD_MULTIPOINT_SET          # M is set
    BFD_MY_DISCRIMINATOR        # My Discriminator is 0
    BFD_YOUR_DISCRIMINATOR      # Your Discriminator is 0, and Sta neither Down nor AdminDown
    BFD_VERDICTS                # how many there are

cdef struct bfd_t:              # everything in host byte order
    uint8_t diag
    uint8_t state
    uint8_t flags               # bfd_flag
    uint8_t multiplier
    uint32_t mine               # My Discriminator, as its sender calls it
    uint32_t yours
    uint32_t min_tx_us          # Desired Min TX Interval
    uint32_t min_rx_us          # Required Min RX Interval
    uint32_t min_echo_us        # Required Min Echo RX Interval

# Decode the payload of a datagram. Bytes beyond Length are ignored; an authentication section is not looked into (who
# has a session without authentication discards a packet with BFD_AUTH, section 6.8.6). Never reads past size. `out` is
# complete unless the verdict is BFD_SHORT (then it is 0).
cdef int bfd_decode(const uint8_t *packet, size_t size, bfd_t *out) noexcept nogil

# Write BFD_SIZE bytes: version 1, Length 24.
cdef void bfd_encode(uint8_t *packet, const bfd_t *b) noexcept nogil
