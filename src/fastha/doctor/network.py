"""Rules about forwarding, addresses, ARP and who else sets them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from fastha.doctor.kernel import sysctl
from fastha.doctor.values import Finding, Host, Wants

NEIGHBOURS_SPARE = 2  # of each real server the kernel may hold two entries


def forwarding(host: Host, wants: Wants) -> Iterator[Finding]:
    if "NAT" not in wants.forwards:
        return
    for family, name in (("inet", "net/ipv4/ip_forward"), ("inet6", "net/ipv6/conf/all/forwarding")):
        if family in wants.families and host.number(name) == 0:
            yield Finding(
                "forwarding", "error", f"{name.replace('/', '.')} is 0, and there are real servers behind NAT",
                "their replies are not forwarded: clients connect and hear nothing",
                sysctl(name, 1),
            )  # fmt: skip


def reverse_path(host: Host, wants: Wants) -> Iterator[Finding]:
    if not wants.forwards & {"TUN", "DR"}:
        return
    for name in sorted(wants.interfaces):
        here = [host.number(f"net/ipv4/conf/{one}/rp_filter") for one in ("all", name)]
        # ip-sysctl: the larger of conf/all and conf/INTERFACE counts
        if max((value for value in here if value is not None), default=0) == 1:
            yield Finding(
                "rp-filter", "warning", f"rp_filter is strict on {name}",
                "packets of clients that have another way back (replies go past the director with DR and TUN) are "
                "dropped without a word",
                sysctl(f"net/ipv4/conf/{name}/rp_filter", 2),
            )  # fmt: skip


def arp(host: Host, wants: Wants) -> Iterator[Finding]:
    """More than one interface: any of them answers for every address of the host."""
    four = {dev for dev, ip, _ in wants.addresses if ip_address(ip).version == 4}
    if len([name for name in host.interfaces if name != "lo"]) < 2:
        return
    for name in sorted(four):
        for what, least, why in (
            ("arp_ignore", 1, "another interface on the same network answers for the service addresses: clients learn "
                              "its MAC, and a failover does not mend that"),
            ("arp_announce", 2, "requests are sent with a service address as source, and peers learn it wrongly"),
        ):  # fmt: skip
            here = [host.number(f"net/ipv4/conf/{one}/{what}") for one in ("all", name)]
            known = [value for value in here if value is not None]
            if known and max(known) < least:
                yield Finding(
                    what.replace("_", "-"), "note", f"{what} is {max(known)} on {name}", why,
                    sysctl(f"net/ipv4/conf/{name}/{what}", least),
                )  # fmt: skip


def secondaries(host: Host, wants: Wants) -> Iterator[Finding]:
    shared = sorted({dev for dev, ip, prefix in wants.addresses if prefix < 32 and ip_address(ip).version == 4})
    for name in shared:
        here = [host.number(f"net/ipv4/conf/{one}/promote_secondaries") for one in ("all", name)]
        known = [value for value in here if value is not None]
        if known and max(known) == 0:
            yield Finding(
                "promote-secondaries", "warning", f"promote_secondaries is 0 on {name}",
                "service addresses with the prefix of a network are secondaries there: when the first address of that "
                "network is removed the kernel removes all others with it",
                sysctl(f"net/ipv4/conf/{name}/promote_secondaries", 1),
            )  # fmt: skip


def neighbour_table(host: Host, wants: Wants) -> Iterator[Finding]:
    limit = host.number("net/ipv4/neigh/default/gc_thresh3")
    if limit is not None and limit < NEIGHBOURS_SPARE * wants.destinations:
        yield Finding(
            "neighbour-table", "warning",
            f"the neighbour table holds {limit} entries for {wants.destinations} destinations",
            "on one network with the real servers it overflows: checks and traffic fail at random",
            sysctl("net/ipv4/neigh/default/gc_thresh3", 4 * wants.destinations),
        )  # fmt: skip


def missing_interfaces(host: Host, wants: Wants) -> Iterator[Finding]:
    if not host.interfaces:
        return
    for name in sorted(wants.interfaces - set(host.interfaces)):
        users = ", ".join(instance for dev, _, instance in wants.vrids if dev == name)
        yield Finding(
            "interface", "error", f"there is no interface {name}",
            f"{users or 'what uses it'} stays in FAULT until it is there", f"ip link show {name}",
        )  # fmt: skip


def namespaces(host: Host, wants: Wants) -> Iterator[Finding]:
    if host.unseen:
        yield Finding(
            "namespace", "error", host.unseen,
            "nothing was looked at there, and without it the daemon does not start", "ip netns list",
        )  # fmt: skip


def managers(host: Host, wants: Wants) -> Iterator[Finding]:
    for name in sorted(wants.interfaces & host.managed.keys()):
        who = host.managed[name]
        if who == "NetworkManager":
            mend = f"nmcli device set {name} managed no"
        else:
            mend = f"networkctl edit {name}  # [Network] KeepConfiguration=yes"
        yield Finding(
            "manager", "warning", f"{who} manages {name}",
            "when it (re)configures the interface it removes addresses that it does not know: those of a master",
            mend,
        )  # fmt: skip
