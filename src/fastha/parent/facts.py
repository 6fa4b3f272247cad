"""The merged picture of what every child last reported. Pure.

    {"vrrp": {"instances": {...}}, "checker": {"virtual_servers": {...}, "dataplane": {...}}}

`version` grows by one with each change, so a reader can tell whether it has seen this picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Facts = dict[str, Any]


def merge(target: Facts, patch: Mapping[str, Any]) -> None:
    """Apply a JSON merge patch in place (RFC 7396 section 2); the patch is not modified and not referred to after."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, Mapping):
            inner = target.get(key)
            if not isinstance(inner, dict):
                inner = target[key] = {}
            merge(inner, value)
        else:
            target[key] = value


class Picture:
    """Facts by role. A child's facts outlive it until its successor reports its own."""

    def __init__(self) -> None:
        self.version = 0
        self._roles: dict[str, Facts] = {}
        self._fresh: set[str] = set()

    def started(self, role: str) -> None:
        """A new process plays `role`: its first facts replace what its predecessor reported."""
        self._fresh.add(role)

    def merge(self, role: str, patch: Mapping[str, Any]) -> None:
        """What changed, as the child says."""
        if role in self._fresh or role not in self._roles:
            self._fresh.discard(role)
            self._roles[role] = {}
        merge(self._roles[role], patch)
        self.version += 1

    def forget(self, role: str) -> None:
        """Nobody plays `role` any more."""
        self._fresh.discard(role)
        if self._roles.pop(role, None) is not None:
            self.version += 1

    def of(self, role: str) -> Facts:
        """What `role` reported last ({} if nothing). The caller does not modify it."""
        return self._roles.get(role, {})

    def all(self) -> Mapping[str, Facts]:
        """Every role's facts. The caller does not modify it."""
        return self._roles
