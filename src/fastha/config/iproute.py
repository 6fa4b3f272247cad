"""Names of iproute2: routing tables, protocols, scopes (rt_tables, rt_protos ... and what lies in their .d)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from glob import escape, glob

USR, ETC = "/usr/share/iproute2", "/etc/iproute2"
_folders = ContextVar("iproute", default=(USR, ETC))  # the later one wins
BUILT_IN = {
    "tables": {"unspec": 0, "default": 253, "main": 254, "local": 255},
    "protos": {
        "redirect": 1, "kernel": 2, "boot": 3, "static": 4, "ra": 9, "keepalived": 18,
        "bgp": 186, "isis": 187, "ospf": 188, "rip": 189, "eigrp": 192,
    },
}  # fmt: skip


def number(kind: str, name: str) -> int | None:
    """The number of `name` among `kind` (tables, protos); None if nothing has that name."""
    return _names(kind, _folders.get()).get(name)


@contextmanager
def folders(usr: str, etc: str) -> Iterator[None]:
    """Meanwhile names come from these (`iproute_usr_dir`, `iproute_etc_dir`); "": the usual one."""
    token = _folders.set((usr or USR, etc or ETC))
    try:
        yield
    finally:
        _folders.reset(token)


@cache
def _names(kind: str, places: tuple[str, str]) -> dict[str, int]:
    out = dict(BUILT_IN[kind])
    for folder in places:
        whole = f"{folder}/rt_{kind}"
        for path in (whole, *sorted(glob(f"{escape(whole)}.d/*.conf"))):
            try:
                with open(path, errors="replace") as file:
                    lines = file.read().splitlines()
            except OSError:
                continue
            for line in lines:
                words = line.partition("#")[0].split()
                if len(words) == 2:
                    try:
                        out[words[1]] = int(words[0], 0)
                    except ValueError:
                        continue
    return out
