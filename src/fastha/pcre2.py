"""Regular expressions as keepalived has them: PCRE2 itself, bound through cffi. A subject may come in pieces.

Facts, and what they mean here:

- A body comes in pieces of any size, and may be endless. So each piece is searched with PCRE2_PARTIAL_HARD; what no
  match can begin in any more is dropped, but for what the expression may look back at (pcre2partial(3)).
- An expression can take exponential time, and this process has one thread. So match() has a limit of steps for each
  place where a match may begin, places are tried in slices (pcre2_set_offset_limit), and all have one budget of time.
- With UTF, the peer decides whether the body is UTF: PCRE2_MATCH_INVALID_UTF makes what is not simply not match.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable
from typing import Any

# keepalived's words for regex_options -> pcre2.h. "firstline" and "use_offset_limit" are done here, not by the library.
OPTIONS = {
    "allow_empty_class": 0x00000001,
    "alt_bsux": 0x00000002,
    "auto_callout": 0x00000004,
    "caseless": 0x00000008,
    "dollar_endonly": 0x00000010,
    "dotall": 0x00000020,
    "dupnames": 0x00000040,
    "extended": 0x00000080,
    "firstline": 0,
    "match_unset_backref": 0x00000200,
    "multiline": 0x00000400,
    "never_ucp": 0x00000800,
    "never_utf": 0x00001000,
    "no_auto_capture": 0x00002000,
    "no_auto_possess": 0x00004000,
    "no_dotstar_anchor": 0x00008000,
    "no_start_optimize": 0x00010000,
    "ucp": 0x00020000,
    "ungreedy": 0x00040000,
    "utf": 0x00080000,
    "never_backslash_c": 0x00100000,
    "alt_circumflex": 0x00200000,
    "alt_verbnames": 0x00400000,
    "use_offset_limit": 0,
}
USE_OFFSET_LIMIT = 0x00800000
MATCH_INVALID_UTF = 0x04000000
NOTBOL = 0x1
PARTIAL_HARD = 0x20
NOMATCH, PARTIAL = -1, -2
MATCHLIMIT, DEPTHLIMIT, HEAPLIMIT = -47, -53, -63
INFO_MAXLOOKBEHIND = 15

STEPS = 50_000  # of match() for one place to begin at: about 1 ms
HEAP_KB = 4096
FIRST_SLICE, SLICE = 16, 512  # places tried in one call
BUDGET_NS, BUDGET_NS_PER_BYTE = 200_000_000, 100  # of CPU for one subject, all pieces together
WINDOW = 256 * 1024  # bytes of a subject that are kept at once
PIECE = 16 * 1024  # pieces are gathered until there is this much: one that drips is not searched for each byte

CDEF = """
typedef struct pcre2_code pcre2_code;
typedef struct pcre2_match_data pcre2_match_data;
typedef struct pcre2_match_context pcre2_match_context;
pcre2_code *pcre2_compile_8(const char *, size_t, uint32_t, int *, size_t *, void *);
void pcre2_code_free_8(pcre2_code *);
int pcre2_get_error_message_8(int, unsigned char *, size_t);
int pcre2_pattern_info_8(const pcre2_code *, uint32_t, void *);
pcre2_match_data *pcre2_match_data_create_8(uint32_t, void *);
void pcre2_match_data_free_8(pcre2_match_data *);
pcre2_match_context *pcre2_match_context_create_8(void *);
void pcre2_match_context_free_8(pcre2_match_context *);
int pcre2_set_match_limit_8(pcre2_match_context *, uint32_t);
int pcre2_set_heap_limit_8(pcre2_match_context *, uint32_t);
int pcre2_set_offset_limit_8(pcre2_match_context *, size_t);
int pcre2_match_8(const pcre2_code *, const char *, size_t, size_t, uint32_t, pcre2_match_data *,
                  pcre2_match_context *);
size_t *pcre2_get_ovector_pointer_8(pcre2_match_data *);
"""


class TooMuch(Exception):
    """The subject needs more steps, time or memory than one may have."""


@functools.cache
def _library() -> tuple[Any, Any]:
    """(ffi, the loaded library). OSError if this machine has no PCRE2."""
    import cffi  # here: a process without expressions does not load it

    ffi = cffi.FFI()
    ffi.cdef(CDEF)
    return ffi, ffi.dlopen("libpcre2-8.so.0")


class Expression:
    """A compiled expression. ValueError says what is wrong with it; OSError: no PCRE2 here."""

    def __init__(self, pattern: str, options: Iterable[str] = ()) -> None:
        ffi, lib = _library()
        names = frozenset(options)
        if unknown := sorted(names - OPTIONS.keys()):
            raise ValueError(f"'{unknown[0]}' is not an option of expressions")
        if "\\G" in pattern:
            raise ValueError("\\G has no meaning in a body that comes in pieces")
        flags = USE_OFFSET_LIMIT
        for name in names:
            flags |= OPTIONS[name]
        self.utf = "utf" in names
        if self.utf:
            flags |= MATCH_INVALID_UTF
        self.firstline = "firstline" in names
        data = pattern.encode("utf-8", "surrogateescape")
        error, at = ffi.new("int *"), ffi.new("size_t *")
        code = lib.pcre2_compile_8(data, len(data), flags, error, at, ffi.NULL)
        if code == ffi.NULL:
            text = ffi.new("unsigned char[256]")
            lib.pcre2_get_error_message_8(error[0], text, 256)
            raise ValueError(f"{ffi.string(text).decode(errors='replace')} (at character {at[0] + 1})")
        self.code = ffi.gc(code, lib.pcre2_code_free_8)
        behind = ffi.new("uint32_t *")
        lib.pcre2_pattern_info_8(self.code, INFO_MAXLOOKBEHIND, behind)
        # At least one byte, so that the beginning of what is kept is never taken for that of the subject.
        self.lookbehind = max(1, behind[0]) * (4 if self.utf else 1)


class Search:
    """Looks for an expression in a subject that comes in pieces.

    A match begins in [min_offset, max_offset] (0: no end).
    """

    def __init__(
        self,
        expression: Expression,
        min_offset: int = 0,
        max_offset: int = 0,
        clock: Callable[[], int] = time.thread_time_ns,
    ) -> None:
        ffi, lib = _library()
        self.found = False
        self._expression = expression
        self._clock = clock
        self._left_ns = BUDGET_NS
        self._window = bytearray()
        self._base = 0  # where in the subject the window begins
        self._next = min_offset  # where in the subject a match may begin next
        self._searched = 0  # the subject up to here was looked at
        self._last: int | None = max_offset or None
        self._newline_from = min_offset if expression.firstline else -1
        self._data = ffi.gc(lib.pcre2_match_data_create_8(1, ffi.NULL), lib.pcre2_match_data_free_8)
        self._context = ffi.gc(lib.pcre2_match_context_create_8(ffi.NULL), lib.pcre2_match_context_free_8)
        lib.pcre2_set_match_limit_8(self._context, STEPS)
        lib.pcre2_set_heap_limit_8(self._context, HEAP_KB)

    @property
    def over(self) -> bool:
        """Nothing that follows can change the answer."""
        return self.found or (self._last is not None and self._next > self._last)

    def feed(self, data: bytes) -> None:
        """More of the subject. TooMuch if it cannot be searched within the limits."""
        if self.over:
            return
        self._window += data
        self._left_ns += len(data) * BUDGET_NS_PER_BYTE
        if self._base + len(self._window) - self._searched >= PIECE:
            self._search(final=False)

    def end(self) -> bool:
        """That was all of it: whether there is a match. TooMuch as for `feed`."""
        if not self.over:
            self._search(final=True)
        self._window.clear()
        return self.found

    def _search(self, final: bool) -> None:
        self._newline()
        size = len(self._window) - (0 if final or not self._expression.utf else incomplete(self._window))
        self._searched = self._base + size
        begin = self._next
        slice_size = FIRST_SLICE
        while begin <= self._base + size and (self._last is None or begin <= self._last):
            limit = begin + slice_size - 1
            if self._last is not None:
                limit = min(limit, self._last)
            started = self._clock()
            code, partial_at = self._match(
                bytes(self._window[:size]) if begin == self._next else None, begin, limit, final
            )
            took = self._clock() - started
            self._left_ns -= took
            if code >= 0:
                self.found = True
                self._window.clear()
                return
            if code == PARTIAL:
                begin = self._base + partial_at
                break
            if code in (MATCHLIMIT, DEPTHLIMIT, HEAPLIMIT) or self._left_ns < 0:
                raise TooMuch("the expression takes too long on this reply")
            if code != NOMATCH:
                raise TooMuch(f"PCRE2 error {code}")
            begin = min(limit, self._base + size) + 1
            slice_size = min(slice_size * 2, SLICE) if took < 1_000_000 else FIRST_SLICE
        if not final:  # a match may yet begin where the next piece does
            begin = max(self._next, min(begin, self._base + size))
        self._next = begin
        self._drop(begin, size)

    def _match(self, subject: bytes | None, begin: int, limit: int, final: bool) -> tuple[int, int]:
        """One call: (what PCRE2 says, where in the window a partial match begins)."""
        ffi, lib = _library()
        if subject is not None:
            self._subject = subject
        lib.pcre2_set_offset_limit_8(self._context, limit - self._base)
        options = (NOTBOL if self._base else 0) | (0 if final else PARTIAL_HARD)
        code = lib.pcre2_match_8(
            self._expression.code, ffi.from_buffer(self._subject), len(self._subject), begin - self._base,
            options, self._data, self._context,
        )  # fmt: skip
        return code, lib.pcre2_get_ovector_pointer_8(self._data)[0] if code == PARTIAL else 0

    def _drop(self, begin: int, size: int) -> None:
        """Forget what no match can begin in or look back at."""
        keep = min(begin - self._base, size) - self._expression.lookbehind
        if keep > 0:
            del self._window[:keep]
            self._base += keep
        if len(self._window) > WINDOW:
            raise TooMuch(f"a match would need more than {WINDOW // 1024} KiB of the reply at once")

    def _newline(self) -> None:
        """firstline: a match begins before or at the first newline (pcre2api(3), PCRE2_FIRSTLINE)."""
        if self._newline_from < 0:
            return
        at = self._window.find(b"\n", max(0, self._newline_from - self._base))
        if at < 0:
            self._newline_from = max(self._newline_from, self._base + len(self._window))
            return
        newline = self._base + at
        self._last = newline if self._last is None else min(self._last, newline)
        self._newline_from = -1


def incomplete(data: bytes | bytearray) -> int:
    """How many bytes at the end are the beginning of a UTF-8 character (RFC 3629 section 3)."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            wanted = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return back if back < wanted else 0
        if byte < 0x80:
            return 0
    return 0
