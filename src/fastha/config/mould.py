"""Values that differ in nothing but an address: from two examples, as many more as are wanted.

A large configuration says the same of thousands of real servers. What is built from one, and what is built from the
next, are compared; where they differ by their addresses alone, a third need not be built from its words again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")
Fill = Callable[[str], Any]  # an address -> the part of a value that depends on it
put = object.__setattr__  # into frozen values, too


class Cast:
    """Makes values of class `cls`: its slots in `same` are always the same, those in `made` depend on the address."""

    def __init__(self, cls: type, same: list[tuple[str, Any]], made: list[tuple[str, Fill]]) -> None:
        self.cls = cls
        self.same = same
        self.made = made

    def __call__(self, ip: str) -> Any:
        new: Callable[[type], Any] = object.__new__
        value = new(self.cls)
        for name, fixed in self.same:
            put(value, name, fixed)
        for name, part in self.made:
            put(value, name, part(ip))
        return value


CastValues = Callable[[type, list[tuple[str, Any]], list[tuple[str, Fill]]], Fill]


def mould(one: T, one_ip: str, other: T, other_ip: str, cast: CastValues = Cast) -> Callable[[str], T] | None:
    """What makes a value like both for another address; None if they differ in more than their addresses, or where
    that is not understood (text within text, tuples, slotted dataclasses). What does not depend on it is shared.

    `cast`: Cast, or the compiled one (fastha.config.cast).
    """
    fill = _Examples(one_ip, other_ip, cast).fill(one, other)
    if fill is None or fill(one_ip) != one or fill(other_ip) != other:
        return None
    return fill


class _Examples(NamedTuple):
    a_ip: str
    b_ip: str
    cast: CastValues

    def fill(self, a: Any, b: Any) -> Fill | None:
        """What makes a value like `a` and `b`."""
        if type(a) is not type(b):
            return None
        if a == b:
            return lambda _ip: a
        if type(a) is str:
            return self._text(a, b)
        if type(a) is tuple:
            return self._tuple(a, b) if len(a) == len(b) else None
        return self._value(a, b)

    def _text(self, a: str, b: str) -> Fill | None:
        before, found, after = a.partition(self.a_ip)
        if not found or b != before + self.b_ip + after:
            return None
        return (lambda ip: before + ip + after) if before or after else str

    def _tuple(self, a: tuple[Any, ...], b: tuple[Any, ...]) -> Fill | None:
        parts = [self.fill(x, y) for x, y in zip(a, b, strict=True)]
        known = [p for p in parts if p is not None]
        if len(known) < len(parts):
            return None
        if len(known) == 1:
            only = known[0]
            return lambda ip: (only(ip),)
        return lambda ip: tuple([p(ip) for p in known])

    def _value(self, a: Any, b: Any) -> Fill | None:
        classes = type(a).__mro__[:-1]
        if not all("__slots__" in c.__dict__ for c in classes):
            return None
        same: list[tuple[str, Any]] = []
        made: list[tuple[str, Fill]] = []
        for name in (name for c in classes for name in c.__dict__["__slots__"]):
            x, y = getattr(a, name), getattr(b, name)
            if type(x) is type(y) and x == y:
                same.append((name, x))
            elif (fill := self.fill(x, y)) is not None:
                made.append((name, fill))
            else:
                return None
        return self.cast(type(a), same, made)
