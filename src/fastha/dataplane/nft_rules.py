"""A Table as nftables commands (core). One table `fastha` in family ip and one in ip6, each of this shape:

    map services      VIP . protocol . port : goto the service's chain
    set addresses     VIP . protocol . port             whose connections are masqueraded
    set dests         VIP . protocol . port . RIP . port, a counter, and the row in the comment
    chain prerouting, output        nat hooks: look the packet up in `services`
    chain input, postrouting        nat hooks: count in `dests`; masquerade
    chain svc_tcp_192.0.2.1_80      dnat to the slot's destination, the service's row in the rule's comment; drop

The `drop` is for the packet that is in the chain while it is rewritten: the kernel lets it read the old rule to its end
but finds nothing in that rule's map any more. Dropped it is sent again; without it the director itself would refuse it.

nat chains see only the first packet of a connection, so one packet counted is one connection, and established
connections go on whatever happens to the rules. What nftables cannot express (names, thresholds, weight of rr) is
kept in comments, which `nft_listing` reads back and compares with the rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from socket import AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP

from fastha.dataplane.nft_slots import Pick, spread
from fastha.dataplane.rows import Dest, DestKey, Forward, Service, ServiceKey, ServiceRow, Table

TABLE = "fastha"
PRIORITY_DNAT, PRIORITY_SNAT = -100, 100  # linux/netfilter_ipv4.h NF_IP_PRI_NAT_DST, NF_IP_PRI_NAT_SRC
HASH_SEED = 0x5EED  # the same on every director, so that a client keeps its server when the service address moves
PROTOCOLS: dict[int, str] = {IPPROTO_TCP: "tcp", IPPROTO_UDP: "udp"}


@dataclass(frozen=True, slots=True)
class Words:
    """What a family is called in nft."""

    ip: str
    addr: str

    @property
    def table(self) -> str:
        return f"{self.ip} {TABLE}"


WORDS: dict[int, Words] = {AF_INET: Words("ip", "ipv4_addr"), AF_INET6: Words("ip6", "ipv6_addr")}


def chain_name(key: ServiceKey) -> str:
    """`svc_tcp_192.0.2.1_80`, `svc_udp_2001-db8--1_53` (a name may not hold colons)."""
    return f"svc_{PROTOCOLS[key.protocol]}_{key.ip.replace(':', '-')}_{key.port}"


def key_of_chain(family: int, name: str) -> ServiceKey | None:
    """The reverse of chain_name; None for a chain that is not a service's."""
    if not (found := re.fullmatch(r"svc_(tcp|udp)_([0-9a-f.-]+)_(\d+)", name)):
        return None
    text = found[2].replace("-", ":") if family == AF_INET6 else found[2]
    try:
        ip_address(text)
    except ValueError:
        return None
    return ServiceKey(family, IPPROTO_TCP if found[1] == "tcp" else IPPROTO_UDP, text, int(found[3]))


def service_comment(service: Service) -> str:
    """A service's row as text; at most 128 bytes (libnftnl NFTNL_UDATA_COMMENT_MAXLEN)."""
    return (
        f"scheduler={service.scheduler} flags={service.flags} timeout={service.timeout_s} "
        f"netmask={service.netmask} pe={service.pe_name}{'' if service.masquerade else ' masquerade=no'}"
    )


def read_service_comment(text: str) -> Service | None:
    found = re.fullmatch(r"scheduler=(\w+) flags=(\d+) timeout=(\d+) netmask=(\d+) pe=(\w*)( masquerade=no)?", text)
    return found and Service(found[1], int(found[2]), int(found[3]), int(found[4]), found[5], not found[6])


def dest_comment(dest: Dest) -> str:
    """A destination's row as text (the forwarding method is always NAT)."""
    return f"weight={dest.weight} uthreshold={dest.uthreshold} lthreshold={dest.lthreshold}"


def read_dest_comment(text: str) -> Dest | None:
    found = re.fullmatch(r"weight=(\d+) uthreshold=(\d+) lthreshold=(\d+)", text)
    return found and Dest(Forward.NAT, int(found[1]), int(found[2]), int(found[3]))


def rewrite_family(family: int, rows: Table) -> str:
    """Commands that replace the whole table of a family, whatever it holds; with no rows they remove it."""
    words = WORDS[family]
    lines = [f"add table {words.table}", f"delete table {words.table}"]  # `add` first: it may not be there
    if rows:
        lines += [*_base(words), *change_lines(words, {}, rows)]
    return "\n".join(lines) + "\n"


def change_family(family: int, before: Table, after: Table) -> str:
    """Commands that turn `before`, which is exactly what the kernel holds, into `after`; "" if they are equal."""
    if before == after:
        return ""
    if not before or not after:
        return rewrite_family(family, after)
    return "\n".join(change_lines(WORDS[family], before, after)) + "\n"


def service_rule(key: ServiceKey, row: ServiceRow) -> str:
    """The rule of a service's chain before `drop`."""
    words, protocol = WORDS[key.family], PROTOCOLS[key.protocol]
    comment = f'comment "{service_comment(row.service)}"'
    slots = spread(row.service, row.dests)
    if not slots.modulus:  # refused at once, as by IPVS, instead of the client waiting for a timeout
        how = (
            "with tcp reset" if protocol == "tcp" else f"with icmp{'v6' if words.ip == 'ip6' else ''} port-unreachable"
        )
        return f"meta l4proto {protocol} reject {how} {comment}"
    elements = ", ".join(
        f"{first if first == last else f'{first}-{last}'} : {dest.ip} . {dest.port}"
        for first, last, dest in slots.ranges
    )
    number = {
        Pick.TURN: f"numgen inc mod {slots.modulus}",
        Pick.SOURCE: f"jhash {words.ip} saddr mod {slots.modulus} seed {HASH_SEED:#x}",
        Pick.SOURCE_PORT: f"jhash {words.ip} saddr . {protocol} sport mod {slots.modulus} seed {HASH_SEED:#x}",
        Pick.DESTINATION: f"jhash {words.ip} daddr mod {slots.modulus} seed {HASH_SEED:#x}",
    }[slots.pick]
    return f"meta l4proto {protocol} dnat {words.ip} addr . port to {number} map {{ {elements} }} {comment}"


def _base(words: Words) -> Iterator[str]:
    """Sets, maps and hooks. `meta l4proto tcp` must come first: only then does nft know the type of `ct proto-dst`."""
    t, service = words.table, f"{words.addr} . inet_proto . inet_service"
    yield f"add table {t}"
    yield f"add map {t} services {{ type {service} : verdict; }}"
    yield f"add set {t} addresses {{ type {service}; }}"
    yield f"add set {t} dests {{ type {service} . {words.addr} . inet_service; counter; }}"
    original = f"ct status dnat ct original {words.ip} daddr . meta l4proto . ct original proto-dst"
    for hook in ("prerouting", "output"):
        yield f"add chain {t} {hook} {{ type nat hook {hook} priority {PRIORITY_DNAT}; policy accept; }}"
        yield f"add rule {t} {hook} {words.ip} daddr . meta l4proto . th dport vmap @services"
    for hook in ("input", "postrouting"):
        yield f"add chain {t} {hook} {{ type nat hook {hook} priority {PRIORITY_SNAT}; policy accept; }}"
        for protocol in PROTOCOLS.values():
            yield f"add rule {t} {hook} meta l4proto {protocol} {original} . {words.ip} daddr . th dport @dests"
    for protocol in PROTOCOLS.values():
        yield f"add rule {t} postrouting meta l4proto {protocol} {original} @addresses masquerade"


def change_lines(words: Words, before: Table, after: Table) -> Iterator[str]:
    """Deletions first (a verdict in `services` holds its chain), then chains and rules, then elements."""
    t = words.table
    gone = [key for key in before if key not in after]
    new = [key for key in after if key not in before]
    changed = [key for key in after if key in before and after[key] != before[key]]
    drop, put = [], []
    for key in gone + changed:
        row, other = before[key], after.get(key)
        drop += [dest_text(key, d) for d, dest in row.dests.items() if other is None or other.dests.get(d) != dest]
    for key in changed + new:
        row, other = after[key], before.get(key)
        put += [
            f'{dest_text(key, d)} comment "{dest_comment(dest)}"'
            for d, dest in row.dests.items()
            if other is None or other.dests.get(d) != dest
        ]
    yield from elements("delete", t, "services", map(service_text, gone))
    yield from elements("delete", t, "addresses", map(service_text, _masqueraded(before, after)))
    yield from elements("delete", t, "dests", drop)
    for key in gone:
        yield f"flush chain {t} {chain_name(key)}"
        yield f"delete chain {t} {chain_name(key)}"
    for key in changed:
        rule = service_rule(key, after[key])
        if rule != service_rule(key, before[key]):
            yield f"flush chain {t} {chain_name(key)}"
            yield from _rules(t, key, rule)
    for key in new:
        yield f"add chain {t} {chain_name(key)}"
        yield from _rules(t, key, service_rule(key, after[key]))
    yield from elements("add", t, "dests", put)
    yield from elements("add", t, "addresses", map(service_text, _masqueraded(after, before)))
    yield from elements("add", t, "services", (f"{service_text(key)} : goto {chain_name(key)}" for key in new))


def _rules(table: str, key: ServiceKey, rule: str) -> Iterator[str]:
    yield f"add rule {table} {chain_name(key)} {rule}"
    yield f"add rule {table} {chain_name(key)} drop"


def _masqueraded(rows: Table, unlike: Table) -> Iterator[ServiceKey]:
    """Services that are masqueraded in `rows` and not (or not there) in `unlike`."""
    for key, row in rows.items():
        if row.service.masquerade and not ((other := unlike.get(key)) and other.service.masquerade):
            yield key


def elements(verb: str, table: str, name: str, elements: Iterable[str]) -> Iterator[str]:
    if text := ", ".join(elements):
        yield f"{verb} element {table} {name} {{ {text} }}"


def service_text(key: ServiceKey) -> str:
    return f"{key.ip} . {PROTOCOLS[key.protocol]} . {key.port}"


def dest_text(key: ServiceKey, dest: DestKey) -> str:
    return f"{service_text(key)} . {dest.ip} . {dest.port}"
