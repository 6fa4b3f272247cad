"""Real servers that say the same are read once.

Two blocks of equal spelling have equal drafts; the real servers that come of them differ by their addresses, if their
virtual servers say the same too. Only what had no fault is used again: so no fault is lost, and none has another's
place. Nothing here knows a keyword of theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from fastha.config.build_real import RealBody, RealDraft, real_body, real_head
from fastha.config.mould import Cast, CastValues, mould
from fastha.config.tree import Faults, Statement
from fastha.config.values import IPV4
from fastha.lean import dataclass, field
from fastha.model import RealServer

MOST_AROUND = 1000  # statements of a virtual server besides its real servers
MOST_KNOWN = 20_000  # spellings that nobody said twice


@dataclass(slots=True)
class Alike:
    """What is known while one configuration is built. `values`: see mould."""

    values: CastValues = Cast
    known: dict[Hashable, tuple[RealBody, int | None, int] | None] = field(default_factory=dict)  # None: seen once
    examples: dict[tuple[int, bool, int], RealServer] = field(default_factory=dict)
    casts: dict[tuple[int, bool, int], Callable[[str], RealServer] | None] = field(default_factory=dict)
    numbers: dict[Hashable, int] = field(default_factory=dict)

    def draft(self, statement: Statement, faults: Faults) -> RealDraft | None:
        """The draft of one block."""
        words = statement.words
        said = (statement.spelling(), *words[2:])  # before it is read: that may cut its statements
        known = self.known.get(said)
        if known is not None and IPV4.fullmatch(words[1]):
            body, port, alike = known
            return RealDraft(words[1], port, body, False, alike)
        wrong = len(faults)
        head = real_head(statement, faults)
        if head is None:
            return None
        ip, port = head
        body = real_body(statement, faults) if known is None else known[0]
        alike = self.shared(said)
        if len(faults) == wrong and (said in self.known or len(self.known) < MOST_KNOWN):
            self.known[said] = (body, port, alike) if said in self.known else None
        return RealDraft(ip, port, body, known is None, alike)

    def shared(self, *said: Hashable) -> int:
        """A small number for what somebody says; the same number for the same."""
        return self.numbers.setdefault(said, len(self.numbers))

    def cast(self, real: RealDraft, around: int) -> RealServer | None:
        """The real server of a draft, if two like it in virtual servers like its own had no fault."""
        cast = self.casts.get((real.alike, ":" in real.ip, around))
        return None if cast is None else cast(real.ip)

    def learn(self, real: RealDraft, around: int, built: RealServer) -> None:
        """A real server that had no fault."""
        key = real.alike, ":" in real.ip, around
        example = self.examples.setdefault(key, built)
        if key not in self.casts and example.ip != built.ip:
            self.casts[key] = mould(example, example.ip, built, built.ip, self.values)


def said_around(statement: Statement) -> Hashable:
    """What a virtual server says besides its address and its real servers; None where that is hard to tell."""
    out: list[Hashable] = []
    for s in statement.block or []:
        if s.inline or len(out) > MOST_AROUND:
            return None  # several keywords on a line: which words are whose is not known before they are read
        if s.words[0] != "real_server":
            out.append((*s.words, s.quoted, s.spelling()))
    return tuple(out)
