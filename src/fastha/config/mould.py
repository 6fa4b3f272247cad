"""Values that differ in nothing but an address: from two examples, as many more as are wanted.

A large configuration says the same of thousands of real servers. What is built from one, and what is built from the
next, are compared; where they differ by their addresses alone, a third need not be built from its words again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
Fill = Callable[[str], Any]
put = object.__setattr__  # into frozen values, too


def mould(one: T, one_ip: str, other: T, other_ip: str) -> Callable[[str], T] | None:
    """What makes a value like both for another address; None if they differ in more than their addresses, or where
    that is not understood (text within text, tuples, slotted dataclasses). What does not depend on it is shared."""
    fill = _fill(one, one_ip, other, other_ip)
    if fill is None or fill(one_ip) != one or fill(other_ip) != other:
        return None
    return fill


def _fill(a: Any, a_ip: str, b: Any, b_ip: str) -> Fill | None:
    if type(a) is not type(b):
        return None
    if a == b:
        return lambda _ip: a
    if type(a) is str:
        return _text(a, a_ip, b, b_ip)
    if type(a) is tuple and len(a) == len(b):
        return _tuple(a, a_ip, b, b_ip)
    return _value(a, a_ip, b, b_ip)


def _text(a: str, a_ip: str, b: str, b_ip: str) -> Fill | None:
    before, found, after = a.partition(a_ip)
    if not found or b != before + b_ip + after:
        return None
    if not before and not after:
        return lambda ip: ip
    return lambda ip: before + ip + after


def _tuple(a: tuple[Any, ...], a_ip: str, b: tuple[Any, ...], b_ip: str) -> Fill | None:
    parts = [_fill(x, a_ip, y, b_ip) for x, y in zip(a, b, strict=True)]
    known = [p for p in parts if p is not None]
    if len(known) < len(parts):
        return None
    if len(known) == 1:
        only = known[0]
        return lambda ip: (only(ip),)
    return lambda ip: tuple([p(ip) for p in known])


def _value(a: Any, a_ip: str, b: Any, b_ip: str) -> Fill | None:
    cls = type(a)
    if not all("__slots__" in c.__dict__ for c in cls.__mro__[:-1]):
        return None
    names = [name for c in cls.__mro__[:-1] for name in c.__dict__["__slots__"]]
    new: Callable[[type], Any] = object.__new__
    same: list[tuple[str, Any]] = []
    made: list[tuple[str, Fill]] = []
    for name in names:
        x, y = getattr(a, name), getattr(b, name)
        if type(x) is type(y) and x == y:
            same.append((name, x))
        elif (fill := _fill(x, a_ip, y, b_ip)) is not None:
            made.append((name, fill))
        else:
            return None

    def fill_value(ip: str) -> Any:
        value = new(cls)
        for name, fixed in same:
            put(value, name, fixed)
        for name, part in made:
            put(value, name, part(ip))
        return value

    return fill_value
