"""Families about virtual and real servers, the dataplane and the probes. Pure: the answer to `status` in, families out.

There are tens of thousands of real servers, so their families share one list of labels and are made column by column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fastha.watch.families import Family, Kind, Labels, of, section

NS = 1e-9
HEALTH = ("up", "down", "unknown")
REAL = ("virtual_server", "real_server")
# What probes.counters() has besides how probes ended.
PROBES = {
    "started": ("counter", "Probes started."),
    "cancelled": ("counter", "Probes given up because their check went."),
    "in_flight": ("gauge", "Probes under way."),
    "queued": ("gauge", "Probes that wait for a free place."),
    "limit": ("gauge", "Probes that may be under way at once."),
    "waited": ("counter", "Probes that had to wait for a free place."),
}
LATE = ("late_1ms", "late_10ms", "late_50ms", "late_1s", "later")
NO_ENDING = {*PROBES, *LATE, "ended", "most_in_flight", "timers", "resets", "farewells"}


def servers(status: Mapping[str, Any]) -> Iterator[Family]:
    virtual = [
        (str(key), one)
        for key, one in section(status, "checker", "virtual_servers").items()
        if isinstance(one, Mapping)
    ]
    yield from _virtual(virtual)
    yield from _real(virtual)
    yield from _dataplane(section(status, "checker", "dataplane"))
    yield from _probes(section(status, "checker", "probes"))


def _virtual(virtual: list[tuple[str, Mapping[str, Any]]]) -> Iterator[Family]:
    def own(name: str, text: str, value: Callable[[Mapping[str, Any]], Any]) -> Family:
        rows = [((key,), value(one)) for key, one in virtual]
        return of(f"fastha_virtual_server_{name}", "gauge", text, "virtual_server", rows)

    yield own("up", "1 while it has its quorum.", lambda one: bool(one.get("up")))
    yield own("quorum", "Live weight that it needs.", lambda one: one.get("quorum"))
    yield own("live_weight", "Weight of the real servers that are up.", lambda one: one.get("live_weight"))
    yield own("sorry", "1 while the sorry server answers.", lambda one: bool(one.get("sorry")))
    yield own("suspended", "1 while it is not checked (ha_suspend).", lambda one: bool(one.get("suspended")))
    yield own("panic", "1 while too many fell at once.", lambda one: bool(one.get("panic")))
    yield own("kept", "Real servers that a panic keeps.", lambda one: section(one, "panic").get("kept", 0))
    yield own("changed_timestamp_seconds", "When it gained or lost its quorum.", lambda one: one.get("since"))
    health = []
    for key, one in virtual:
        counts = Counter(real.get("health") for real in section(one, "real_servers").values())
        health += [((key, word), counts[word]) for word in HEALTH]
    yield of("fastha_virtual_server_real_servers", "gauge", "Real servers by health.", "virtual_server health", health)


def _real(virtual: list[tuple[str, Mapping[str, Any]]]) -> Iterator[Family]:
    keys: list[Labels] = []
    facts: list[Mapping[str, Any]] = []
    for name, one in virtual:
        reals = section(one, "real_servers")
        keys += [(name, real) for real in reals]
        facts += reals.values()

    def column(name: str, kind: Kind, text: str, values: list[Any]) -> Family:
        if None not in values:
            return Family(f"fastha_real_server_{name}", kind, text, REAL, keys, values)
        known = [at for at, value in enumerate(values) if value is not None]
        return Family(
            f"fastha_real_server_{name}", kind, text, REAL, [keys[at] for at in known], [values[at] for at in known]
        )

    number = {"up": 1, "down": 0}
    yield column(
        "up", "gauge", "Health: 1 up, 0 down; one that is not known yet is not here.",
        [number.get(real.get("health", "")) for real in facts],
    )  # fmt: skip
    yield column("weight", "gauge", "Weight that it has while it is up.", [real.get("weight") for real in facts])
    yield column("in_table", "gauge", "1 while the kernel forwards to it.", [int("in_table" in real) for real in facts])
    yield column(
        "response_seconds", "gauge", "What its last good answer took.",
        [None if (took := real.get("response_ns")) is None else took * NS for real in facts],
    )  # fmt: skip
    yield column("checks", "counter", "Probes that have ended.", [real.get("checks") for real in facts])
    yield column("check_failures", "counter", "Probes that failed.", [real.get("failures") for real in facts])
    yield column(
        "changed_timestamp_seconds", "gauge", "When its health changed.", [real.get("since") for real in facts]
    )
    yield _checks(keys, facts)
    few = [(key, real) for key, real in zip(keys, facts, strict=True) if "override" in real or "kept" in real]
    yield of(
        "fastha_real_server_override", "gauge", "1: what an operator decided about it.",
        "virtual_server real_server mode",
        [((*key, str(real["override"].get("mode"))), 1) for key, real in few if real.get("override")],
    )  # fmt: skip
    yield of(
        "fastha_real_server_kept", "gauge", "1: it is down, and kept in the set by what is named.",
        "virtual_server real_server by",
        [((*key, str(real["kept"])), 1) for key, real in few if real.get("kept")],
    )  # fmt: skip
    yield of(
        "fastha_real_server_draining_connections", "gauge", "Connections that a drain waits for.",
        "virtual_server real_server",
        [(key, real.get("active")) for key, real in few],
    )  # fmt: skip


def _checks(keys: list[Labels], facts: list[Mapping[str, Any]]) -> Family:
    """Of every single check: a real server may have several, some of them of one kind."""
    labels: list[Labels] = []
    values: list[Any] = []
    number = {"up": 1, "down": 0}
    for key, real in zip(keys, facts, strict=True):
        for at, one in enumerate(real.get("each", ()), 1):
            if one[1] in number:
                labels.append((*key, one[0], str(at)))
                values.append(number[one[1]])
    return Family(
        "fastha_check_up", "gauge", "1 up, 0 down, as one check of a real server has it; number: its place among them.",
        (*REAL, "check", "number"), labels, values,
    )  # fmt: skip


def _dataplane(facts: Mapping[str, Any]) -> Iterator[Family]:
    backend = facts.get("backend")
    yield of(
        "fastha_dataplane", "info", "What balances the load.", "backend", [((str(backend),), 1)] if backend else []
    )
    for name, text in (
        ("drift", "Differences in the kernel's table that nobody asked for, repaired."),
        ("operations", "Operations on the kernel's table."),
        ("errors", "Operations that the kernel refused."),
    ):
        yield of(f"fastha_dataplane_{name}", "counter", text, "", [((), facts.get(name))])
    yield of(
        "fastha_dataplane_reconciled_timestamp_seconds", "gauge", "When table and wish were last compared.", "",
        [((), facts.get("reconciled"))],
    )  # fmt: skip


def _probes(facts: Mapping[str, Any]) -> Iterator[Family]:
    for name, (kind, text) in PROBES.items():
        yield of(f"fastha_probes_{name}", kind, text, "", [((), facts.get(name))])  # type: ignore[arg-type]
    yield of(
        "fastha_probes_ended", "counter", "Probes that have ended, by how.", "ending",
        [((name,), n) for name, n in facts.items() if name not in NO_ENDING],
    )  # fmt: skip
    yield of(
        "fastha_probes_late", "counter", "Probes by how late they started: bounds as in the name, or later.", "bound",
        [((name,), facts.get(name)) for name in LATE],
    )  # fmt: skip
