"""Families about the daemon itself and its children. Pure: the answer to `status` in, families out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastha.watch.families import Family, of, section, single


def daemon(status: Mapping[str, Any]) -> Iterator[Family]:
    about = section(status, "daemon")
    yield of("fastha_build", "info", "Version of the daemon.", "version", [((str(about.get("version", "")),), 1)])
    yield single("fastha_start_time_seconds", "gauge", "When the daemon started.", about.get("started", 0))
    yield single("fastha_running", "gauge", "1 while the daemon runs a configuration.", about.get("state") == "running")
    loaded = section(about, "config").get("loaded")
    yield of(
        "fastha_config_loaded_timestamp_seconds", "gauge", "When the running configuration was read.", "",
        [((), loaded)],
    )  # fmt: skip
    last = section(about, "last_reload")
    yield of(
        "fastha_last_reload_successful", "gauge", "0 if the last reload was refused.", "",
        [((), last.get("outcome") != "refused" if last else None)],
    )  # fmt: skip
    scripts = section(about, "scripts")
    for word, text in (("run", "started"), ("failed", "that failed")):
        yield of(f"fastha_scripts_{word}", "counter", f"Scripts {text}.", "", [((), scripts.get(word))])
    mail = section(about, "mail")
    for word, text in (
        ("sent", "that the mail server has taken"),
        ("failed", "that it refused for good, or that were given up after an hour"),
        ("dropped", "given up because too many waited, nobody wanted them any more, or the daemon stopped"),
    ):
        yield of(f"fastha_mails_{word}", "counter", f"Mails about changes {text}.", "", [((), mail.get(word))])
    yield of("fastha_mails_waiting", "gauge", "Mails that wait to be sent.", "", [((), mail.get("waiting"))])
    yield single("fastha_overrides", "gauge", "Decisions of operators in force.", len(about.get("overrides", ())))
    yield from _children(section(about, "children"))


def _children(children: Mapping[str, Any]) -> Iterator[Family]:
    roles = [((role,), child) for role, child in children.items() if isinstance(child, Mapping)]

    def column(name: str, scale: float = 1) -> list[tuple[tuple[str, ...], Any]]:
        return [(key, None if child.get(name) is None else child[name] * scale) for key, child in roles]

    wanted = [(key, child) for key, child in roles if child.get("state") != "idle"]
    yield of(
        "fastha_child_up", "gauge", "1 while a child that has work runs; one without work is not here.", "role",
        [(key, child.get("state") == "running") for key, child in wanted],
    )  # fmt: skip
    yield of("fastha_child_restarts", "counter", "Times a child was started again.", "role", column("restarts"))
    yield of("fastha_child_uptime_seconds", "gauge", "Age of the process.", "role", column("uptime_s"))
    yield of("fastha_child_turns", "counter", "Turns of the child's loop.", "role", column("turns"))
    yield of(
        "fastha_child_resident_memory_bytes", "gauge", "Resident memory of a child.", "role", column("rss_kb", 1024)
    )
    yield of(
        "fastha_child_heartbeat_age_seconds", "gauge", "Since its last sign of life.", "role",
        column("heartbeat_age_ns", 1e-9),
    )  # fmt: skip
    yield of(
        "fastha_child_loop_lag_last_seconds", "gauge", "Worst lateness of a timer before the last heartbeat.", "role",
        column("lag_ns", 1e-9),
    )  # fmt: skip
    yield of(
        "fastha_child_loop_lag_seconds", "histogram", "How late timers of a child's loop were.", "role", column("lag")
    )
