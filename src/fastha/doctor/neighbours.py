"""Rules about other programs on this host, other routers on the link, and the daemon's own state. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastha.doctor.values import Finding, Host, Wants

BALANCERS = {
    "keepalived": "it adds and removes the same addresses and rows",
    "ldirectord": "it removes real servers that we have added, and the other way round",
    "kube-proxy": "with its ipvs mode it removes services that it does not know",
    "kube-router": "it removes services that it does not know",
    "nanny": "it changes the same table of IPVS",
    "ucarp": "it adds and removes addresses of its own",
    "pacemakerd": "its IPaddr2 resources may be the same addresses",
    "vrrpd": "FRR speaks VRRP too: the same VRID on the same interface would be two routers",
}
LOUD_DISCARDS = {
    "auth_type": "the peer authenticates in another way",
    "auth_password": "the peer has another password",
    "interval": "version 2: the peer has another advert_int",
    "version_differs": "the peer speaks another version of VRRP",
    "self": "another host uses our address",
    "checksum": "damaged, or version 3 without the pseudo header (or with it, in version 2)",
    "ttl": "from behind a router, or forged",
}
LATE_SHARE = 0.1  # of an interval: what the house promises


def daemon(host: Host, wants: Wants) -> Iterator[Finding]:
    if host.status is None:
        yield Finding(
            "daemon", "note", f"no daemon answers ({host.no_answer})" if host.no_answer else "no daemon answers",
            "what only it knows (peers, strangers on the link, lateness) is not looked at", "systemctl start fastha",
        )  # fmt: skip
        return
    for role, child in host.status.get("daemon", {}).get("children", {}).items():
        if child.get("state") in ("held", "waiting"):
            yield Finding(
                "daemon", "error", f"{role} does not run: {child.get('last_end', '')}",
                "nothing of what it looks after is kept true", "fastha reload",
            )  # fmt: skip


def balancers(host: Host, wants: Wants) -> Iterator[Finding]:
    for name, why in BALANCERS.items():
        if pids := host.programs.get(name):
            severity = "error" if name in ("keepalived", "ldirectord") else "warning"
            unit = {"pacemakerd": "pacemaker", "vrrpd": "frr"}.get(name, name)
            yield Finding(
                "balancer", severity, f"{name} runs here too (pid {', '.join(map(str, pids[:3]))})", why,
                f"systemctl disable --now {unit}",
            )  # fmt: skip


def strangers(host: Host, wants: Wants) -> Iterator[Finding]:
    for name, facts in _vrrp(host).get("interfaces", {}).items():
        heard = facts.get("strangers") or []
        if heard:
            some = ", ".join(f"{vrid} ({ip})" for vrid, ip in heard[:5])
            more = f" and {len(heard) - 5} more" if len(heard) > 5 else ""
            yield Finding(
                "vrid-foreign", "note", f"other virtual routers speak on {name}: VRID {some}{more}",
                "a VRID belongs to one virtual router on a link: do not give these to an instance here",
                f"tcpdump -ni {name} ip proto 112",
            )  # fmt: skip


def other_masters(host: Host, wants: Wants) -> Iterator[Finding]:
    """Who else says that it is master, at the same time as us or as each other."""
    now = (host.status or {}).get("now", 0.0)
    for name, one in _vrrp(host).get("instances", {}).items():
        fresh_s = 3 * one.get("advert_int_ns", 10**9) / 1e9 + 1
        loud = [p for p in one.get("peers", ()) if p.get("priority") and now - p.get("heard", 0.0) < fresh_s]
        master = one.get("state") == "master"
        if len(loud) + master < 2 or now - one.get("since", 0.0) < fresh_s:  # it has just changed hands
            continue
        who = ", ".join(f"{p['ip']} with priority {p['priority']}" for p in loud)
        differ = one.get("addresses_differ")
        yield Finding(
            "vrid-conflict", "error",
            f"{name}: VRID {one.get('vrid')} on {one.get('interface')} has more than one master: "
            f"{'us, ' if master else ''}{who}",
            "the addresses are on two hosts at once"
            + (", or another virtual router has the same VRID: its list of addresses differs" if differ else "")
            + "; packets pass in one direction only, or somebody cannot hear",
            f"tcpdump -ni {one.get('interface')} -v ip proto 112",
        )  # fmt: skip


def refused_adverts(host: Host, wants: Wants) -> Iterator[Finding]:
    for name, one in _vrrp(host).get("instances", {}).items():
        for reason, count in one.get("discarded", {}).items():
            if count and reason in LOUD_DISCARDS:
                yield Finding(
                    "adverts-refused", "warning", f"{name}: {count} adverts were dropped: {reason}",
                    f"{LOUD_DISCARDS[reason]}; who does not hear each other becomes master on both sides",
                    f"tcpdump -ni {one.get('interface')} -v ip proto 112",
                )  # fmt: skip


def late(host: Host, wants: Wants) -> Iterator[Finding]:
    for name, one in _vrrp(host).get("instances", {}).items():
        late_ns, interval_ns = one.get("late_max_ns") or 0, one.get("advert_int_ns") or 10**9
        if late_ns > interval_ns:
            severity = "error"
        elif late_ns > LATE_SHARE * interval_ns:
            severity = "warning"
        else:
            continue
        yield Finding(
            "late", severity,
            f"{name}: an advert was {late_ns / 1e6:.0f} ms late, with an interval of {interval_ns / 1e6:.0f} ms",
            "the host took the CPU away from it (steal time, a stopped machine, swapping); peers take over when that "
            "lasts three intervals",
            "vmstat 1  # columns st, si, so, r",
        )  # fmt: skip


def _vrrp(host: Host) -> dict[str, Any]:
    facts: dict[str, Any] = (host.status or {}).get("vrrp", {})
    return facts
