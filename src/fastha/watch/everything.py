"""All families, from the answer to `status` and the kernel's counters. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastha.watch.daemon import daemon
from fastha.watch.families import Family, single
from fastha.watch.servers import servers
from fastha.watch.traffic import Row, traffic
from fastha.watch.vrrp import vrrp


def everything(status: Mapping[str, Any] | None, rows: Sequence[Row] | None) -> Iterator[Family]:
    """`status`: None if the daemon does not answer. `rows` of the kernel's counters: None if they cannot be read."""
    yield single("keepalived_up", "gauge", "1 while the daemon answers.", status is not None)
    if status is not None:
        yield from daemon(status)
        yield from vrrp(status)
        yield from servers(status)
    if rows is not None:
        yield from traffic(rows)
