"""An HTTP/1.x reply read as it comes, in pieces of any size; nothing is kept but the beginning of one line.

RFC 9112 with a tolerant ear: lines may end in LF alone (section 2.2), interim 1xx replies are skipped (RFC 9110
section 15.2). The body ends at Content-Length or with the connection; chunked bodies are not decoded (the digest is of
the raw chunks, as keepalived computes it), so they end with the connection.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t

cdef enum:
    HTTP_LINE = 128                         # bytes of a line that are looked at
    HTTP_MAX_HEADER = 65536                 # bytes before the body, interim replies included

cdef enum http_phase:
    HTTP_AT_STATUS
    HTTP_AT_HEADERS
    HTTP_AT_BODY

cdef enum http_progress:
    HTTP_MORE = 0                           # needs more
    HTTP_COMPLETE = 1                       # nothing more belongs to this reply
    HTTP_GARBAGE = -1                       # this is not HTTP
    HTTP_TOO_LONG = -2                      # more header than HTTP_MAX_HEADER

cdef struct http_reply:
    uint8_t phase                           # http_phase
    bint raw_length                         # Transfer-Encoding: Content-Length does not count (RFC 9112 section 6.3)
    bint long_line                          # the line is longer than `line` holds
    uint16_t status                         # 0 until the status line is whole; final (not 1xx) from HTTP_AT_BODY on
    uint16_t line_size
    uint32_t header_bytes
    int64_t length                          # Content-Length; -1: until the connection ends
    int64_t body_bytes                      # body seen
    char line[HTTP_LINE]

cdef void http_init(http_reply *r) noexcept nogil
# Takes `size` bytes; returns an http_progress. body[0 .. body_size) is the part of them that is body.
cdef int http_feed(http_reply *r, const char *data, size_t size, const char **body, size_t *body_size) noexcept nogil
# The connection has ended: 1 if the reply is whole, 0 if it was cut short.
cdef bint http_end(const http_reply *r) noexcept nogil
# 1 once the final status is known, so that a refused one need not be read to its end.
cdef bint http_has_status(const http_reply *r) noexcept nogil
