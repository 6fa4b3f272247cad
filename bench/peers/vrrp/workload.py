"""Configurations that both programs read. Pure."""

from __future__ import annotations

LINK_ROUTERS = 250  # virtual routers on one link: VRIDs are 1 to 255
PER_ROUTER = 250  # addresses of one router: an advert has room for 255


def instance(
    name: str, interface: str, vrid: int, priority: int, addresses: list[str], advert_int: str = "0.1", more: str = ""
) -> str:
    lines = [f"vrrp_instance {name} {{", "state BACKUP", f"interface {interface}", f"virtual_router_id {vrid}"]
    lines += [f"priority {priority}", "version 3", f"advert_int {advert_int}", *([more] if more else [])]
    return "\n".join([*lines, "virtual_ipaddress {", *(f"{a}/32" for a in addresses), "}", "}\n"])


def many_routers(count: int, priority: int) -> str:
    """`count` virtual routers with one address each."""
    return "".join(
        instance(f"v{i}", f"eth{i // LINK_ROUTERS}", 1 + i % LINK_ROUTERS, priority, [address(i)]) for i in range(count)
    )


def many_addresses(count: int, links: int, priority: int, advert_int: str = "0.1", more: str = "") -> str:
    """Routers with up to 250 addresses each, spread over the links; VRIDs from 1. One sync group: all go together, as
    the routers of a director do. Without it the last ones would begin up to an interval later than the first, whoever
    takes over, and that would be measured."""
    out = [f"vrrp_sync_group all {{\ngroup {{\n{' '.join(f'm{n}' for n in range(routers(count)))}\n}}\n}}\n"]
    for number, first in enumerate(range(0, count, PER_ROUTER)):
        mine = [address(i) for i in range(first, min(first + PER_ROUTER, count))]
        where = f"eth{number % links}", 1 + number // links
        out.append(instance(f"m{number}", *where, priority, mine, advert_int, more))
    return "".join(out)


def routers(addresses: int) -> int:
    """How many `many_addresses` makes."""
    return -(-addresses // PER_ROUTER)


def address(number: int) -> str:
    return f"10.{100 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def links(routers: int) -> int:
    return -(-routers // LINK_ROUTERS)
