from libc.string cimport memchr, memcmp, memcpy, memset


cdef void http_init(http_reply *r) noexcept nogil:
    memset(r, 0, sizeof(r[0]))
    r.length = -1


cdef inline bint digit(char c) noexcept nogil:
    return c'0' <= c <= c'9'


cdef int status_line(http_reply *r) noexcept nogil:
    # "HTTP/" DIGIT "." DIGIT SP 3DIGIT [ SP reason ]   (RFC 9112 section 4)
    cdef char *s = r.line
    cdef int status
    if r.line_size < 12 or memcmp(s, b"HTTP/", 5) != 0 or not digit(s[5]) or s[6] != c'.' or not digit(s[7]):
        return HTTP_GARBAGE
    if s[8] != c' ' or not digit(s[9]) or not digit(s[10]) or not digit(s[11]):
        return HTTP_GARBAGE
    if r.line_size > 12 and s[12] != c' ':
        return HTTP_GARBAGE
    status = (s[9] - c'0') * 100 + (s[10] - c'0') * 10 + (s[11] - c'0')
    if status < 100 or status > 599:
        return HTTP_GARBAGE
    r.status = <uint16_t>status
    r.phase = HTTP_AT_HEADERS
    return HTTP_MORE


cdef bint named(const http_reply *r, const char *name, size_t size) noexcept nogil:
    # `name` is lower case; field names are not case-sensitive (RFC 9110 section 5.1).
    cdef size_t i
    if r.line_size <= size or r.line[size] != c':':
        return False
    for i in range(size):
        if (r.line[i] | 0x20 if c'A' <= r.line[i] <= c'Z' else r.line[i]) != name[i]:
            return False
    return True


cdef int content_length(http_reply *r, size_t at) noexcept nogil:
    cdef int64_t value = 0
    cdef int digits = 0
    if r.long_line:
        return HTTP_GARBAGE
    while at < r.line_size and (r.line[at] == c' ' or r.line[at] == c'\t'):
        at += 1
    while at < r.line_size and digit(r.line[at]):
        value = value * 10 + (r.line[at] - c'0')
        digits += 1
        at += 1
        if digits > 18:
            return HTTP_GARBAGE
    while at < r.line_size and (r.line[at] == c' ' or r.line[at] == c'\t'):
        at += 1
    if digits == 0 or at != r.line_size:
        return HTTP_GARBAGE
    if r.length >= 0 and r.length != value:         # two lengths: RFC 9112 section 6.3, an unrecoverable error
        return HTTP_GARBAGE
    r.length = value
    return HTTP_MORE


cdef int headers_done(http_reply *r) noexcept nogil:
    if r.status < 200 and r.status != 101:          # interim: the real one follows (RFC 9110 section 15.2)
        r.phase = HTTP_AT_STATUS
        r.status = 0
        r.length = -1
        r.raw_length = False
        return HTTP_MORE
    r.phase = HTTP_AT_BODY
    if r.raw_length:
        r.length = -1
    if r.status == 204 or r.status == 304:          # never a body (RFC 9112 section 6.3)
        r.length = 0
    return HTTP_COMPLETE if r.length == 0 else HTTP_MORE


cdef int end_of_line(http_reply *r) noexcept nogil:
    cdef int progress = HTTP_MORE
    if r.line_size and not r.long_line and r.line[r.line_size - 1] == c'\r':
        r.line_size -= 1
    if r.phase == HTTP_AT_STATUS:
        progress = status_line(r)
    elif r.line_size == 0:
        progress = headers_done(r)
    elif named(r, b"content-length", 14):
        progress = content_length(r, 15)
    elif named(r, b"transfer-encoding", 17):
        r.raw_length = True
    r.line_size = 0
    r.long_line = False
    return progress


cdef int http_feed(http_reply *r, const char *data, size_t size, const char **body, size_t *body_size) noexcept nogil:
    cdef const char *newline
    cdef size_t piece, kept
    cdef int progress
    body[0] = data
    body_size[0] = 0
    while size and r.phase != HTTP_AT_BODY:
        newline = <const char *>memchr(data, c'\n', size)
        piece = <size_t>(newline - data) if newline != NULL else size
        kept = piece if piece < HTTP_LINE - r.line_size else HTTP_LINE - r.line_size
        memcpy(r.line + r.line_size, data, kept)
        r.line_size += <uint16_t>kept
        r.long_line = r.long_line or kept < piece
        if newline != NULL:
            piece += 1
        data += piece
        size -= piece
        if piece > HTTP_MAX_HEADER - r.header_bytes:
            return HTTP_TOO_LONG
        r.header_bytes += <uint32_t>piece
        if r.phase == HTTP_AT_STATUS and memcmp(r.line, b"HTTP/", 5 if r.line_size > 5 else r.line_size) != 0:
            return HTTP_GARBAGE                     # at once: what follows may be endless
        if newline != NULL:
            progress = end_of_line(r)
            if progress != HTTP_MORE:
                return progress
    if r.phase == HTTP_AT_BODY and size:
        if r.length >= 0 and <int64_t>size > r.length - r.body_bytes:
            size = <size_t>(r.length - r.body_bytes)
        body[0] = data
        body_size[0] = size
        r.body_bytes += <int64_t>size
        if r.body_bytes == r.length:
            return HTTP_COMPLETE
    return HTTP_MORE


cdef bint http_end(const http_reply *r) noexcept nogil:
    return r.phase == HTTP_AT_BODY and (r.length < 0 or r.body_bytes == r.length)


cdef bint http_has_status(const http_reply *r) noexcept nogil:
    return r.phase != HTTP_AT_STATUS and (r.status >= 200 or r.status == 101)


cdef class HttpReply:
    """See http.pyi."""
    cdef http_reply r
    cdef readonly bytes body

    def __cinit__(self):
        http_init(&self.r)
        self.body = b""

    @property
    def status(self) -> int:
        return self.r.status

    @property
    def length(self) -> int:
        return self.r.length

    def feed(self, bytes data) -> int:
        cdef const char *body
        cdef size_t size
        progress = http_feed(&self.r, <const char *>data, len(data), &body, &size)
        self.body += body[:size]
        return progress

    def take(self, bytes data) -> tuple:
        cdef const char *body
        cdef size_t size
        progress = http_feed(&self.r, <const char *>data, len(data), &body, &size)
        return progress, body[:size]

    def end(self) -> bool:
        return http_end(&self.r)

    def has_status(self) -> bool:
        return http_has_status(&self.r)
