"""The shell of sync groups: what happens between its members while all of them move."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from fastha.model import SyncGroup
from fastha.vrrp.machine import AddAddresses, Effect, RemoveAddresses, Role, SendAdvert, State
from fastha.vrrp.sync import Sync


class Member:
    """Writes down what it is asked to do, and when its lane may send."""

    def __init__(self, name: str, done: list[str]) -> None:
        self.instance = SimpleNamespace(name=name)
        self.house = SimpleNamespace(lane=SimpleNamespace(breathe=lambda: done.append("breathe")))
        self.sync: Sync | None = None
        self._done = done

    def take(self, _old: State, _new: State) -> None: ...

    def perform(self, effect: Effect) -> None:
        self._done.append(f"{self.instance.name} {type(effect).__name__}")


def test_adverts_of_others_leave_between_two_members() -> None:
    done: list[str] = []
    child: Any = SimpleNamespace()
    sync = Sync(child, SyncGroup("all", members=("a", "b")))
    for name in "ba":
        member: Any = Member(name, done)
        sync.place(member)
    same = [State(role=Role.BACKUP, priority=100)] * 2
    moves: list[tuple[int, Any]] = [
        (0, SendAdvert(9)),
        (0, AddAddresses()),
        (1, AddAddresses()),
        (1, RemoveAddresses()),
    ]
    sync._apply(same, same, moves)
    assert done == [
        "a SendAdvert", "a AddAddresses", "breathe", "b AddAddresses", "breathe", "b RemoveAddresses", "breathe",
    ]  # fmt: skip
