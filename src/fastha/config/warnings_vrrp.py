"""Warnings about instances."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from fastha.config.advice import at, says, warn
from fastha.config.placed import Built, first_at
from fastha.config.tree import Faults, Statement
from fastha.model import VrrpInstance
from fastha.model.units import NS_PER_MS

Instances = Sequence[Built[VrrpInstance]]
PAUSE_NS = 100 * NS_PER_MS  # what a machine under load may stop for
FRAMES = 2_000  # gratuitous ARPs in one burst that a switch takes
ADDRESS_BLOCKS = frozenset({"virtual_ipaddress", "virtual_ipaddress_excluded", "static_ipaddress"})


def advise(instances: Instances, faults: Faults) -> None:
    for built in instances:
        _owner(built, faults)
        _fast_adverts(built, faults)
    _vrid_clash(instances, faults)
    _mixed_versions(instances, faults)
    _garp_storm(instances, faults)


def carried(statements: Sequence[Statement]) -> set[str]:
    """Every address that some block gives to an interface, also those that have no effect yet."""
    out: set[str] = set()
    for statement in statements:
        blocks = [statement] if statement.words[0] in ADDRESS_BLOCKS else []
        if statement.words[0] == "vrrp_instance":
            blocks = [inner for inner in statement.block or [] if inner.words[0] in ADDRESS_BLOCKS]
        for block in blocks:
            out.update(word.partition("/")[0] for line in block.block or [] for word in line.words)
    return out


def _owner(built: Built[VrrpInstance], faults: Faults) -> None:
    instance, statement = built.value, built.statement
    if instance.priority == 255 and not instance.wants_master:
        warn(
            faults, "owner-backup", at(statement, "state"),
            "state BACKUP with priority 255: an owner takes the addresses whenever it runs",
        )  # fmt: skip


def _fast_adverts(built: Built[VrrpInstance], faults: Faults) -> None:
    instance = built.value
    silence_ns = instance.advert_int_ns * instance.down_timer_adverts
    if silence_ns < PAUSE_NS:
        warn(
            faults, "fast-adverts", at(built.statement, "advert_int"),
            f"a peer takes over after {silence_ns // NS_PER_MS} ms of silence",
        )  # fmt: skip


def _vrid_clash(instances: Instances, faults: Faults) -> None:
    """Different identities (unicast and multicast, two sources) of one VRID, link and family; equal are an error."""
    first: dict[tuple[str, int, int], Built[VrrpInstance]] = {}
    for built in instances:
        instance = built.value
        other = first.setdefault((instance.interface, instance.vrid, instance.family), built)
        if other is built or other.value.identity == instance.identity:
            continue
        place = at(built.statement, "virtual_router_id")
        where = first_at(other.place, place)
        warn(
            faults, "vrid-clash", place,
            f"{other.value.name} has virtual_router_id {instance.vrid} on {instance.interface} too ({where})",
        )  # fmt: skip
        if other.value.priority == instance.priority:
            warn(
                faults, "same-priority", at(built.statement, "priority"),
                f"{other.value.name} has virtual_router_id {instance.vrid} and priority {instance.priority} too",
            )  # fmt: skip


def _mixed_versions(instances: Instances, faults: Faults) -> None:
    by_link: dict[str, list[Built[VrrpInstance]]] = defaultdict(list)
    for built in instances:
        by_link[built.value.interface].append(built)
    for link, all_of_it in by_link.items():
        silent = [b for b in all_of_it if not says(b.statement, "version")]
        if not silent or len({b.value.version for b in all_of_it}) < 2:
            continue
        one = silent[0]
        other = next(b for b in all_of_it if b.value.version != one.value.version)
        warn(
            faults, "mixed-versions", one.statement.place(1),
            f"{one.value.name} speaks version {one.value.version}, {other.value.name} on {link} version "
            f"{other.value.version}",
        )  # fmt: skip


def _garp_storm(instances: Instances, faults: Faults) -> None:
    frames: dict[str, int] = defaultdict(int)
    for built in instances:
        instance = built.value
        if instance.garp.interval_ns:
            continue
        link = instance.interface
        before = frames[link]
        frames[link] += len(instance.carried) * instance.garp.master_repeat
        if before < FRAMES <= frames[link]:
            warn(
                faults, "garp-storm", built.statement.place(1),
                f"when this director becomes master it sends {frames[link]} or more gratuitous ARPs at once on {link}",
            )  # fmt: skip
