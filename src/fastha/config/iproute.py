"""Names of iproute2: routing tables, protocols, scopes (rt_tables, rt_protos ... and what lies in their .d)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

FOLDERS = ("/usr/share/iproute2", "/etc/iproute2")  # the later one wins
BUILT_IN = {
    "tables": {"unspec": 0, "default": 253, "main": 254, "local": 255},
    "protos": {
        "redirect": 1, "kernel": 2, "boot": 3, "static": 4, "ra": 9, "keepalived": 18,
        "bgp": 186, "isis": 187, "ospf": 188, "rip": 189, "eigrp": 192,
    },
}  # fmt: skip


def number(kind: str, name: str) -> int | None:
    """The number of `name` among `kind` (tables, protos); None if nothing has that name."""
    return _names(kind).get(name)


@cache
def _names(kind: str) -> dict[str, int]:
    out = dict(BUILT_IN[kind])
    for folder in FOLDERS:
        whole = Path(folder, f"rt_{kind}")
        for path in (whole, *sorted(Path(f"{whole}.d").glob("*.conf"))):
            try:
                text = path.read_text(errors="replace")
            except OSError:
                continue
            for line in text.splitlines():
                words = line.partition("#")[0].split()
                if len(words) == 2:
                    try:
                        out[words[1]] = int(words[0], 0)
                    except ValueError:
                        continue
    return out
