"""One line of text -> words and braces. Two ways of quoting: see `split_line` and `split_script`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from io import StringIO
from typing import NamedTuple

# A double-quoted string, a brace, the start of a comment, or a plain word. A quote ends a plain word, as in keepalived:
# a"b c"d is three words. \# and \! are the characters themselves outside quotes; a backslash means nothing else.
# Every alternative consumes and none goes back (++), so a line costs O(length), and a long word no memory.
TOKEN = re.compile(r'"([^"]*)("?)|([{}])|([#!])|((?:[^ \t\r\f\v"{}#!\\]++|\\++[#!]?)++)')
ESCAPED = re.compile(r"\\([#!])")
SPACE = " \t\r\f\v\n"

# Escapes of script commands; a backslash before any other character gives that character.
ESCAPES = {"a": "\a", "b": "\b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
HEX = re.compile(r"[0-9a-fA-F]{1,2}")
OCTAL = re.compile(r"[0-7]{1,3}")


class Token(NamedTuple):
    """`kind`: "word", "quoted" (a word that was in quotes), "{" or "}". `column` from 1."""

    kind: str
    text: str
    column: int


class LexError(ValueError):
    """A line that cannot be split; `column` from 1."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.column = column


def split_line(text: str, script_words: Set[str] = frozenset()) -> Iterator[Token]:
    """Tokens of a line by the rules of plain keywords; what follows a keyword of `script_words` goes by the rules of
    script keywords. LexError for an unterminated quote."""
    first = True  # the next word begins a statement
    for match in TOKEN.finditer(text):
        index, column = match.lastindex, match.start() + 1
        if index == 5:
            word = match[5]
            yield Token("word", ESCAPED.sub(r"\1", word) if "\\" in word else word, column)
            if first and word in script_words:
                yield from split_script(text, match.end())
                return
            first = False
        elif index == 3:
            yield Token(match[3], match[3], column)
            first = True
        elif index == 4:
            break
        elif match[2]:
            yield Token("quoted", match[1], column)
        else:
            raise LexError('a quote (") without its end', column)


def strip_comment(text: str) -> str:
    """The line up to its comment. As in keepalived, # and ! count inside single quotes but not inside double ones."""
    if "#" not in text and "!" not in text:
        return text
    for match in TOKEN.finditer(text):
        if match.lastindex == 4:
            return text[: match.start()]
    return text


def split_script(text: str, start: int) -> Iterator[Token]:
    """Tokens of a script keyword's arguments, from offset `start` of a line: single and double quotes and backslash
    escapes as in a shell, adjacent pieces joined into one word. Braces outside quotes still end the words."""
    text = strip_comment(text)
    i, end = start, len(text)
    while i < end:
        if text[i] in SPACE:
            i += 1
        elif text[i] in "{}":
            yield Token(text[i], text[i], i + 1)
            i += 1
        else:
            word, stop, quoted = _script_word(text, i)
            yield Token("quoted" if quoted else "word", word, i + 1)
            i = stop


def split_command(text: str) -> list[str]:
    """A command string -> argv, by the same quoting. LexError for an unterminated quote."""
    argv, i = [], 0
    while i < len(text):
        if text[i] in SPACE:
            i += 1
            continue
        word, i, _ = _script_word(text, i, braces=True)
        argv.append(word)
    return argv


def _script_word(text: str, i: int, braces: bool = False) -> tuple[str, int, bool]:
    """The word at offset `i`: (its value, where it ends, whether any of it was in quotes)."""
    out = StringIO()
    begin, end, quote, quoted = i, len(text), "", False
    while i < end:
        c = text[i]
        if c == "\\" and i + 1 < end:
            value, i = _escape(text, i + 1)
            out.write(value)
            continue
        if quote:
            if c == quote:
                quote = ""
            else:
                out.write(c)
        elif c in "\"'":
            quote, quoted = c, True
        elif c in SPACE or (c in "{}" and not braces):
            break
        else:
            out.write(c)
        i += 1
    if quote:
        raise LexError(f"a quote ({quote}) without its end", begin + 1)
    return out.getvalue(), i, quoted


def _escape(text: str, i: int) -> tuple[str, int]:
    """The escape whose letter is at offset `i`: (value, offset after it)."""
    c = text[i]
    if c in ESCAPES:
        return ESCAPES[c], i + 1
    if c == "x" and (match := HEX.match(text, i + 1)):
        return chr(int(match[0], 16)), match.end()
    if match := OCTAL.match(text, i):
        return chr(int(match[0], 8) & 0xFF), match.end()
    if c == "c" and i + 1 < len(text):
        return chr(ord(text[i + 1]) & 0x1F), i + 2
    return c, i + 1
