"""What is programmed: one service and its destinations, in the words of each program that is compared. Pure."""

from __future__ import annotations

import socket

from fastha.dataplane.rows import Dest, DestKey, Forward, Service, ServiceKey, ServiceRow, Table

KEY = ServiceKey(socket.AF_INET, socket.IPPROTO_TCP, "10.63.0.1", 80)
SCHEDULERS = ("rr", "wrr", "wlc", "sh", "mh")
MH_MOST = 4000  # mh has 4093 slots in Debian's kernels; more destinations than that it does not serve (README.md)
DETOUR = frozenset({"wrr", "mh"})  # filled under rr, then switched: fastha.dataplane.reconcile

Dests = dict[tuple[str, int], int]  # {(ip, port): weight}


def destinations(count: int) -> Dests:
    """The same ones as floor.c."""
    return {(f"10.{64 + (i >> 16)}.{i >> 8 & 255}.{i & 255}", 80): 1 + i % 3 for i in range(count)}


def changed(dests: Dests) -> Dests:
    """Ten of them differ: four have another weight, three are gone, three are new."""
    keys = list(dests)
    new = dict(dests)
    for key in keys[10:14]:
        new[key] += 5
    for key in keys[20:23]:
        del new[key]
    return new | {("10.80.0.1", 80): 1, ("10.80.0.2", 80): 2, ("10.80.0.3", 80): 3}


def table(scheduler: str, dests: Dests) -> Table:
    """fastha's wanted table."""
    rows = {DestKey(ip, port): Dest(Forward.DR, weight) for (ip, port), weight in dests.items()}
    return {KEY: ServiceRow(Service(scheduler), rows)}


def ipvsadm_rules(scheduler: str, dests: Dests) -> str:
    """What `ipvsadm -R` reads and `ipvsadm -Sn` prints."""
    service = f"-t {KEY.ip}:{KEY.port}"
    lines = [f"-A {service} -s {scheduler}"]
    lines += [f"-a {service} -r {ip}:{port} -g -w {weight}" for (ip, port), weight in dests.items()]
    return "\n".join(lines) + "\n"


def keepalived_conf(scheduler: str, dests: Dests) -> str:
    """One virtual server, no checks: what keepalived and fastha both read."""
    lines = [f"virtual_server {KEY.ip} {KEY.port} {{", "    protocol TCP", f"    lb_algo {scheduler}", "    lb_kind DR"]
    for (ip, port), weight in dests.items():
        lines += [f"    real_server {ip} {port} {{", f"        weight {weight}", "    }"]
    return "\n".join([*lines, "}", ""])
