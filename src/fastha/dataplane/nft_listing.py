"""What the kernel lists, read back as a Table and judged against the rules that should be there (core).

A row counts only if every part of it is in place: hooks, sets, the element that leads to its chain, the one rule in
that chain (and `drop` after it) with exactly the slots its recorded weights give. A service that fails this is
`damaged`: its row is reported with the scheduler DAMAGED, which equals no wanted row, so that whoever compares tables
writes it anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fastha.dataplane.nft_mend import Remains
from fastha.dataplane.nft_rules import (
    HASH_SEED,
    PRIORITY_DNAT,
    PRIORITY_SNAT,
    PROTOCOLS,
    WORDS,
    Words,
    key_of_chain,
    read_dest_comment,
    read_service_comment,
)
from fastha.dataplane.nft_slots import SCHEDULERS, Pick, spread
from fastha.dataplane.rows import DestKey, Service, ServiceKey, ServiceRow, Table

DAMAGED = Service("damaged")

Json = Any
Facts = tuple[object, ...]


@dataclass(slots=True)
class Held:
    """What one family holds. `rows`: as recorded, with DAMAGED for a service whose own record is lost.

    `remains`: what is there of each damaged service. `sound`: hooks, sets and maps are as they should be; if not,
    every service is damaged and only writing the whole table anew helps.
    """

    rows: Table = field(default_factory=dict)
    damaged: set[ServiceKey] = field(default_factory=set)
    remains: dict[ServiceKey, Remains] = field(default_factory=dict)
    sound: bool = True

    def table(self) -> Table:
        """The rows as they are: damaged ones marked."""
        return {
            key: ServiceRow(DAMAGED if key in self.damaged else row.service, dict(row.dests))
            for key, row in self.rows.items()
        }


def read_listing(family: int, listing: Json) -> Held:
    """`listing`: the JSON of `list table` (libnftables-json(5)), numeric and stateless."""
    words = WORDS[family]
    chains: dict[str, Json] = {}
    rules: dict[str, list[Json]] = {}
    sets: dict[str, Json] = {}
    for item in listing["nftables"]:
        kind, value = next(iter(item.items()))
        if kind == "chain":
            chains[value["name"]] = value
        elif kind == "rule":
            rules.setdefault(value["chain"], []).append(value)
        elif kind in ("set", "map"):
            sets[value["name"]] = value
    if not types_are_right(words, sets):
        return Held()  # somebody else's table under our name: nothing in there is a row, the first write replaces it
    targets = dict(_targets(family, sets.get("services", {})))
    addresses = {_service_key(family, e["concat"]) for e in map(_value, sets.get("addresses", {}).get("elem", []))}
    held = Held()
    recorded: dict[ServiceKey, list[DestKey]] = {}
    for key, dest_key, text in _dests(family, sets.get("dests", {})):
        recorded.setdefault(key, []).append(dest_key)
        row = held.rows.setdefault(key, ServiceRow(DAMAGED, {}))
        if dest := read_dest_comment(text):
            row.dests[dest_key] = dest
        else:
            held.damaged.add(key)
    chain_keys = {name: found for name in chains if (found := key_of_chain(family, name))}
    for key in (*targets, *addresses, *chain_keys.values()):
        held.rows.setdefault(key, ServiceRow(DAMAGED, {}))
    for name, own_key in chain_keys.items():
        own, row = rules.get(name, []), held.rows[own_key]
        row.service = (own and read_service_comment(own[0].get("comment", ""))) or DAMAGED
        if (
            row.service.scheduler not in SCHEDULERS
            or "hook" in chains[name]
            or (own_key in addresses) != row.service.masquerade
            or targets.get(own_key) != name
            or [rule_facts(rule) for rule in own] != [wanted_facts(words, own_key, row), (("drop",),)]
        ):
            held.damaged.add(own_key)
    held.damaged |= held.rows.keys() - chain_keys.values()
    held.sound = base_is_sound(words, chains, rules) and not any("hook" in chains[name] for name in chain_keys)
    if not held.sound:
        held.damaged |= held.rows.keys()
    there = set(chain_keys.values())
    held.remains = {
        key: Remains(key in targets, key in addresses, key in there, frozenset(recorded.get(key, ())))
        for key in held.damaged
    }
    return held


def read_counters(family: int, listing: Json) -> dict[tuple[ServiceKey, str], dict[str, int]]:
    """{(service, dest key text): {"connections": n}} from the JSON of `list set ... dests` with state."""
    found = {}
    for item in listing["nftables"]:
        for element in item.get("set", {}).get("elem", []):
            value = element["elem"]
            fields = value["val"]["concat"]
            key, dest = _service_key(family, fields), DestKey(fields[3], fields[4])
            found[key, str(dest)] = {"connections": value.get("counter", {}).get("packets", 0)}
    return found


def types_are_right(words: Words, sets: Json) -> bool:
    """Do the three sets that hold everything else exist, with the types nft_rules gives them?"""
    service = [words.addr, "inet_proto", "inet_service"]
    types = {"services": service, "addresses": service, "dests": [*service, words.addr, "inet_service"]}
    return all(sets.get(name, {}).get("type") == kind for name, kind in types.items())


def base_is_sound(words: Words, chains: Json, rules: Json) -> bool:
    """Are all hooks and their rules as nft_rules makes them?"""
    for hook, priority, facts in base_facts(words):
        chain = chains.get(hook, {})
        if (chain.get("type"), chain.get("hook"), chain.get("prio"), chain.get("policy")) != (
            "nat",
            hook,
            priority,
            "accept",
        ):
            return False
        if [rule_facts(rule) for rule in rules.get(hook, [])] != facts:
            return False
    return True


def base_facts(words: Words) -> Iterator[tuple[str, int, list[Facts]]]:
    """(hook, priority, what each of its rules says) in the form of rule_facts."""
    vip = ("vmap", (f"{words.ip} daddr", "meta l4proto", "th dport"), "@services")
    for hook in ("prerouting", "output"):
        yield hook, PRIORITY_DNAT, [(vip,)]
    original = (f"ct original {words.ip} daddr", "meta l4proto", "ct original proto-dst")
    dnatted = ("match", ("ct status",), "in", "dnat")
    count: list[Facts] = [
        (dnatted, ("match", (*original, f"{words.ip} daddr", f"{name} dport"), "==", "@dests"))
        for name in PROTOCOLS.values()
    ]
    masquerade: list[Facts] = [
        (("match", ("meta l4proto",), "==", number), dnatted, ("match", original, "==", "@addresses"), ("masquerade",))
        for number in PROTOCOLS
    ]
    yield "input", PRIORITY_SNAT, count
    yield "postrouting", PRIORITY_SNAT, count + masquerade


def wanted_facts(words: Words, key: ServiceKey, row: ServiceRow) -> Facts:
    """What a service's rule must say, in the form of rule_facts."""
    slots = spread(row.service, row.dests)
    if not slots.modulus:
        return (("reject",),)
    source = f"{words.ip} saddr"
    picked: tuple[object, ...] = {
        Pick.TURN: ("numgen", "inc", slots.modulus, 0),
        Pick.SOURCE: ("jhash", (source,), slots.modulus, HASH_SEED),
        Pick.SOURCE_PORT: ("jhash", (source, f"{PROTOCOLS[key.protocol]} sport"), slots.modulus, HASH_SEED),
        Pick.DESTINATION: ("jhash", (f"{words.ip} daddr",), slots.modulus, HASH_SEED),
    }[slots.pick]
    return (("dnat", picked, tuple((first, last, d.ip, d.port) for first, last, d in slots.ranges)),)


def rule_facts(rule: Json) -> Facts:
    """What a rule says, in a form that does not depend on how this version of libnftables prints it.

    A match on `meta l4proto` in front of a verdict that implies or repeats it may be printed or not: kept only before
    `masquerade`, where nothing else names the protocol.
    """
    try:
        facts: list[Any] = [_fact(expression) for expression in rule.get("expr", [])]
    except (LookupError, TypeError, ValueError, AttributeError, StopIteration):  # not a rule of ours
        return (("unreadable", repr(rule)),)
    if ("masquerade",) not in facts:
        facts = [f for f in facts if f[:2] != ("match", ("meta l4proto",))]
    return tuple(f for f in facts if f != ("counter",))


def _fact(expression: Json) -> Facts:
    kind, value = next(iter(expression.items()))
    match kind:
        case "match":
            right = "dnat" if value["right"] == 32 else value["right"]  # linux/nf_conntrack_common.h IPS_DST_NAT
            return (
                "match",
                _parts(value["left"]),
                value["op"],
                right if isinstance(right, (str, int)) else repr(right),
            )
        case "vmap":
            return ("vmap", _parts(value["key"]), value["data"] if isinstance(value["data"], str) else "")
        case "masquerade":
            return (kind,) if not value else (kind, repr(value))
        case "counter" | "reject" | "drop":
            return (kind,)
        case "dnat" if isinstance(value.get("addr"), dict) and "map" in value["addr"]:
            return ("dnat", _number(value["addr"]["map"]["key"]), _ranges(value["addr"]["map"]["data"]))
        case _:
            return ("other", kind, repr(value))


def _number(key: Json) -> Facts:
    if generator := key.get("numgen"):
        return ("numgen", generator["mode"], generator["mod"], generator.get("offset", 0))
    if hashed := key.get("jhash"):
        return ("jhash", _parts(hashed["expr"]), hashed["mod"], hashed.get("seed", 0))
    return ("other", repr(key))


def _ranges(data: Json) -> Facts:
    if not isinstance(data, dict) or "set" not in data:
        return ("other", repr(data))
    found: list[tuple[int, int, str, int]] = []
    for slot, target in data["set"]:
        first, last = slot["range"] if isinstance(slot, dict) else (slot, slot)
        ip, port = target["concat"]
        if found and found[-1][1] + 1 == first and found[-1][2:] == (ip, port):
            found[-1] = (found[-1][0], last, ip, port)
        else:
            found.append((first, last, ip, port))
    return tuple(sorted(found))


def _parts(expression: Json) -> tuple[str, ...]:
    """The fields a (concatenated) expression names, as nft writes them."""
    return tuple(_name(part) for part in expression.get("concat", [expression]))


def _name(part: Json) -> str:
    kind, value = next(iter(part.items()))
    match kind:
        case "payload":
            return f"{value.get('protocol')} {value.get('field')}"
        case "meta":
            return f"meta {value['key']}"
        case "ct":
            return " ".join(filter(None, ("ct", value.get("dir"), value["key"])))
        case _:
            return repr(part)


def _value(element: Json) -> Json:
    return element["elem"]["val"] if "elem" in element else element


def _service_key(family: int, fields: Json) -> ServiceKey:
    return ServiceKey(family, fields[1], fields[0], fields[2])


def _targets(family: int, services: Json) -> Iterator[tuple[ServiceKey, str]]:
    for element, verdict in services.get("elem", []):
        yield _service_key(family, _value(element)["concat"]), (verdict.get("goto") or {}).get("target", "")


def _dests(family: int, dests: Json) -> Iterator[tuple[ServiceKey, DestKey, str]]:
    for element in dests.get("elem", []):
        fields = _value(element)["concat"]
        comment = element["elem"].get("comment", "") if "elem" in element else ""
        yield _service_key(family, fields), DestKey(fields[3], fields[4]), comment
