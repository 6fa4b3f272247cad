"""Gratuitous ARP (RFC 5227 section 3, RFC 826): whole Ethernet frames, many into one caller's buffer.

Broadcast ARP *requests* whose sender and target are the same address. RFC 5944 section 4.6 allows requests and replies;
RFC 5227 section 3 asks for requests, and so does keepalived. The target hardware address means nothing in a request
(RFC 826); ours is ff:ff:ff:ff:ff:ff like keepalived's, so that a rule which lets those pass lets ours pass.

      +---------------------------+------+------+---+---+----+--------------+----------+--------------+----------+
      | Ethernet, to the broadcast| 1    | 0800 | 6 | 4 | 1  | sender MAC   | VIP      | ff:ff:...:ff | VIP      |
      +---------------------------+------+------+---+---+----+--------------+----------+--------------+----------+
        14                          2      2      1   1   2    6              4          6              4     = 42
"""

from libc.stdint cimport uint8_t

cdef enum:
    GARP_FRAME = 42                         # padding to Ethernet's minimum is the driver's work

# One frame for each of `count` addresses (4 bytes each, one after another), from `mac`. Returns the bytes written,
# count x GARP_FRAME, or -1 if `room` is too small (then nothing was written).
cdef ssize_t garp_encode(
    uint8_t *out, size_t room, const uint8_t *mac, const uint8_t *addresses, size_t count) noexcept nogil
