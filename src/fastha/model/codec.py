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

T = TypeVar("T")
SHARED = frozenset({HttpUrl, Regex, Script, Tls, Tunnel})


def dumps(value: object) -> bytes:
    """JSON bytes of a model value."""
    return orjson.dumps(value)


def loads(cls: type[T], data: bytes) -> T:
    """The model value that `dumps` wrote."""
    return read(cls, orjson.loads(data))


def read(cls: type[T], data: object) -> T:
    """Rebuild a `cls` from plain JSON data; TypeError or KeyError if it is not one.

    Texts, numbers and small values that are equal become one object: ten thousand real servers differ in little.
    """
    try:
        value: T = _reader(cls)(data)  # type: ignore[arg-type]  # a class is hashable
        return value
    finally:
        _texts.clear()
        _numbers.clear()
        _values.clear()


# Equal ones of the value that is being read. Apart, because 1 == True.
_texts: dict[str, str] = {}
_numbers: dict[int, int] = {}
_values: dict[Any, Any] = {}


@cache
def _reader(hint: Any) -> Callable[[Any], Any]:
    """A function that turns plain data into a value of type `hint`; made once per type."""
    if is_dataclass(hint) and isinstance(hint, type):
        return _dataclass_reader(hint)
    origin, args = get_origin(hint), get_args(hint)
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        item = _reader(args[0])
        return lambda data: tuple(map(item, data))
    if origin is tuple:
        items = tuple(map(_reader, args))
        return lambda data: tuple(r(d) for r, d in zip(items, data, strict=True))
    if origin in (Union, types.UnionType):
        return _union_reader(args)
    if hint is str or origin is Literal:
        return _text
    if hint is int:
        return lambda data: _numbers.setdefault(data, data)
    return lambda data: data  # bool


def _text(data: str) -> str:
    """A copy, the first time: what stays must not hold the memory among which it was parsed."""
    found = _texts.get(data)
    if found is None:
        found = _texts[data] = (data + " ")[:-1]
    return found


def _union_reader(args: tuple[Any, ...]) -> Callable[[Any], Any]:
    """`X | None`, or a union of dataclasses told apart by their Literal `kind`."""
    members = [a for a in args if a is not type(None)]
    if len(members) == 1:
        one = _reader(members[0])
        return lambda data: None if data is None else one(data)
    by_kind = {}
    for member in members:
        hint = get_type_hints(member)["kind"]
        assert get_origin(hint) is Literal, member
        by_kind[get_args(hint)[0]] = _reader(member)
    return lambda data: None if data is None else by_kind[data["kind"]](data)


def _dataclass_reader(cls: type[Any]) -> Callable[[Any], Any]:
    hints = get_type_hints(cls)
    readers = {f.name: _reader(hints[f.name]) for f in fields(cls)}
    required = {f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING}

    def build(data: Any) -> Any:
        if missing := required - data.keys():
            raise KeyError(f"{cls.__name__} lacks {sorted(missing)}")
        value = cls(**{name: readers[name](item) for name, item in data.items()})
        return _values.setdefault(value, value) if cls in SHARED else value

    return build
