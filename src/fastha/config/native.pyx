"""The reader of fastha.config.reader for large files. Of the grammar it knows PLAIN, whose characters it takes from
there: a line of words and at most one brace at its end, and perhaps a comment. Every other line goes to Python.

All lines are split in one pass, without a Python object. A block that has only such lines in it stays as it is: its
statement is `Unread`, and makes those in it when it is asked for them.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.unicode cimport PyUnicode_DecodeASCII, PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.string cimport memchr, memcmp

from fastha.config.expand import Environment
from fastha.config.reader import EXPANSION, MAX_DEPTH, PLAIN, Reader
from fastha.config.tree import Statement, Unread

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

cdef enum:
    DEEPEST = 64    # blocks in one another that are followed; the reader refuses them long before

cdef size_t LARGEST = 0x7ffffff0    # bytes of a file whose offsets fit into a Line
cdef uint8_t[256] KINDS


cdef struct Line:
    uint32_t start      # offset in the data
    uint32_t words      # offset in `words`; they end where those of the next line begin
    uint32_t number     # from 1
    int32_t match       # of OPENS: the line that closes the block, -1 if that is not to be known here
    uint8_t kind        # NOTHING, OPENS, CLOSES, SPECIAL
    uint8_t height      # of OPENS: blocks in one another, this one included


cdef struct Lines:
    Line *line
    size_t count        # there is one more: where everything ends
    uint8_t *words      # of each line: its words with a blank between them, then a newline or its brace


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


cdef int split(const uint8_t *data, size_t size, size_t start, Lines *out) except -1 nogil:
    """All lines but blank ones, from offset `start`. MemoryError; the caller frees `line` and `words`."""
    cdef size_t at = start, end, count = 1, used = 0
    cdef uint32_t number = 0
    cdef Line *line
    cdef Line *opened
    cdef uint32_t[DEEPEST] unclosed     # lines whose blocks are open
    cdef size_t depth = 0
    cdef uint8_t kind
    cdef const uint8_t *newline
    for at in range(start, size):
        count += data[at] == 10
    out.line = <Line *> PyMem_RawMalloc((count + 1) * sizeof(Line))
    out.words = <uint8_t *> PyMem_RawMalloc(size + 2)
    if out.line == NULL or out.words == NULL:
        with gil:
            raise MemoryError
    line = out.line
    at = start
    while at < size:
        newline = <const uint8_t *> memchr(data + at, 10, size - at)
        end = size if newline == NULL else newline - data
        number += 1
        line.start = <uint32_t> at
        line.words = <uint32_t> used
        line.number = number
        line.match = -1
        line.height = 0
        kind = scan(data, at, end, out.words, &used)
        line.kind = kind
        at = end + 1
        if used == line.words and kind == NOTHING:
            continue
        if kind == SPECIAL:
            used = line.words
            depth = 0       # what it does to the blocks around it is not known
        elif kind == OPENS:
            if used == line.words + 1 or depth == DEEPEST:   # its statement is on a line before
                depth = 0
            else:
                line.height = 1
                unclosed[depth] = <uint32_t> (line - out.line)
                depth += 1
        elif kind == CLOSES and depth:
            depth -= 1
            opened = out.line + unclosed[depth]
            opened.match = <int32_t> (line - out.line)
            if depth and out.line[unclosed[depth - 1]].height <= opened.height:
                out.line[unclosed[depth - 1]].height = opened.height + 1
        line += 1
    line.words = <uint32_t> used
    line.start = <uint32_t> size
    out.count = line - out.line
    return 0


cdef uint8_t scan(const uint8_t *data, size_t at, size_t end, uint8_t *words, size_t *used) noexcept nogil:
    """The words of one line, appended to `words` if it has any or a brace; its kind."""
    cdef size_t out = used[0]
    cdef uint8_t brace = 0
    cdef uint8_t kind
    while at < end:
        kind = KINDS[data[at]]
        if kind == WORD:
            if brace:
                return SPECIAL
            if out > used[0]:
                words[out] = 32
                out += 1
            elif end - at >= 7 and memcmp(data + at, b"include", 7) == 0:
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
    if brace:
        words[out] = brace
        out += 1
    elif out > used[0]:
        words[out] = 10
        out += 1
    used[0] = out
    return NOTHING if brace == 0 else OPENS if brace == 123 else CLOSES


cdef class Text:
    """The lines of one file, and the source of its Unread statements."""

    cdef bytes data
    cdef Lines lines

    def __cinit__(self, bytes data not None):
        cdef size_t size = PyBytes_GET_SIZE(data)
        cdef const uint8_t *text = <const uint8_t *> PyBytes_AS_STRING(data)
        self.data = data
        split(text, size, 3 if data[:3] == b"\xef\xbb\xbf" else 0, &self.lines)

    def __dealloc__(self):
        PyMem_RawFree(self.lines.line)
        PyMem_RawFree(self.lines.words)

    cdef size_t end(self, size_t start) noexcept:
        """Where the line that begins at an offset ends."""
        cdef const char *data = PyBytes_AS_STRING(self.data)
        cdef size_t size = PyBytes_GET_SIZE(self.data)
        cdef const void *newline = memchr(data + start, 10, size - start)
        return size if newline == NULL else <const char *> newline - data

    cdef str text(self, size_t start):
        """The line that begins at an offset."""
        return PyUnicode_DecodeUTF8(PyBytes_AS_STRING(self.data) + start, self.end(start) - start, b"surrogateescape")

    cdef list split(self, size_t index):
        """Its words; [] if it is nothing but a brace."""
        cdef Line *line = self.lines.line + index
        cdef Py_ssize_t size = line[1].words - line.words - 1
        if size <= 0:
            return []
        return (<str> PyUnicode_DecodeASCII(<char *> self.lines.words + line.words, size, NULL)).split(" ")

    cdef object statement(self, size_t index, str file):
        """Its statement; None if it is nothing but a brace."""
        cdef Line *line = self.lines.line + index
        cdef list words = self.split(index)
        if not words:
            return None
        text = self.text(line.start)
        if line.kind == OPENS and line.match >= 0:
            return Unread(words, text, file, line.number, self, index)
        return Statement(words, text, file, line.number, line.kind == CLOSES)

    def block(self, Py_ssize_t index, str file):
        """The statements of the block that line `index` opens."""
        cdef Line *line = self.lines.line
        cdef Py_ssize_t last = line[index].match
        cdef list out = []
        index += 1
        while index <= last:
            statement = self.statement(index, file)
            if statement is not None:
                out.append(statement)
            index = (line[index].match if line[index].kind == OPENS else index) + 1
        return out

    def spelling(self, Py_ssize_t index):
        """Words and braces of the block that line `index` opens."""
        cdef Line *line = self.lines.line
        cdef size_t start = line[index + 1].words
        return PyBytes_FromStringAndSize(<char *> self.lines.words + start, line[line[index].match + 1].words - start)


cdef size_t finish_definition(reader, Text text, size_t index) except -1:
    """Give the reader the lines from `index` on as they are, until no definition goes on; the first line after them."""
    cdef size_t size = PyBytes_GET_SIZE(text.data)
    cdef size_t at = text.end(text.lines.line[index - 1].start) + 1
    cdef uint32_t number = text.lines.line[index - 1].number
    while reader.defining and at <= size:
        number += 1
        reader.line = number
        reader.read_line(text.text(at))
        at = text.end(at) + 1
    while index < text.lines.count and text.lines.line[index].start < at:
        index += 1
    return index


class NativeReader(Reader):
    """A reading, with the lines split in one pass."""

    def read_text(self, bytes data not None):
        cdef Text text
        cdef Line *line
        cdef size_t i = 0
        cdef object statement
        if len(data) > LARGEST:
            return Reader.read_text(self, data)
        text = Text(data)
        file = self.file
        while i < text.lines.count:
            line = text.lines.line + i
            self.line = line.number
            if line.kind == SPECIAL:
                self.read_line(text.text(line.start))
                i += 1
                if self.defining:
                    i = finish_definition(self, text, i)
                continue
            statement = text.statement(i, file)
            if statement is not None:
                self.add(statement)
            if line.kind == OPENS:
                if line.match >= 0 and line.height + len(self.open) < MAX_DEPTH:
                    self.last = None
                    i = line.match + 1
                    continue
                if statement is not None and line.match >= 0:   # too deep to be left unread
                    self.current.pop()
                    self.add(Statement(statement.words, text.text(line.start), file, line.number))
                self.open_block(text.text(line.start).index("{") + 1)
            elif line.kind == CLOSES:
                self.close_block(text.text(line.start).index("}") + 1)
            i += 1
        return None


def read(str path not None, files, script_words=frozenset(), env=None, expansion=EXPANSION):
    """As fastha.config.reader.read."""
    return NativeReader(files, script_words, env or Environment(), expansion).read(path)
