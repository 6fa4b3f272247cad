"""What packets the firewall drops for instances, as nftables commands. Pure.

The rules do not depend on who is master: an address that is not here is no destination of what the input hook sees, and
no source of what leaves. So nothing is to be done at a takeover, and there is no moment in which a new master accepts.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastha.model import FirewallDefs, VrrpInstance

OWNER = 255
LINK_LOCAL = "224.0.0."
# RFC 9568 section 6.4.3: a master answers for its addresses whether it accepts packets to them or not.
NEIGHBOURS = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept"
# RFC 3810 section 5.2.13: without an address a report comes from the unspecified one.
MLD = "ip6 saddr :: icmpv6 type { mld-listener-report, mld-listener-done, mld2-listener-report }"


def tables(instances: Iterable[VrrpInstance], defs: FirewallDefs) -> dict[str, str]:
    """{family: the table}, for the families that need one.

    Addresses of instances that do not accept (RFC 9568 section 6.1, Accept_Mode; an owner always does), and IGMP from
    VMACs: a report by a backup would teach switches that the virtual address is there. MLD for the same reason, as far
    as it comes from nobody (`::`): a backup has no address there, and reports of a master are what lets switches that
    watch MLD bring it neighbour solicitations. With `disable_local_igmp` nobody reports link-local groups.
    """
    closed: dict[str, list[str]] = {"ip": [], "ip6": []}
    vmacs: list[str] = []
    sixes: list[str] = []  # VMACs that speak IPv6
    for instance in instances:
        if not instance.accept and instance.priority != OWNER:
            for address in instance.carried:
                closed["ip6" if ":" in address.ip else "ip"].append(address.ip)
        if defs.local_igmp or not (":" in instance.group or instance.group.startswith(LINK_LOCAL)):
            vmacs += (device.name for device in instance.devices if not device.ipvlan)
        sixes += (device.name for device in instance.devices if not device.ipvlan and device.ipv6)
    out = {}
    if closed["ip"] or vmacs:
        out["ip"] = _table("ip", "ipv4_addr", closed["ip"], vmacs, defs)
    if closed["ip6"] or sixes:
        out["ip6"] = _table("ip6", "ipv6_addr", closed["ip6"], sixes, defs)
    return out


def _table(family: str, kind: str, closed: list[str], vmacs: list[str], defs: FirewallDefs) -> str:
    drop = "counter drop" if defs.counters else "drop"
    sets, into, out = "", "", ""
    if closed:
        sets += _set("vips", kind, sorted(set(closed)))
        neighbours = f"\t\t{NEIGHBOURS}\n" if family == "ip6" else ""
        into += f"{neighbours}\t\t{family} daddr @vips {drop}\n"
        out += f"{neighbours}\t\t{family} saddr @vips {drop}\n"
    if vmacs:
        sets += _set("vmacs", "ifname", [f'"{name}"' for name in sorted(set(vmacs))])
        silent = f"meta l4proto igmp oifname @vmacs {drop}" if family == "ip" else f"{MLD} oifname @vmacs {drop}"
        out = f"\t\t{silent}\n{out}"
    chains = ""
    for name, hook, rules in (("in", "input", into), ("out", "output", out)):
        if rules:
            head = f"type filter hook {hook} priority {defs.priority}; policy accept;"
            chains += f"\tchain {name} {{\n\t\t{head}\n{rules}\t}}\n"
    return f"table {family} {defs.table} {{\n{sets}{chains}}}\n"


def _set(name: str, kind: str, elements: list[str]) -> str:
    return f"\tset {name} {{\n\t\ttype {kind}\n\t\telements = {{ {', '.join(elements)} }}\n\t}}\n"
