"""A table as `ipvsadm -Sn` prints it: an independent witness of what the kernel holds."""

from __future__ import annotations

import socket
import struct
import subprocess

from fastha.dataplane.rows import Dest, DestKey, Forward, ServiceFlag, ServiceKey, ServiceRow, Table, TunnelType

FLAG_NAMES = {"sh": ("sh-fallback", "sh-port"), "mh": ("mh-fallback", "mh-port")}  # it shows no third one there
FORWARD = {Forward.NAT: "-m", Forward.DR: "-g", Forward.TUN: "-i"}


def host_port(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def service_words(key: ServiceKey) -> str:
    if key.fwmark:
        return f"-f {key.fwmark}" + (" -6" if key.family == socket.AF_INET6 else "")
    option = {6: "-t", 17: "-u", 132: "--sctp-service"}[key.protocol]
    return f"{option} {host_port(key.ip, key.port)}"


def service_line(key: ServiceKey, row: ServiceRow) -> str:
    service = row.service
    line = f"-A {service_words(key)} -s {service.scheduler}"
    if service.flags & ServiceFlag.PERSISTENT:
        line += f" -p {service.timeout_s}"
        if key.family == socket.AF_INET6:
            line += "" if service.netmask == 128 else f" -M {service.netmask}"
        elif service.netmask != 32:
            line += " -M " + socket.inet_ntoa(struct.pack("!I", 0xFFFFFFFF << (32 - service.netmask) & 0xFFFFFFFF))
    if service.pe_name:
        line += f" --pe {service.pe_name}"
    if service.flags & ServiceFlag.ONEPACKET:
        line += " -o"
    names = FLAG_NAMES.get(service.scheduler, ("flag-1", "flag-2", "flag-3"))
    bits = (ServiceFlag.SCHED1, ServiceFlag.SCHED2, ServiceFlag.SCHED3)
    if chosen := [name for name, bit in zip(names, bits, strict=False) if service.flags & bit]:
        line += " -b " + ",".join(chosen)
    return line


def dest_line(key: ServiceKey, dest_key: DestKey, row: ServiceRow) -> str:
    dest = row.dests[dest_key]
    line = (
        f"-a {service_words(key)} -r {host_port(dest_key.ip, dest_key.port)} {FORWARD[dest.forward]} -w {dest.weight}"
    )
    return line + (tunnel_words(dest) if dest.forward == Forward.TUN else "")


def tunnel_words(dest: Dest) -> str:
    words = f" --tun-type {dest.tun_type.name.lower()}"
    if dest.tun_type == TunnelType.IPIP:
        return words
    if dest.tun_type == TunnelType.GUE:
        words += f" --tun-port {dest.tun_port}"
    return words + {0: " --tun-nocsum", 1: " --tun-csum", 2: " --tun-remcsum"}[dest.tun_flags]


def lines(table: Table) -> list[str]:
    """Sorted: the kernel's order is its hash's."""
    found = [service_line(key, row) for key, row in table.items()]
    found += [dest_line(key, dest_key, row) for key, row in table.items() for dest_key in row.dests]
    return sorted(found)


def thresholds(table: Table) -> list[str]:
    """`-> ip:port upper lower` of every destination, as in `ipvsadm -Ln --thresholds`."""
    return sorted(
        f"{host_port(dest_key.ip, dest_key.port)} {dest.uthreshold} {dest.lthreshold}"
        for row in table.values()
        for dest_key, dest in row.dests.items()
    )


def saved() -> list[str]:
    """What `ipvsadm -Sn` prints now, sorted."""
    text = subprocess.run(["ipvsadm", "-Sn"], check=True, capture_output=True, text=True).stdout
    return sorted(" ".join(line.split()) for line in text.splitlines() if line.strip())


def saved_thresholds() -> list[str]:
    text = subprocess.run(["ipvsadm", "-Ln", "--thresholds"], check=True, capture_output=True, text=True).stdout
    rows = [line.split() for line in text.splitlines() if line.startswith("  -> ")]
    return sorted(f"{r[1]} {r[2]} {r[3]}" for r in rows if len(r) > 3)
