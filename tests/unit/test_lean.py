"""lean.dataclass beside the standard one: whatever a class is asked, both answer the same."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from types import ModuleType
from typing import Any

import orjson
import pytest

from fastha import lean

SOURCE = '''
@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """doc"""
    a: int
    b: str = "x"

@dataclass(frozen=True, slots=True, kw_only=True)
class Child(Base):
    b: str = "y"
    c: tuple[int, ...] = ()
    inner: Base | None = None

    @property
    def key(self) -> str:
        return f"{self.a}/{self.b}"

@dataclass(slots=True)
class Loose:
    x: int
    y: list[int] = field(default_factory=list)
    z: int = field(default=5)
    type: str = "named as a builtin"
    hash: str = ""

@dataclass
class Open:
    x: int = 1

    def __post_init__(self) -> None:
        self.twice = 2 * self.x

@dataclass(frozen=True)
class Plain:
    x: int
    y: int = 2

    def __repr__(self) -> str:
        return "mine"

@dataclass(slots=True)
class Below(Loose):
    more: str = ""
'''


def module(source: Any, name: str, text: str = SOURCE) -> ModuleType:
    made = ModuleType(name)
    sys.modules[name] = made  # for pickle
    made.__dict__.update(dataclass=source.dataclass, field=source.field)
    exec(compile("from __future__ import annotations\n" + text, name, "exec"), made.__dict__)
    return made


LEAN, STANDARD = module(lean, "made_lean"), module(dataclasses, "made_standard")


def answer(m: ModuleType, question: str) -> Any:
    """The value of an expression, or the exception it ends with, without what only tells the two modules apart."""
    names = {**m.__dict__, "d": dataclasses, "copy": copy, "pickle": pickle, "orjson": orjson,
             "replace": dataclasses.replace, "lean_replace": lean.replace}  # fmt: skip
    try:
        return repr(eval(question, names)).replace(m.__name__, "m")
    except Exception as e:
        return type(e), str(e).split(".", 1)[-1]


@pytest.mark.parametrize("question", [
    "Base(a=1)", "Child(a=1)", "Child(a=1, b='q', c=(1,), inner=Base(a=2))", "Base()", "Base(1)", "Base(a=1, z=2)",
    "Base(a=1) == Base(a=1)", "Base(a=1) == Base(a=2)", "Base(a=1) == Child(a=1)", "Base(a=1) != 1",
    "hash(Base(a=1)) == hash((1, 'x'))", "hash(Loose(1))", "hash(Plain(1)) == hash((1, 2))", "{Base(a=1), Base(a=1)}",
    "Child(a=3).key", "setattr(Base(a=1), 'a', 2)", "delattr(Base(a=1), 'a')", "setattr(Plain(1), 'x', 2)",
    "setattr(Loose(1), 'q', 2)", "Loose(1)", "Loose(1).y is Loose(1).y", "Loose(1, [2], 3)", "Loose(1, z=3)", "Loose()",
    "Below(1, more='m')", "Below(1) == Below(1)", "Open(4).twice", "Open()", "Open.x", "Plain(1)", "Plain.y", "Plain.x",
    "Base.__slots__", "Child.__slots__", "Below.__slots__", "Loose.__match_args__", "Base.__match_args__",
    "Base.__doc__",
    "[(f.name, f.type, f.default, f.kw_only) for f in d.fields(Child)]", "[f.name for f in d.fields(Below(1))]",
    "[f.default_factory for f in d.fields(Loose)]", "d.is_dataclass(Base)", "d.asdict(Child(a=1, inner=Base(a=2)))",
    "replace(Child(a=1), a=2)", "replace(Loose(1), q=2)", "replace(Open(3), x=4).twice", "copy.copy(Child(a=1))",
    "copy.deepcopy(Child(a=1, inner=Base(a=2)))", "pickle.loads(pickle.dumps(Child(a=1)))",
    "pickle.loads(pickle.dumps(Loose(1)))",
    "orjson.dumps(Child(a=1, inner=Base(a=2)))", "orjson.dumps(Loose(1))", "Base.__qualname__", "Base.__module__",
    "Child(a=1).__eq__(1)", "isinstance(Child(a=1), Base)",
])  # fmt: skip
def test_both_answer_the_same(question: str) -> None:
    assert answer(LEAN, question) == answer(STANDARD, question)


def test_its_own_replace() -> None:
    assert answer(LEAN, "lean_replace(Child(a=1), a=2)") == answer(STANDARD, "replace(Child(a=1), a=2)")
    assert answer(LEAN, "lean_replace(Loose(1), q=2)") == answer(STANDARD, "replace(Loose(1), q=2)")


def test_each_kind_inherits_from_the_other() -> None:
    @dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
    class Standard(LEAN.Base):  # type: ignore[misc, name-defined]
        d: int = 4

    @lean.dataclass(frozen=True, slots=True, kw_only=True)
    class Again(Standard):
        e: int = 5

    assert [f.name for f in dataclasses.fields(Again)] == ["a", "b", "d", "e"]
    assert Again(a=1, e=7) == Again(a=1, b="x", d=4, e=7)
    assert (Standard(a=1, d=2).b, Standard(a=1, d=2).d) == ("x", 2)


APART = """
@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    __apart__ = ("ip", "port")
    delay: int = 5
    alpha: bool = False

@dataclass(frozen=True, slots=True, kw_only=True)
class Talking(Base):
    ip: str
    port: int
    words: tuple[str, ...] = ()

@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Talking):
    delay: int = 7
    more: list[int] | None = None
    kind: str = "kind"
"""
APART_MODULES = [
    module(lean, "apart_lean", APART),
    module(dataclasses, "apart_standard", APART),
]


@pytest.mark.parametrize("question", [
    "Kind(ip='a', port=1)", "Kind(ip='a')", "Kind(ip='a', port=1, delay=3, words=('x',))", "Base(alpha=True)",
    "Talking(ip='a', port=1).delay", "Kind(ip='a', port=1).delay", "Kind(ip='a', port=1).alpha", "Base(ip='a')",
    "Kind(ip='a', port=1) == Kind(ip='a', port=1)", "Kind(ip='a', port=1) == Kind(ip='a', port=1, alpha=True)",
    "Kind(ip='a', port=1) == Talking(ip='a', port=1)", "Kind(ip='a', port=1) == Kind(ip='a', port=2)",
    "len({Kind(ip='a', port=1), Kind(ip='a', port=1), Kind(ip='a', port=1, delay=8)})",
    "setattr(Kind(ip='a', port=1), 'delay', 2)", "setattr(Kind(ip='a', port=1), 'ip', 'b')",
    "delattr(Kind(ip='a', port=1), 'delay')", "isinstance(Kind(ip='a', port=1), Base)",
    "replace(Kind(ip='a', port=1), delay=2, ip='b')", "lean_replace(Kind(ip='a', port=1), delay=2, ip='b')",
    "d.asdict(Kind(ip='a', port=1))", "orjson.dumps(Kind(ip='a', port=1, words=('x', 'y')))",
    "copy.copy(Kind(ip='a', port=1))", "copy.deepcopy(Kind(ip='a', port=1, delay=9))",
    "pickle.loads(pickle.dumps(Kind(ip='a', port=1, delay=9)))", "[f.name for f in d.fields(Kind)]",
])  # fmt: skip
def test_fields_that_lie_together_look_like_others(question: str) -> None:
    ours, standard = APART_MODULES
    assert answer(ours, question) == answer(standard, question)


def test_what_lies_together_is_one_object() -> None:
    ours = APART_MODULES[0]
    one, same, other = (ours.Kind(ip=str(n), port=n, delay=delay) for n, delay in ((1, 3), (2, 3), (3, 4)))
    assert one._common is same._common
    assert one._common is not other._common
    assert sys.getsizeof(one) <= sys.getsizeof(dataclasses.make_dataclass("Three", "xyz", slots=True)(1, 2, 3))


def test_mutable_defaults_are_refused() -> None:
    with pytest.raises(ValueError, match="mutable default"):

        @lean.dataclass
        class _Wrong:
            x: list[int] = []  # noqa: RUF012


def test_the_model_costs_no_inspect() -> None:
    program = (
        "import sys, fastha.errors, fastha.model; print([m for m in ('inspect', 'dataclasses') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "[]\n"
