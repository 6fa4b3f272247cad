"""A configuration as a child holds it: values by part, and the draft of the next one (model/parts.py).

Building a draft changes nothing. What is equal by value to what runs is the same object in it and is not in `changed`;
so what a commit does is proportional to what changed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, cast

import orjson

from fastha.model import Config, GlobalDefs, RealServer, VirtualServer, VrrpInstance
from fastha.model.codec import Pool, dumps, read
from fastha.model.parts import CLASSES, GLOBALS, Key, Value, name_of, value


@dataclass(frozen=True, slots=True)
class Held:
    """One part. `chunks` are a virtual server's real servers as they were cut."""

    value: Value
    chunks: tuple[tuple[RealServer, ...], ...] = ()


@dataclass(slots=True)
class Draft:
    """`config` is the whole of it; `changed`: new or other, in the order they are to be applied; `gone`: no more."""

    generation: int
    config: Config
    changed: dict[Key, Held] = field(default_factory=dict)
    same: dict[Key, Held] = field(default_factory=dict)  # equal by value to what runs, and that value
    gone: tuple[Key, ...] = ()

    def values(self, kind: str) -> list[Any]:
        """The changed values of a kind."""
        return [held.value for key, held in self.changed.items() if key[0] == kind]

    def gone_of(self, kind: str) -> list[str]:
        return [name for which, name in self.gone if which == kind]

    @property
    def instances(self) -> list[VrrpInstance]:
        return self.values("instance")

    @property
    def virtual_servers(self) -> list[VirtualServer]:
        return self.values("virtual_server")


class Parts:
    """`take_parts` and `take_previous` collect; `draft` builds; `commit` makes a draft what runs."""

    def __init__(self) -> None:
        self.generation = 0
        self._held: dict[Key, Held] = {}
        self._proposed = 0  # the generation that is being collected
        self._base = 0
        self._rows: list[list[Any]] = []
        self._digested = 0  # of `_rows`: they hold values
        self._pool = Pool()
        self._previous: dict[str, Any] = {}

    # -- from the channel --

    def take_parts(self, message: Mapping[str, Any]) -> None:
        """One message `parts`."""
        self._collect(message["generation"])
        self._base = message["base"]
        self._rows += message["parts"]

    def digest(self) -> Iterator[None]:
        """Make values of what has come so far, step by step. `draft` would do it: but plain data is several times as
        large, and what is made among all of it keeps its memory from being given back."""
        while self._digested < len(self._rows):
            row = self._rows[self._digested]
            self._digested += 1
            if len(row) == 2:
                continue
            row[2] = _head(row[0], row[2], self._pool)
            for number, chunk in enumerate(row[3]):
                row[3][number] = _real_servers(chunk, self._pool)
                yield
            yield

    def take_previous(self, message: Mapping[str, Any]) -> None:
        """One message `previous`."""
        self._collect(message["generation"])
        for name, facts in message["facts"].items():
            known = self._previous.get(name)
            if isinstance(known, dict) and isinstance(facts, dict):
                known.update(facts)
            else:
                self._previous[name] = facts

    def abandon(self, generation: int) -> None:
        """It will not come."""
        if self._proposed == generation:
            self._forget()

    def _collect(self, generation: int) -> None:
        if generation != self._proposed:
            self._forget()
            self._proposed, self._base = generation, self.generation

    def _forget(self) -> None:
        self._rows, self._digested, self._pool, self._previous = [], 0, Pool(), {}

    def proposed(self, message: Mapping[str, Any]) -> tuple[list[list[Any]], int, dict[str, Any]]:
        """What has been collected for a message `propose`: (rows, base, previous). It is not kept."""
        self._collect(message["generation"])
        rows, previous = self._rows, self._previous
        self._forget()
        return rows, self._base, {**message["previous"], **previous}

    @property
    def proposed_so_far(self) -> dict[str, Any]:
        """The `previous` that has been collected."""
        return self._previous

    # -- drafts --

    def built(self, message: Mapping[str, Any]) -> tuple[Draft, dict[str, Any]]:
        """At once, for who has little to do: the draft that `propose` asks for, and its `previous`."""
        steps, previous = self.steps(message)
        return _last(steps), previous

    def at_once(self, config: Config) -> Draft:
        """By hand: the first and only one."""
        return _last(self.whole(1, orjson.loads(dumps(config))))

    def steps(self, message: Mapping[str, Any]) -> tuple[Iterator[Draft | None], dict[str, Any]]:
        """What `propose` asks for, step by step (the last one gives it; ValueError on the way), and its `previous`."""
        rows, base, previous = self.proposed(message)
        generation, plain = message["generation"], message["config"]
        return (self.draft(generation, rows, base) if plain is None else self.whole(generation, plain)), previous

    def draft(self, generation: int, rows: list[list[Any]], base: int) -> Iterator[Draft | None]:
        """Build what `rows` make of what runs, step by step; the last step gives it. ValueError if `base` is not what
        runs."""
        if base not in (0, self.generation):
            raise ValueError(f"changes of generation {base}, but generation {self.generation} runs")
        now = self._held if base else {}
        changed: dict[Key, Held] = {}
        gone = set() if base else set(self._held)
        last: Key = GLOBALS
        pool = Pool()
        rows.reverse()
        while rows:  # taken away one by one: to free all of them at once would take long
            row = rows.pop()
            if len(row) == 2:
                gone.add((row[0], row[1]))
                continue
            kind, name, head, chunks = row
            if head is not None:
                last = kind, name
                changed[last] = Held(_head(kind, head, pool))
            before = now.get(last)
            built: list[tuple[RealServer, ...]] = []
            for chunk in chunks:
                if isinstance(chunk, int):
                    assert before is not None
                    built.append(before.chunks[chunk])
                else:
                    built.append(_real_servers(chunk, pool))
                    yield None
            changed[last] = replace(changed[last], chunks=(*changed[last].chunks, *built))
            yield None
        for key, held in changed.items():
            if isinstance(held.value, VirtualServer):
                changed[key] = _whole(held, held.value)
                yield None
        yield from self._finish(generation, changed, gone - changed.keys())

    def whole(self, generation: int, plain: Mapping[str, Any]) -> Iterator[Draft | None]:
        """The same from a whole Config (plain data)."""
        changed, pool = {}, Pool()
        for kind, (cls, attribute) in CLASSES.items():
            items = plain.get(attribute)
            for item in [items] if kind == "globals" else items or ():
                built: Value = read(cls, {} if item is None else item, pool)
                reals = (built.real_servers,) if isinstance(built, VirtualServer) else ()
                changed[kind, name_of(kind, built)] = Held(built, reals)
                yield None
        yield from self._finish(generation, changed, self._held.keys() - changed.keys())

    def _finish(self, generation: int, built: dict[Key, Held], gone: Set[Key]) -> Iterator[Draft | None]:
        changed: dict[Key, Held] = {}
        same: dict[Key, Held] = {}
        for key, held in built.items():
            before = self._held.get(key)
            if before is not None and before.value == held.value:
                same[key] = replace(held, value=before.value)
            else:
                changed[key] = held
            yield None
        everything = {key: held for key, held in self._held.items() if key not in gone} | changed
        fields: dict[str, list[Any]] = {kind: [] for kind in CLASSES}
        for key, held in everything.items():
            fields[key[0]].append(held.value)
        config = Config(
            globals=cast(GlobalDefs, fields["globals"][0]) if fields["globals"] else GlobalDefs(),
            **{CLASSES[kind][1]: tuple(values) for kind, values in fields.items() if kind != "globals"},
        )
        yield Draft(generation, config, changed, same, tuple(key for key in self._held if key in gone))

    def held(self, key: Key) -> Held | None:
        """What runs of this part."""
        return self._held.get(key)

    def commit(self, draft: Draft) -> Iterator[None]:
        """It runs now, once all steps are taken (what goes is freed bit by bit)."""
        for key in draft.gone:
            self._held.pop(key, None)
            yield
        for new in (draft.same, draft.changed):
            for key, held in new.items():
                before = self._held.get(key)
                chunks = list(before.chunks) if before is not None else []
                self._held[key] = held
                del before
                yield
                while chunks:
                    chunks.pop()
                    yield
        self.generation = draft.generation


def _head(kind: str, head: Any, pool: Pool) -> Any:
    """The value of a head; of None, and of what was digested, itself."""
    return value(kind, head, pool) if isinstance(head, dict) else head


def _real_servers(chunk: Any, pool: Pool) -> Any:
    """Values of a chunk; of a number (an old chunk's), and of what was digested, itself."""
    return tuple([read(RealServer, plain, pool) for plain in chunk]) if isinstance(chunk, list) else chunk


def _last(steps: Iterator[Draft | None]) -> Draft:
    draft = deque(steps, maxlen=1).pop()
    assert draft is not None
    return draft


def _whole(held: Held, server: VirtualServer) -> Held:
    return replace(held, value=replace(server, real_servers=tuple(chain.from_iterable(held.chunks))))
