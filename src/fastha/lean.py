"""`dataclass`, `field` and `replace` as in the standard library, for the modules that every command imports.

The standard decorator writes and compiles the methods of each class at import, about a millisecond for a class of the
model, and its module imports `inspect`. Here a method is compiled when it is first called: most of these classes are
not used at all in one run of a command. `dataclasses.fields`, `replace`, `asdict`, `is_dataclass`, pattern matching and
orjson take such a class for a dataclass; classes of both kinds may inherit from each other.

A frozen, slotted class may say `__apart__ = ("ip", "port")`, which holds for those that inherit from it:
only these fields have slots of their own. The values of all others lie together in one tuple, and equal tuples are one
object: of ten thousand objects that differ in their address, each costs three slots and not sixteen.

Not here, because nothing needs it: order, InitVar, ClassVar, `init=False`, `repr=False`, arguments of `field` besides
the default.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

T = TypeVar("T")
MISSING: Any = type("MISSING", (), {"__repr__": lambda _self: "MISSING"})()
put = object.__setattr__
COMMON = "_common"
MOST_COMMON = 4096  # different tuples that are remembered


class _Default:
    """What `field` says."""

    __slots__ = ("factory", "value")

    def __init__(self, value: Any, factory: Any) -> None:
        self.value = value
        self.factory = factory


class _Field:
    """`value`: its default, or MISSING; so with `factory`."""

    __slots__ = ("factory", "kw_only", "name", "type", "value")

    def __init__(self, name: str, hint: str, kw_only: bool, value: Any, factory: Any) -> None:
        self.name = name
        self.type = hint
        self.kw_only = kw_only
        self.value = value
        self.factory = factory

    @property
    def required(self) -> bool:
        return self.value is MISSING and self.factory is MISSING


def _field(*, default: Any = MISSING, default_factory: Any = MISSING) -> Any:
    return _Default(default, default_factory)


def _replace(value: Any, /, **changes: Any) -> Any:
    for name in _fields(type(value)):
        if name not in changes:
            changes[name] = getattr(value, name)
    return type(value)(**changes)


def _dataclass(
    cls: type | None = None, /, *, frozen: bool = False, slots: bool = False, kw_only: bool = False, eq: bool = True
) -> Any:
    def wrap(cls: type) -> type:
        return _made(cls, frozen, slots, kw_only, eq)

    return wrap if cls is None else wrap(cls)


def _fields(cls: type) -> dict[str, _Field]:
    """The fields of a class and of those it inherits from, in order."""
    known: dict[str, _Field] | None = cls.__dict__.get("__lean_fields__")
    if known is not None:
        return known
    out: dict[str, _Field] = {}
    for base in cls.__mro__[-2::-1]:
        inherited = base.__dict__.get("__lean_fields__")
        if inherited is None and "__dataclass_fields__" in base.__dict__:  # a standard one
            import dataclasses

            inherited = {
                f.name: _Field(
                    f.name, str(f.type), bool(f.kw_only),
                    MISSING if f.default is dataclasses.MISSING else f.default,
                    MISSING if f.default_factory is dataclasses.MISSING else f.default_factory,
                )
                for f in dataclasses.fields(base)
            }  # fmt: skip
        out |= inherited or {}
    return out


def _made(cls: type, frozen: bool, slots: bool, kw_only: bool, eq: bool) -> type:
    """The class with its methods; a new class if `slots`."""
    inherited = _fields(cls)
    space = dict(cls.__dict__)
    own: dict[str, _Field] = {}
    for name, hint in space.get("__annotations__", {}).items():
        given = space.get(name, MISSING)
        default = given if type(given) is _Default else _Default(given, MISSING)
        if default.value.__class__.__hash__ is None:
            raise ValueError(f"mutable default for {name} of {cls.__name__}: use default_factory")
        own[name] = _Field(name, hint, kw_only, default.value, default.factory)
        if slots or default.value is MISSING:
            space.pop(name, None)
        else:
            space[name] = default.value
    fields = inherited | own
    space |= {"__lean_fields__": fields, "__dataclass_fields__": _Standard(), "__dataclass_params__": _Params(frozen)}
    space["__match_args__"] = tuple(f.name for f in fields.values() if not f.kw_only)
    for name, source in (("__init__", _init), ("__repr__", _repr), *((("__eq__", _eq),) if eq else ())):
        if name not in space:
            space[name] = _later(name, source, frozen)
    if frozen:
        space.setdefault("__setattr__", _refuse_set)
        space.setdefault("__delattr__", _refuse_delete)
        if slots:
            space.setdefault("__getstate__", _get_state)
            space.setdefault("__setstate__", _set_state)
        if eq and space.get("__hash__") is None:
            space["__hash__"] = _later("__hash__", _hash, frozen)
    elif eq and "__hash__" not in space:
        space["__hash__"] = None
    if not slots:
        for name in (*own, *set(space) - set(cls.__dict__), "__hash__"):
            if name in space:
                setattr(cls, name, space[name])
            elif name in cls.__dict__:
                delattr(cls, name)
        space["__dataclass_fields__"].owner = cls
        return cls
    space.pop("__dict__", None)
    space.pop("__weakref__", None)
    taken = {s for base in cls.__mro__[1:] for s in base.__dict__.get("__slots__", ())}
    together = _together(cls, fields)
    space["__slots__"] = tuple(
        name for name in (*fields, *([COMMON] if together else [])) if name not in taken and name not in together
    )
    for number, name in enumerate(together):
        space[name] = property(_getter(number))
    made = type(cls)(cls.__name__, cls.__bases__, space)
    made.__qualname__ = cls.__qualname__
    space["__dataclass_fields__"].owner = made
    return made


def _together(cls: type, fields: dict[str, _Field]) -> list[str]:
    """The fields whose values lie in one tuple."""
    apart = getattr(cls, "__apart__", None)
    return [] if apart is None else [name for name in fields if name not in apart]


def _getter(number: int) -> Callable[[Any], Any]:
    return lambda self: self._common[number]


def _common() -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Of equal tuples of one class the first; some others of them, if there are very many different ones. Those of two
    classes may be equal where their values are not the same: (0,) and (False,)."""
    known: dict[tuple[Any, ...], tuple[Any, ...]] = {}

    def common(values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(known) >= MOST_COMMON:
            known.clear()
        return known.setdefault(values, values)

    return common


class _Standard:
    """`__dataclass_fields__`, made when somebody asks: the standard library's own for a class of these fields."""

    owner: type

    def __get__(self, _instance: object, _cls: type) -> Any:
        import dataclasses

        space: dict[str, Any] = {"__annotations__": {}}
        for f in _fields(self.owner).values():
            given = {} if f.value is MISSING else {"default": f.value}
            given |= {} if f.factory is MISSING else {"default_factory": f.factory}
            space["__annotations__"][f.name] = f.type
            space[f.name] = dataclasses.field(kw_only=f.kw_only, **given)
        made: Any = dataclasses.dataclass(type(self.owner.__name__, (), {"__doc__": "", **space}))
        fields = made.__dataclass_fields__
        type.__setattr__(self.owner, "__dataclass_fields__", fields)
        return fields


class _Params:
    """`__dataclass_params__`: what the standard library asks of a class that another inherits from."""

    def __init__(self, frozen: bool) -> None:
        self.frozen = frozen


def _later(name: str, source: Callable[..., tuple[str, dict[str, Any]]], frozen: bool) -> Callable[..., Any]:
    """A method that is written when it is first called, and takes its own place then."""

    def first(self: Any, *args: Any, **kwargs: Any) -> Any:
        cls = next(c for c in type(self).__mro__ if c.__dict__.get(name) is first)
        names: dict[str, Any]
        fields = _fields(cls)
        text, names = source(fields, frozen, hasattr(cls, "__post_init__"), _together(cls, fields))
        exec(text, names)
        method = names[name]
        method.__qualname__ = f"{cls.__qualname__}.{name}"
        type.__setattr__(cls, name, method)
        return method(self, *args, **kwargs)

    first.__name__ = name
    return first


def _init(fields: dict[str, _Field], frozen: bool, after: bool, together: list[str]) -> tuple[str, dict[str, Any]]:
    names: dict[str, Any] = {"_put": put, "_MISSING": MISSING}
    ordered: list[str] = []
    keywords: list[str] = []
    body: list[str] = []
    values: dict[str, str] = {}
    for f in fields.values():
        value = f.name
        parameter = f.name
        if not f.required:
            names[f"_d_{f.name}"] = f.value if f.factory is MISSING else f.factory
            parameter += "=_MISSING" if f.factory is not MISSING else f"=_d_{f.name}"
            if f.factory is not MISSING:
                value = f"_d_{f.name}() if {f.name} is _MISSING else {f.name}"
        (keywords if f.kw_only else ordered).append(parameter)
        if f.name in together:
            values[f.name] = value
            continue
        body.append(f' _put(self, "{f.name}", {value})' if frozen else f" self.{f.name} = {value}")
    if together:
        names["_shared"] = _common()
        body.append(f' _put(self, "{COMMON}", _shared(({", ".join(values.values())},)))')
    parameters = ["self", *ordered, *(["*", *keywords] if keywords else [])]
    if after:
        body.append(" self.__post_init__()")
    return f"def __init__({', '.join(parameters)}):\n" + "\n".join(body), names


def _values(who: str, fields: dict[str, _Field], together: list[str]) -> str:
    """A tuple of what its slots hold."""
    slots = [*(name for name in fields if name not in together), *([COMMON] if together else [])]
    return "(" + "".join(f"{who}.{name}, " for name in slots) + ")"


def _eq(fields: dict[str, _Field], _frozen: bool, _after: bool, together: list[str]) -> tuple[str, dict[str, Any]]:
    same = f"{_values('self', fields, together)} == {_values('other', fields, together)}"
    return f"def __eq__(self, other):\n return {same} if other.__class__ is self.__class__ else NotImplemented", {}


def _hash(fields: dict[str, _Field], _frozen: bool, _after: bool, together: list[str]) -> tuple[str, dict[str, Any]]:
    return f"def __hash__(self):\n return hash({_values('self', fields, together)})", {}


def _repr(fields: dict[str, _Field], *_: object) -> tuple[str, dict[str, Any]]:
    shown = ", ".join(f"{name}={{self.{name}!r}}" for name in fields)
    return f"def __repr__(self):\n return self.__class__.__qualname__ + f'({shown})'", {}


def _refuse_set(self: object, name: str, _value: object) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_delete(self: object, name: str) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _get_state(self: Any) -> list[Any]:
    return [getattr(self, name) for name in _fields(type(self))]


def _set_state(self: Any, state: list[Any]) -> None:
    given = dict(zip(_fields(type(self)), state, strict=True))
    if hasattr(self, "__apart__"):
        self.__init__(**given)
        return
    for name, value in given.items():
        put(self, name, value)


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import replace as replace
else:
    dataclass, field, replace = _dataclass, _field, _replace
