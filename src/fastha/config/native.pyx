"""The reader of fastha.config.reader for large files. Of the grammar it knows words and braces of the characters of
PLAIN, which it takes from there, and comments. Every other line goes to Python, and every brace that is a fault.

Plain lines become records (fastha.config.tape) without a Python object.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.list cimport PyList_Append
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memchr, memcmp, memmove, memset

from fastha.config.expand import Environment
from fastha.config.reader import EXPANSION, MAX_DEPTH, MAX_WORDS, PLAIN, Reader
from fastha.config.tape import Records, Source, Sources
from fastha.config.tree import NONE, Statement

cdef enum:
    OTHER = 0       # the line is for Python
    WORD = 1
    BLANK = 2
    BRACE = 3
    COMMENT = 4
    NEWLINE = 5

cdef enum:
    NOTHING = 0     # no brace
    OPENS = 1
    CLOSES = 2
    SPECIAL = 3     # a line for Python

cdef enum:          # flags of a record, and sizes: see fastha.config.tape
    HAS_BLOCK = 1
    INLINE = 2
    MOVED = 4
    HAS_EXTRA = 8
    COLUMNS = 2
    SIZE = 8
    SEPARATOR = 0xff

cdef enum:
    HEAD = 32       # the most that a record has besides its words
    SLACK = 1 << 16
    DEEPEST = 64    # more than there are blocks in one another
    ENDS = 0xfe     # in a spelling: the end of a block

cdef uint8_t[256] KINDS
cdef size_t most_words = MAX_WORDS
cdef int max_depth = MAX_DEPTH


cdef int learn_kinds() except -1:
    """The classes of characters, from the regular expression that the reader in Python goes by."""
    cdef int c
    for c in range(256):
        KINDS[c] = WORD if c < 128 and PLAIN.fullmatch(chr(c)) else OTHER
    for c in b" \t\r":
        KINDS[c] = BLANK
    for c in b"{}":
        KINDS[c] = BRACE
    for c in b"#!":
        KINDS[c] = COMMENT
    KINDS[10] = NEWLINE
    return 0


learn_kinds()


cdef inline size_t put(uint8_t *out, uint64_t value) noexcept nogil:
    """A number; how many bytes it takes."""
    cdef size_t size = 0
    while value > 127:
        out[size] = <uint8_t> (value & 127 | 128)
        value >>= 7
        size += 1
    out[size] = <uint8_t> value
    return size + 1


cdef inline uint64_t take(const uint8_t *data, size_t *at) noexcept nogil:
    """The number at an offset, which goes on behind it."""
    cdef uint64_t value = 0
    cdef int shift = 0
    cdef uint8_t byte = 128
    while byte & 128:
        byte = data[at[0]]
        at[0] += 1
        value |= <uint64_t> (byte & 127) << shift
        shift += 7
    return value


cdef struct Record:
    uint8_t flags
    int64_t source
    int64_t line
    size_t words        # offset
    size_t size         # of the words
    size_t begin        # of the records in its block, if it has one
    size_t after        # the next record in the same block


cdef void parse(const uint8_t *data, size_t at, Record *record) noexcept nogil:
    """The record at an offset. `record` has source and line of the statement before."""
    cdef uint64_t step, size
    cdef int i
    record.flags = data[at]
    at += 1
    step = take(data, &at)
    if record.flags & MOVED:
        record.source = <int64_t> step
        record.line = <int64_t> take(data, &at)
    else:
        record.line += <int64_t> step
    record.size = take(data, &at)
    record.words = at
    at += record.size
    if record.flags & HAS_EXTRA:
        size = take(data, &at)
        at += size
    record.begin = record.after = at
    if record.flags & HAS_BLOCK:
        size = 0
        for i in range(SIZE):
            size |= <uint64_t> data[at + i] << 8 * i
        record.begin = at + SIZE
        record.after = record.begin + size


cdef list split(const uint8_t *words, size_t size):
    """Words with separators between them."""
    cdef list out = []
    cdef const uint8_t *end
    while True:
        end = <const uint8_t *> memchr(words, SEPARATOR, size)
        if end == NULL:
            PyList_Append(out, PyUnicode_DecodeUTF8(<const char *> words, size, b"surrogatepass"))
            return out
        PyList_Append(out, PyUnicode_DecodeUTF8(<const char *> words, end - words, b"surrogatepass"))
        size -= end - words + 1
        words = end + 1


cdef class Walk:
    """Makes the statements from one offset to another."""

    cdef object records
    cdef bytearray buffer
    cdef size_t end
    cdef Record record

    def __cinit__(self, records, bytearray buffer not None, size_t begin, size_t end, int64_t source, int64_t line):
        self.records = records
        self.buffer = buffer
        self.end = end
        self.record.after = begin
        self.record.source = source
        self.record.line = line

    def __iter__(self):
        return self

    def __next__(self):
        cdef Record *record = &self.record
        cdef const uint8_t *data = <const uint8_t *> PyByteArray_AS_STRING(self.buffer)
        cdef size_t at = record.after
        if at >= self.end:
            raise StopIteration
        parse(data, at, record)
        words = split(data + record.words, record.size)
        quoted = self.records.quoted(at) if record.flags & HAS_EXTRA else NONE
        begin = <int64_t> record.begin if record.flags & HAS_BLOCK else <int64_t> -1
        return Statement(
            words, self.records, at, record.source, record.line, (record.flags & INLINE) != 0, quoted, begin,
            record.after,
        )


class NativeSource(Source):
    """A source whose lines are counted in C."""

    __slots__ = ()

    def skip(self, Py_ssize_t at, Py_ssize_t count):
        cdef bytes data = self.data
        cdef const char *text = PyBytes_AS_STRING(data)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        cdef const void *newline
        while count > 0:
            newline = memchr(text + at, 10, size - at)
            if newline == NULL:
                break
            at = <const char *> newline - text + 1
            count -= 1
        return at


class NativeRecords(Records):
    """Records that are walked through in C."""

    def __init__(self):
        Records.__init__(self, Sources(NativeSource))

    def walk(self, begin, end, source, line):
        return Walk(self, self.buffer, begin, end, source, line)

    def spelling(self, begin, end):
        plain = spelt(self.buffer, begin, end)
        return Records.spelling(self, begin, end) if plain is None else plain


cdef bytes spelt(bytearray buffer, size_t at, size_t end):
    """Words and braces of plain lines, with the end of each block; None if there are others."""
    cdef const uint8_t *data = <const uint8_t *> PyByteArray_AS_STRING(buffer)
    cdef size_t size = end - at
    cdef bytearray out = bytearray(size + size // 2 + HEAD)   # an end more for each block, which has SIZE bytes
    cdef uint8_t *to = <uint8_t *> PyByteArray_AS_STRING(out)
    cdef size_t used = 0
    cdef size_t[DEEPEST] ends
    cdef size_t depth = 0
    cdef size_t i
    cdef Record record
    record.line = record.source = 0
    while True:
        while depth and at == ends[depth - 1]:
            depth -= 1
            to[used] = ENDS
            used += 1
        if at >= end:
            break
        parse(data, at, &record)
        if record.flags & HAS_EXTRA:
            return None
        to[used] = record.flags & (HAS_BLOCK | INLINE)
        used += 1
        used += put(to + used, record.size)
        for i in range(record.size):
            to[used + i] = data[record.words + i]
        used += record.size
        at = record.after
        if record.flags & HAS_BLOCK:
            ends[depth] = record.after
            depth += 1
            at = record.begin
    return bytes(out[:used])


cdef uint8_t scan(const uint8_t *data, size_t at, size_t end, uint8_t *words, size_t *size) noexcept nogil:
    """The words of one line, into `words`, and their size; its kind."""
    cdef size_t out = 0, count = 0
    cdef uint8_t brace = 0
    cdef uint8_t kind
    size[0] = 0
    while at < end:
        kind = KINDS[data[at]]
        if kind == WORD:
            if brace:
                return SPECIAL
            count += 1
            if out:
                words[out] = SEPARATOR
                out += 1
            elif end - at >= 7 and (memcmp(data + at, b"include", 7) == 0 or memcmp(data + at, b"random_", 7) == 0):
                return SPECIAL
            while at < end and KINDS[data[at]] == WORD:
                words[out] = data[at]
                out += 1
                at += 1
        elif kind == BLANK:
            at += 1
        elif kind == BRACE and not brace:
            brace = data[at]
            at += 1
        elif kind == COMMENT:
            if memchr(data + at, 36, end - at) != NULL or memchr(data + at, 0, end - at) != NULL:
                return SPECIAL      # $ may be a definition in use; NUL is told
            break
        else:
            return SPECIAL
    size[0] = out
    if count > most_words:
        return SPECIAL
    return NOTHING if brace == 0 else OPENS if brace == 123 else CLOSES


cdef bint simple(const uint8_t *data, size_t at, size_t *end, bint *inline) noexcept nogil:
    """Whether a line is words and braces and maybe a comment, which `end` excludes then. `inline`: as Reader._line."""
    cdef size_t count = 0, braces = 0
    cdef uint8_t kind, last = 0
    while at < end[0]:
        kind = KINDS[data[at]]
        if kind == WORD:
            if not count and end[0] - at >= 7 and (
                memcmp(data + at, b"include", 7) == 0 or memcmp(data + at, b"random_", 7) == 0
            ):
                return False
            count += 1
            last = 0
            if count > most_words:
                return False
            while at < end[0] and KINDS[data[at]] == WORD:
                at += 1
        elif kind == BLANK:
            at += 1
        elif kind == BRACE:
            last = data[at]
            braces += 1
            count = 0
            at += 1
        elif kind == COMMENT:
            if memchr(data + at, 36, end[0] - at) != NULL or memchr(data + at, 0, end[0] - at) != NULL:
                return False        # $ may be a definition in use; NUL is told
            end[0] = at
        else:
            return False
    inline[0] = braces > 0 and not (braces == 1 and last == 123)
    return True


cdef class Writer:
    """What Reader and Records know, while plain lines are written in C. `load` and `save`: from them and to them."""

    cdef object reader
    cdef object records
    cdef bytearray buffer
    cdef list open
    cdef size_t used
    cdef int64_t last
    cdef int64_t source
    cdef int64_t before     # source of the statement before
    cdef int64_t line       # its line
    cdef int64_t number     # of the line that is read
    cdef int depth
    cdef int lost
    cdef bint follows
    cdef bint defining

    def __cinit__(self, reader):
        self.reader = reader
        self.records = reader.records
        self.buffer = self.records.buffer
        self.open = self.records._open
        self.source = self.records.sources.current
        self.number = 0
        self.load()

    cdef int load(self) except -1:
        self.used = PyByteArray_GET_SIZE(self.buffer)
        self.last = self.records._last
        self.before = self.records._source
        self.line = self.records._line
        self.depth = self.reader.depth
        self.lost = self.reader.lost
        self.follows = self.reader.follows
        self.defining = bool(self.reader.defining)
        return 0

    cdef int save(self) except -1:
        PyByteArray_Resize(self.buffer, self.used)
        self.records._last = self.last
        self.records._source = self.before
        self.records._line = self.line
        self.reader.depth = self.depth
        self.reader.lost = self.lost
        self.reader.follows = self.follows
        self.reader.line = self.number
        return 0

    cdef int python(self, const uint8_t *text, size_t size) except -1:
        """A line for the reader in Python."""
        self.save()
        self.reader.read_line(PyUnicode_DecodeUTF8(<const char *> text, size, b"surrogateescape"))
        return self.load()

    cdef uint8_t *reserve(self, size_t size) except NULL:
        """Where the next record goes, with room for so many bytes."""
        if self.used + size > <size_t> PyByteArray_GET_SIZE(self.buffer):
            PyByteArray_Resize(self.buffer, self.used + size + SLACK)
        return <uint8_t *> PyByteArray_AS_STRING(self.buffer) + self.used

    cdef int line_of(self, const uint8_t *data, size_t at, size_t end) except -1:
        """One line."""
        cdef uint8_t *out
        cdef size_t size
        cdef size_t head = 1
        cdef uint8_t kind = SPECIAL
        if self.defining:
            return self.python(data + at, end - at)
        out = self.reserve(end - at + 2 * HEAD)
        kind = scan(data, at, end, out + HEAD, &size)
        if kind == NOTHING and (self.lost or not size):
            self.follows = self.follows or size != 0
            return 0
        if kind == SPECIAL and self.several(data, at, end):
            return 0
        if kind == SPECIAL or self.lost or (kind == CLOSES and not self.depth):
            return self.python(data + at, end - at)
        if kind == OPENS and (not size or self.depth + 1 >= max_depth):
            return self.python(data + at, end - at)
        if size:
            self.last = self.used
            out[0] = INLINE if kind == CLOSES else HAS_BLOCK if kind == OPENS else 0
            head += self.place(out)
            head += put(out + head, size)
            memmove(out + head, out + HEAD, size)
            self.used += head + size
        self.follows = kind == NOTHING
        if kind == OPENS:
            memset(out + head + size, 0, SIZE)
            self.used += SIZE
            self.begin()
        elif kind == CLOSES:
            self.close()
        return 0

    cdef bint several(self, const uint8_t *data, size_t at, size_t end) except -1:
        """A line with braces before its end; whether it could be done here."""
        cdef size_t i = at, words
        cdef bint inline
        if not simple(data, at, &end, &inline):
            return False
        while i < end:
            if KINDS[data[i]] == BLANK:
                i += 1
            elif KINDS[data[i]] == WORD:
                words = i
                while i < end and KINDS[data[i]] != BRACE:
                    i += 1
                if not self.lost:
                    self.statement(data, at, words, i, inline)
                self.follows = True
            else:
                self.brace(data[i], i - at + 1)
                i += 1
        return True

    cdef int statement(
        self, const uint8_t *data, size_t begin, size_t at, size_t end, bint inline,
    ) except -1:
        """The words from one offset to another, on the line that begins at `begin`, with their columns."""
        cdef size_t i, size = 0, more = 1, count = 0, head = 1, before = 0
        cdef uint8_t *out
        cdef uint8_t *words
        for i in range(at, end):
            count += KINDS[data[i]] == WORD and (i == at or KINDS[data[i - 1]] != WORD)
        out = self.reserve(end - at + 4 * HEAD + 10 * count)
        words = out + HEAD
        i = at
        while i < end:
            if KINDS[data[i]] != WORD:
                i += 1
                continue
            if size:
                words[size] = SEPARATOR
                size += 1
            while i < end and KINDS[data[i]] == WORD:
                words[size] = data[i]
                size += 1
                i += 1
        self.last = self.used
        out[0] = HAS_EXTRA | (INLINE if inline else 0)
        head += self.place(out)
        head += put(out + head, size)
        memmove(out + head, words, size)
        out += head + size
        self.used += head + size
        words = out + HEAD
        words[0] = COLUMNS
        for i in range(at, end):
            if KINDS[data[i]] == WORD and (i == at or KINDS[data[i - 1]] != WORD):
                more += put(words + more, (i - begin + 1 - before) << 1)
                before = i - begin + 1
        head = put(out, more)
        memmove(out + head, words, more)
        self.used += head + more
        return 0

    cdef size_t place(self, uint8_t *out) noexcept:
        """Source and line of a record that begins at `out`, as far as they are said; how many bytes they take."""
        cdef size_t size
        if self.source == self.before and self.number >= self.line:
            size = put(out + 1, self.number - self.line)
        else:
            out[0] |= MOVED
            size = put(out + 1, self.source)
            size += put(out + 1 + size, self.number)
        self.before, self.line = self.source, self.number
        return size

    cdef int brace(self, uint8_t which, size_t column) except -1:
        """A brace among others; Python tells what is wrong with one."""
        if which == 123 and self.follows and not self.lost and self.depth + 1 < max_depth:
            memset(self.reserve(SIZE), 0, SIZE)
            (<uint8_t *> PyByteArray_AS_STRING(self.buffer))[self.last] |= HAS_BLOCK
            self.used += SIZE
            self.begin()
        elif which == 125 and self.depth and not self.lost:
            self.follows = False
            self.close()
        else:
            self.save()
            if which == 123:
                self.reader.open_block(column)
            else:
                self.reader.close_block(column)
            self.load()
        return 0

    cdef int begin(self) except -1:
        """The block of the last statement begins."""
        self.open.append((self.used, self.last, self.before, self.line))
        self.depth += 1
        self.follows = False
        return 0

    cdef int close(self) except -1:
        """The innermost block ends."""
        cdef size_t begin, size
        cdef int i
        cdef uint8_t *data = <uint8_t *> PyByteArray_AS_STRING(self.buffer)
        begin, _, self.before, self.line = self.open.pop()
        size = self.used - begin
        for i in range(SIZE):
            data[begin - SIZE + i] = <uint8_t> (size >> 8 * i)
        self.depth -= 1
        return 0


class NativeReader(Reader):
    """A reading, with plain lines in C."""

    Records = NativeRecords

    def read_text(self, bytes data not None):
        cdef const uint8_t *text = <const uint8_t *> PyBytes_AS_STRING(data)
        cdef size_t size = PyBytes_GET_SIZE(data)
        cdef size_t at = 3 if data[:3] == b"\xef\xbb\xbf" else 0
        cdef size_t end
        cdef const uint8_t *newline
        cdef Writer writer = Writer(self)
        while True:
            newline = <const uint8_t *> memchr(text + at, 10, size - at)
            end = size if newline == NULL else newline - text
            writer.number += 1
            writer.line_of(text, at, end)
            if newline == NULL:
                break
            at = end + 1
        writer.save()


def read(str path not None, files, script_words=frozenset(), env=None, expansion=EXPANSION):
    """As fastha.config.reader.read."""
    return NativeReader(files, script_words, env or Environment(), expansion).read(path)
