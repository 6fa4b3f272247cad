"""Whether an HTTP reply is what its `url` wants, whatever version of HTTP brought it: status, then digest, then regex
(keepalived's order). Pure; the body is judged as it was sent, neither unchunked nor unpacked."""

from __future__ import annotations

import functools
import hashlib

from fastha.checker.ending import Ending
from fastha.checker.talk.talk import Verdict, said
from fastha.model import HttpUrl, Regex
from fastha.pcre2 import Expression, Search, TooMuch


@functools.lru_cache(256)
def expression(regex: Regex | None) -> Expression | None:
    """The compiled expression of a url. ValueError if it cannot be."""
    return Expression(regex.pattern, regex.options) if regex else None


class Judge:
    """One reply. Each method answers a verdict as soon as there is one."""

    def __init__(self, url: HttpUrl, compiled: Expression | None = None) -> None:
        self.code = 0
        self._url = url
        self._digest = hashlib.md5(usedforsecurity=False) if url.digest else None
        self._search = None
        if url.regex is not None:
            assert compiled is not None
            self._search = Search(compiled, url.regex.min_offset, url.regex.max_offset)

    def status(self, code: int) -> Verdict | None:
        """The final status is known."""
        self.code = code
        if any(low <= code <= high for low, high in self._url.status):
            return None
        return Verdict(Ending.STATUS, code)

    def body(self, data: bytes) -> Verdict | None:
        """A piece of the body."""
        if self._digest is not None:
            self._digest.update(data)
        if self._search is not None:
            try:
                self._search.feed(data)
            except TooMuch as error:
                return Verdict(Ending.REGEX, self.code, str(error))
        return None

    def end(self) -> Verdict:
        """The reply is whole."""
        if self._digest is not None and self._digest.hexdigest() != self._url.digest:
            return Verdict(Ending.DIGEST, self.code, f"it is {self._digest.hexdigest()}")
        if self._search is not None and (wrong := self._regex(self._search)):
            return Verdict(Ending.REGEX, self.code, wrong)
        return Verdict(Ending.ANSWERED, self.code)

    def _regex(self, search: Search) -> str:
        regex = self._url.regex
        assert regex is not None
        try:
            found = search.end()
        except TooMuch as error:
            return str(error)
        if found is not regex.negated:
            return ""
        return f"{'has' if regex.negated else 'lacks'} {said(regex.pattern)}"
