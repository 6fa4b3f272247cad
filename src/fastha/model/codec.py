"""model values <-> plain JSON data, driven by the dataclasses' own type hints.

`plain(value)` is for orjson (which writes dataclasses by itself); `read(cls, data)` rebuilds the value. The
two are inverse for every class in fastha.model. Unknown keys and missing ones raise: both ends of the
channel are the same version of fastha, so a mismatch is our own bug.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import orjson

from fastha.model.checks import HttpUrl, Regex, Tls
from fastha.model.lvs import Tunnel
from fastha.model.script import Script
from fastha.model.vrrp import Auth, Garp, InstanceNotify, Tracker
from fastha.model.wire import Wire

T = TypeVar("T")
SHARED = frozenset({Auth, Garp, HttpUrl, InstanceNotify, Regex, Script, Tls, Tracker, Tunnel, Wire})


def dumps(value: object) -> bytes:
    """JSON bytes of a model value."""
    return orjson.dumps(value)


def loads(cls: type[T], data: bytes) -> T:
    """The model value that `dumps` wrote."""
    return read(cls, orjson.loads(data))


class Pool:
    """Texts, numbers and small values that are equal become one object, also of several values that are read with the
    same pool: ten thousand real servers differ in little. Apart, because 1 == True."""

    __slots__ = ("numbers", "texts", "values")

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.numbers: dict[int, int] = {}
        self.values: dict[Any, Any] = {}


def read(cls: type[T], data: object, pool: Pool | None = None) -> T:
    """Rebuild a `cls` from plain JSON data; TypeError or KeyError if it is not one. It shares what it can within
    itself, and with what else was read with `pool`."""
    value: T = _reader(cls)(data, pool or Pool())  # type: ignore[arg-type]  # a class is hashable
    return value


Reader = Callable[[Any, Pool], Any]


@cache
def _reader(hint: Any) -> Reader:
    """A function that turns plain data into a value of type `hint`; made once per type."""
    if is_dataclass(hint) and isinstance(hint, type):
        return _dataclass_reader(hint)
    origin, args = get_origin(hint), get_args(hint)
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        item = _reader(args[0])
        return lambda data, pool: tuple([item(d, pool) for d in data])
    if origin is tuple:
        items = tuple(map(_reader, args))
        return lambda data, pool: tuple([r(d, pool) for r, d in zip(items, data, strict=True)])
    if origin in (Union, types.UnionType):
        return _union_reader(args)
    if hint is str or origin is Literal:
        return _text
    if hint is int:
        return _number
    return lambda data, _pool: data  # bool


def _text(data: str, pool: Pool) -> str:
    """A copy, the first time: what stays must not hold the memory among which it was parsed."""
    found = pool.texts.get(data)
    if found is None:
        found = (data + " ")[:-1]
        pool.texts[found] = found
    return found


def _number(data: int, pool: Pool) -> int:
    return pool.numbers.setdefault(data, data)


def _union_reader(args: tuple[Any, ...]) -> Reader:
    """`X | None`, or a union of dataclasses told apart by their Literal `kind`."""
    members = [a for a in args if a is not type(None)]
    if len(members) == 1:
        one = _reader(members[0])
        return lambda data, pool: None if data is None else one(data, pool)
    by_kind = {}
    for member in members:
        hint = get_type_hints(member)["kind"]
        assert get_origin(hint) is Literal, member
        by_kind[get_args(hint)[0]] = _reader(member)
    return lambda data, pool: None if data is None else by_kind[data["kind"]](data, pool)


def _dataclass_reader(cls: type[Any]) -> Reader:
    hints = get_type_hints(cls)
    readers = {f.name: _reader(hints[f.name]) for f in fields(cls)}
    required = {f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING}

    def build(data: Any, pool: Pool) -> Any:
        if missing := required - data.keys():
            raise KeyError(f"{cls.__name__} lacks {sorted(missing)}")
        value = cls(**{name: readers[name](item, pool) for name, item in data.items()})
        return pool.values.setdefault(value, value) if cls in SHARED else value

    return build
