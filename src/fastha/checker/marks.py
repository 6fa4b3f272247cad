"""`nftables_ipvs`: marks for the traffic of groups, so that a group is one service however many addresses it has. Pure.

For each family a table of ours with interval maps (address . port -> mark, or address -> mark for all ports), and two
chains that set the mark before IPVS looks for a service. What IPVS does with a mark is in the checker's plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address

from fastha.model import GroupMember, VirtualServer

# IPVS schedules what this host sends itself at the output hook, NF_IP_PRI_NAT_DST + 1 = -99 (ip_vs_core.c); what
# arrives, later than any prerouting chain. Marks of the former have to be there earlier, whatever the priority says.
LAST_OUTPUT_PRIORITY = -100
HIGHEST_MARK = (1 << 32) - 1
FAMILIES = {"inet": ("ip", "ipv4_addr"), "inet6": ("ip6", "ipv6_addr")}
Span = tuple[int, int]


def allocate(servers: Iterable[VirtualServer], start: int, before: Mapping[str, int]) -> dict[str, int]:
    """{virtual server key: mark} for the groups that have addresses: those it had `before`, else the next free one from
    `start` on; no mark that the configuration uses by itself. ValueError if there are not enough."""
    servers = list(servers)
    taken = {s.fwmark for s in servers} | {m.fwmark for s in servers for m in s.members}
    groups = [s.key for s in servers if any(not m.fwmark for m in s.members)]
    out = {}
    for key in groups:
        mark = before.get(key, 0)
        if mark >= start and mark not in taken:
            out[key] = mark
            taken.add(mark)
    following = start
    for key in groups:
        if key in out:
            continue
        while following in taken:
            following += 1
        if following > HIGHEST_MARK:
            raise ValueError("nftables_ipvs_start_fwmark leaves too few marks")
        out[key] = following
        taken.add(following)
    return {key: out[key] for key in groups}


def tables(table: str, priority: int, servers: Iterable[VirtualServer], marks: Mapping[str, int]) -> dict[str, str]:
    """{family as nft calls it: the table's content}, for families that need one."""
    maps: dict[str, dict[tuple[str, bool], list[str]]] = {"inet": {}, "inet6": {}}
    for server in servers:
        mark = marks.get(server.key)
        if not mark:
            continue
        for family, port, span in _spans(server.members):
            element = _range(family, span) + (f" . {port}" if port else "") + f" : {mark}"
            maps[family].setdefault((server.protocol.lower(), port != 0), []).append(element)
    out = {}
    for family, found in maps.items():
        if found:
            word, kind = FAMILIES[family]
            out[word] = f"table {word} {table} {{\n{_content(word, kind, priority, found)}}}\n"
    return out


def _content(word: str, kind: str, priority: int, maps: Mapping[tuple[str, bool], list[str]]) -> str:
    text, rules = "", ""
    for protocol, by_port in sorted(maps):  # all ports first: what is said of one port is the last word
        name = f"{protocol}_map" if by_port else f"{protocol}_any"
        elements = ",\n\t\t\t".join(maps[protocol, by_port])
        text += f"\tmap {name} {{\n\t\ttype {kind}{' . inet_service' if by_port else ''} : mark\n\t\tflags interval\n"
        text += f"\t\telements = {{ {elements} }}\n\t}}\n"
        port = f" . {protocol} dport" if by_port else ""
        match = "" if by_port else f"meta l4proto {protocol} "
        rules += f"\t\t{match}meta mark set {word} daddr{port} map @{name}\n"
    for hook, kind_, at in (
        ("prerouting", "filter", priority),
        ("output", "route", min(priority, LAST_OUTPUT_PRIORITY)),
    ):
        text += f"\tchain {hook} {{\n\t\ttype {kind_} hook {hook} priority {at}; policy accept;\n{rules}\t}}\n"
    return text


def _spans(members: Iterable[GroupMember]) -> Iterator[tuple[str, int, Span]]:
    """(family, port, addresses) of all that are no marks, overlapping ones merged: a map takes each address once."""
    by_kind: dict[tuple[str, int], list[Span]] = {}
    for m in members:
        if not m.fwmark:
            span = int(ip_address(m.first_ip)), int(ip_address(m.last_ip))
            by_kind.setdefault((m.family, m.port), []).append(span)
    for (family, port), spans in by_kind.items():
        merged: list[Span] = []
        for first, last in sorted(spans):
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = merged[-1][0], max(merged[-1][1], last)
            else:
                merged.append((first, last))
        for span in merged:
            yield family, port, span


def _range(family: str, span: Span) -> str:
    ends = [str(_address(family, n)) for n in dict.fromkeys(span)]
    return "-".join(ends)


def _address(family: str, number: int) -> str:
    return str(ip_address(number.to_bytes(16 if family == "inet6" else 4, "big")))
