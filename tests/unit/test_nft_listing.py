"""What libnftables lists is read back as rows, and whatever is missing or strange shows as damage.

golden/nft_list_table_ip.json is what libnftables 1.0.6 printed (list table, JSON, numeric, stateless) on Linux 6.18.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from socket import AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP
from typing import Any

import pytest

from fastha.dataplane.nft_listing import DAMAGED, read_counters, read_listing
from fastha.dataplane.rows import Dest, DestKey, Forward, Service, ServiceKey, ServiceRow

GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "nft_list_table_ip.json").read_text())
WEB = ServiceKey(AF_INET, IPPROTO_TCP, "192.0.2.1", 80)
DNS = ServiceKey(AF_INET, IPPROTO_UDP, "192.0.2.1", 53)
EMPTY = ServiceKey(AF_INET, IPPROTO_TCP, "192.0.2.2", 80)
ALL = {WEB, DNS, EMPTY}


def dests(*weights: int) -> dict[DestKey, Dest]:
    return {DestKey(f"198.51.100.{i}", 8080): Dest(Forward.NAT, weight) for i, weight in enumerate(weights, 1)}


TABLE = {
    WEB: ServiceRow(Service("wrr"), dests(1, 2, 0)),
    DNS: ServiceRow(Service("sh", 16), dests(1, 1)),
    EMPTY: ServiceRow(Service("wlc"), {}),
}


def find(listing: Any, kind: str, **values: object) -> Any:
    """The first object of this kind with these values."""
    return next(
        item[kind]
        for item in listing["nftables"]
        if kind in item and all(item[kind].get(k) == v for k, v in values.items())
    )


def drop(listing: Any, kind: str, **values: object) -> None:
    victim = find(listing, kind, **values)
    listing["nftables"] = [item for item in listing["nftables"] if item.get(kind) is not victim]


def test_sound_listing() -> None:
    held = read_listing(AF_INET, GOLDEN)
    assert held.table() == held.rows == TABLE
    assert not held.damaged


def test_empty_listing() -> None:
    assert read_listing(AF_INET6, {"nftables": [{"metainfo": {}}]}).table() == {}


WEB_CHAIN = "svc_tcp_192.0.2.1_80"


def slots(listing: Any) -> Any:
    return find(listing, "rule", chain=WEB_CHAIN)["expr"][1]["dnat"]["addr"]["map"]


def set_vmap(listing: Any) -> None:
    find(listing, "rule", chain="prerouting")["expr"][0]["vmap"]["data"] = "@other"


def set_comment(listing: Any) -> None:
    find(listing, "rule", chain=WEB_CHAIN)["comment"] = "by hand"


def set_seed(listing: Any) -> None:
    find(listing, "rule", chain="svc_udp_192.0.2.1_53")["expr"][-1]["dnat"]["addr"]["map"]["key"]["jhash"]["seed"] = 1


def set_target(listing: Any) -> None:
    slots(listing)["data"]["set"][0][1]["concat"] = ["198.51.100.1", 81]


def set_strange(listing: Any) -> None:
    slots(listing)["data"]["set"] = "@elsewhere"


def set_mode(listing: Any) -> None:
    slots(listing)["key"]["numgen"]["mode"] = "random"


def set_goto(listing: Any) -> None:
    find(listing, "map", name="services")["elem"][0][1] = {"drop": None}


def set_priority(listing: Any) -> None:
    find(listing, "chain", name="output")["prio"] = 0


def set_policy(listing: Any) -> None:
    find(listing, "chain", name="input")["policy"] = "drop"


def set_hook(listing: Any) -> None:
    find(listing, "chain", name=WEB_CHAIN)["hook"] = "forward"


def set_weight(listing: Any) -> None:
    for element in find(listing, "set", name="dests")["elem"]:
        element["elem"]["comment"] = element["elem"]["comment"].replace("weight=2", "weight=3")


def no_address(listing: Any) -> None:
    find(listing, "set", name="addresses")["elem"].pop()


def no_record(listing: Any) -> None:
    find(listing, "set", name="dests")["elem"] = []


def no_web_rule(listing: Any) -> None:
    drop(listing, "rule", chain=WEB_CHAIN)


def no_drop(listing: Any) -> None:
    listing["nftables"].remove(
        {"rule": [i["rule"] for i in listing["nftables"] if "rule" in i and i["rule"]["chain"] == WEB_CHAIN][1]}
    )


def no_web_chain(listing: Any) -> None:
    drop(listing, "chain", name=WEB_CHAIN)


def no_masquerade(listing: Any) -> None:
    listing["nftables"].remove({"rule": find(listing, "rule", chain="postrouting")})


@pytest.mark.parametrize(
    ("tamper", "damaged"),
    [
        (set_vmap, ALL),
        (set_priority, ALL),
        (set_policy, ALL),
        (no_masquerade, ALL),
        (set_comment, {WEB}),
        (set_target, {WEB}),
        (set_strange, {WEB}),
        (set_mode, {WEB}),
        (set_hook, ALL),
        (set_weight, {WEB}),
        (no_web_rule, {WEB}),
        (no_drop, {WEB}),
        (no_web_chain, {WEB}),
        (set_seed, {DNS}),
        (set_goto, 1),
        (no_address, 1),
        (no_record, {WEB, DNS}),
    ],
)
def test_damage_shows(tamper: Callable[[Any], None], damaged: set[ServiceKey] | int) -> None:
    listing = copy.deepcopy(GOLDEN)
    tamper(listing)
    held = read_listing(AF_INET, listing)
    assert held.table().keys() == ALL
    found = {key for key, row in held.table().items() if row.service == DAMAGED}
    assert (len(found) if isinstance(damaged, int) else found) == damaged


def test_damage_leaves_the_records_readable() -> None:
    """So that whoever starts now still learns which destinations were in service."""
    listing = copy.deepcopy(GOLDEN)
    drop(listing, "chain", name="prerouting")
    held = read_listing(AF_INET, listing)
    assert held.rows == TABLE
    assert {key: row.dests for key, row in held.table().items()} == {key: row.dests for key, row in TABLE.items()}


def test_a_strangers_table_is_no_row() -> None:
    listing = copy.deepcopy(GOLDEN)
    find(listing, "set", name="dests")["type"] = "ipv4_addr"
    assert read_listing(AF_INET, listing).table() == {}


def test_counters() -> None:
    element = {"val": {"concat": ["192.0.2.1", 6, 80, "198.51.100.1", 8080]}, "comment": "", "counter": {"packets": 7}}
    listing = {"nftables": [{"metainfo": {}}, {"set": {"name": "dests", "elem": [{"elem": element}]}}]}
    assert read_counters(AF_INET, listing) == {(WEB, "198.51.100.1:8080"): {"connections": 7}}
