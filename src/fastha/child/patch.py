"""JSON merge patches (RFC 7396) on plain data: how facts add up. Pure."""

from __future__ import annotations

from typing import Any

Patch = dict[str, Any]


def conflicts(first: Patch, then: Patch) -> bool:
    """True if no single patch equals `first` followed by `then`: a key deleted by one comes back as an object in
    the other, and a merge patch cannot say "replace by this object"."""
    for key, new in then.items():
        if not isinstance(new, dict) or key not in first:
            continue
        old = first[key]
        if not isinstance(old, dict) or conflicts(old, new):
            return True
    return False


def combine(first: Patch, then: Patch) -> None:
    """Make `first` the patch that does both, in order; nulls stay, as they still have to delete. `then` is not kept."""
    for key, new in then.items():
        old = first.get(key)
        if isinstance(new, dict) and isinstance(old, dict):
            combine(old, new)
        else:
            first[key] = new


def apply(target: Patch, patch: Patch) -> None:
    """RFC 7396 section 2: what the reader of facts does with a patch."""
    for key, new in patch.items():
        if new is None:
            target.pop(key, None)
        elif isinstance(new, dict):
            old = target.get(key)
            if not isinstance(old, dict):
                old = target[key] = {}
            apply(old, new)
        else:
            target[key] = new
