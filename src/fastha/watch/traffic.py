"""Families about IPVS traffic: counters of the kernel, by service and destination. Pure but for `read`.

Names are those of keepalived_exporter (gen2brain), with its labels `addr` and `proto` (the protocol's number), and
`vip` on destinations besides: without it a real server behind two services would be one series twice. They have no
_total, so they are of the unknown type; what they count only grows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fastha.watch.families import Family, Labels

# fields of struct fha_ipvs_counters
FIELDS = ("connections", "in_packets", "out_packets", "in_bytes", "out_bytes", "active", "inactive")
EXPORTER = {
    "connections": ("conn", "Connections ever scheduled"),
    "in_packets": ("in_packets", "Packets in"),
    "out_packets": ("out_packets", "Packets out"),
    "in_bytes": ("in_bytes", "Bytes in"),
    "out_bytes": ("out_bytes", "Bytes out"),
}
# service's address, protocol, destination ("" of the service itself), then FIELDS
Row = Sequence[Any]


def read(backend: Any) -> list[Row]:
    """Every service and destination of the IPVS table. OSError."""
    rows: list[Row] = []
    for (key, dest), counters in backend.counters().items():
        address = str(key).rpartition("/")[0]
        rows.append([address, str(key.protocol), dest, *[counters.get(field, 0) for field in FIELDS]])
    return rows


def traffic(rows: Sequence[Row]) -> Iterator[Family]:
    services = [row for row in rows if not row[2]]
    dests = [row for row in rows if row[2]]
    keys: list[Labels] = [(row[0], row[1]) for row in services]
    dest_keys: list[Labels] = [(row[2], row[1], row[0]) for row in dests]
    for at, field in enumerate(FIELDS, 3):
        if field in EXPORTER:
            name, text = EXPORTER[field]
            yield Family(
                f"keepalived_lvs_vip_{name}", "unknown", f"{text}, of a service.", ("addr", "proto"), keys,
                [row[at] for row in services],
            )  # fmt: skip
            yield Family(
                f"keepalived_lvs_rs_{name}", "unknown", f"{text}, of a destination.", ("addr", "proto", "vip"),
                dest_keys, [row[at] for row in dests],
            )  # fmt: skip
        else:
            yield Family(
                f"fastha_ipvs_{field}_connections", "gauge", f"Connections that are {field} now.",
                ("addr", "proto", "vip"), dest_keys, [row[at] for row in dests],
            )  # fmt: skip
