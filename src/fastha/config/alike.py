"""Real servers that say the same are read once.

Two blocks of equal spelling have equal drafts; the real servers that come of them differ by their addresses, if their
virtual servers say the same too. Only what had no fault is used again: so no fault is lost, and none has another's
place. Nothing here knows a keyword of theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from fastha.config.build_real import RealBody, RealDraft, real_body, real_head
from fastha.config.mould import mould
from fastha.config.tree import Faults, Statement
from fastha.lean import dataclass, field
from fastha.model import RealServer


@dataclass(slots=True)
class Alike:
    """What is known while one configuration is built."""

    bodies: dict[Hashable, RealBody] = field(default_factory=dict)
    examples: dict[Hashable, RealServer] = field(default_factory=dict)
    casts: dict[Hashable, Callable[[str], RealServer] | None] = field(default_factory=dict)
    numbers: dict[Hashable, int] = field(default_factory=dict)

    def draft(self, statement: Statement, faults: Faults) -> RealDraft | None:
        """The draft of one block."""
        head = real_head(statement, faults)
        if head is None:
            return None
        ip, port = head
        spelling = statement.spelling()  # before it is read: that may cut its statements
        body = self.bodies.get(spelling)
        if body is not None:
            return RealDraft(statement, ip, port, body, spelling)
        wrong = len(faults)
        body = real_body(statement, faults)
        if len(faults) == wrong:
            self.bodies[spelling] = body
        return RealDraft(statement, ip, port, body, spelling)

    def shared(self, *around: Hashable) -> int:
        """A small number for what a virtual server says; the same number for the same."""
        return self.numbers.setdefault(around, len(self.numbers))

    def cast(self, real: RealDraft, around: int) -> RealServer | None:
        """The real server of a draft, if two like it in virtual servers like its own had no fault."""
        cast = self.casts.get((real.spelling, real.port, ":" in real.ip, around))
        return None if cast is None else cast(real.ip)

    def learn(self, real: RealDraft, around: int, built: RealServer) -> None:
        """A real server that had no fault."""
        key = real.spelling, real.port, ":" in real.ip, around
        example = self.examples.setdefault(key, built)
        if key not in self.casts and example.ip != built.ip:
            self.casts[key] = mould(example, example.ip, built, built.ip)


def said_around(statement: Statement) -> Hashable:
    """What a virtual server says besides its address and its real servers; None where that is hard to tell."""
    block = statement.block or []
    if any(s.inline for s in block):
        return None  # several keywords on a line: which words are whose is not known before they are read
    return tuple((*s.words, s.quoted, s.spelling()) for s in block if s.words[0] != "real_server")
