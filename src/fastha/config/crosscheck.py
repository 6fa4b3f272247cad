"""Duplicates, and what several objects mean together."""

from __future__ import annotations

from fastha.config.placed import Built, first_at
from fastha.config.tree import Faults, Place, shown
from fastha.model import VirtualServer, VrrpInstance


def check_virtual_servers(servers: list[Built[VirtualServer]], faults: Faults) -> dict[str, VirtualServer]:
    """The virtual servers by key; of two with the same key the first one stays, and it is an error."""
    first: dict[str, Built[VirtualServer]] = {}
    for built in servers:
        key = built.value.key
        if key in first:
            where = first_at(first[key].place, built.place)
            faults.error(built.place, f"virtual_server {key} is there already", f"first at {where}")
            continue
        first[key] = built
    return {key: built.value for key, built in first.items()}


def check_instances(instances: list[Built[VrrpInstance]], faults: Faults) -> None:
    """Names and identities must be unique; an address on two instances is surely a mistake."""
    names: dict[str, Place] = {}
    identities: dict[tuple[int, str, str], Place] = {}
    addresses: dict[tuple[str, str], tuple[str, Place]] = {}
    for built in instances:
        instance, place = built.value, built.statement.place(1)
        if (at := names.setdefault(instance.name, place)) is not place:
            faults.error(
                place, f"vrrp_instance {shown(instance.name)} is there already", f"first at {first_at(at, place)}"
            )
        if (at := identities.setdefault(instance.identity, place)) is not place:
            faults.error(
                place, f"virtual_router_id {instance.vrid} on {instance.interface} is used already",
                f"first at {first_at(at, place)}",
            )  # fmt: skip
        for address in instance.addresses:
            key = (address.ip, address.dev or instance.interface)
            other, at = addresses.setdefault(key, (instance.name, place))
            if at is not place:
                faults.warning(place, f"{address.ip} is an address of {shown(other)} too", f"at {first_at(at, place)}")
