"""Taking the snapshot: /proc, /sys and the daemon. What cannot be read is left out. Shell."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fastha.doctor.values import Host, Wants
from fastha.setns import NAMESPACES, Place, entered, here

SYSCTLS = """
    net/ipv4/ip_forward net/ipv6/conf/all/forwarding net/ipv4/vs/expire_nodest_conn
    net/ipv4/vs/expire_quiescent_template net/ipv4/vs/conn_reuse_mode net/ipv4/vs/conntrack
    net/ipv4/vs/run_estimation net/netfilter/nf_conntrack_max
    net/netfilter/nf_conntrack_count net/ipv4/ip_local_port_range net/ipv4/neigh/default/gc_thresh3
""".split()
OF_IPVS = "net/ipv4/vs/"
OF_INTERFACE = ("rp_filter", "arp_ignore", "arp_announce", "promote_secondaries")
PEEK = 1 << 22  # bytes of a table of IPVS that are looked at


def look(wants: Wants, status: Mapping[str, Any] | None, no_answer: str, root: Path = Path("/")) -> Host:
    """What there is where the configuration works. `root`: for tests, a folder with proc and sys in it."""
    proc, sys = root / "proc", root / "sys"
    facts: dict[str, Any] = {
        "kernel": _version(_text(proc / "sys/kernel/osrelease")),
        "children": _children(proc, status),
        "schedulers": tuple(sorted(p.name for p in _listing(sys / "module") if p.name.startswith("ip_vs_"))),
        "clock": _text(sys / "devices/system/clocksource/clocksource0/current_clocksource").strip(),
        "clocks": tuple(_text(sys / "devices/system/clocksource/clocksource0/available_clocksource").split()),
        "status": status,
        "no_answer": no_answer,
    }
    namespace = wants.namespace
    try:
        with _place(namespace)():
            programs, interfaces = _programs(proc), _interfaces(root)
            facts |= {
                "sysctl": _sysctls(proc, wants.interfaces),
                "interfaces": tuple(sorted(interfaces)),
                "programs": programs,
                "managed": _managed(root, {n: interfaces[n] for n in wants.interfaces & interfaces.keys()}, programs),
            }
        namespace = wants.of_ipvs
        with _place(namespace)():
            own = {name: text for name, text in _sysctls(proc, ()).items() if name.startswith(OF_IPVS)}
            facts |= {"sysctl": facts["sysctl"] | own, "ipvs": _ipvs(proc, sys)}
    except OSError as error:
        return Host(**facts | {"unseen": f"the network namespace {namespace}: {error.strerror}"})
    return Host(**facts)


def _place(namespace: str) -> Place:
    return (lambda: entered(f"{NAMESPACES}/{namespace}")) if namespace else here


def _interfaces(root: Path) -> dict[str, str]:
    """Name -> index. In another network namespace /sys still shows those of the one that it was mounted in."""
    if root == Path("/"):
        return {name: str(index) for index, name in socket.if_nameindex()}
    return {p.name: _text(p / "ifindex").strip() for p in _listing(root / "sys/class/net") if p.is_dir()}


def _text(path: Path, most: int = 1 << 16) -> str:
    try:
        with path.open("rb") as file:
            return file.read(most).decode(errors="replace")
    except OSError:
        return ""


def _listing(path: Path) -> list[Path]:
    try:
        return list(path.iterdir())
    except OSError:
        return []


def _version(text: str) -> tuple[int, int]:
    match = re.match(r"(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _sysctls(proc: Path, interfaces: Iterable[str]) -> dict[str, str]:
    names = [*SYSCTLS, *(f"net/ipv4/conf/{dev}/{one}" for dev in ("all", *interfaces) for one in OF_INTERFACE)]
    return {name: text.strip() for name in names if (text := _text(proc / "sys" / name))}


def _programs(proc: Path) -> dict[str, tuple[int, ...]]:
    """Only those of our own network namespace: what runs in a container has tables of its own."""
    found: dict[str, tuple[int, ...]] = {}
    ours = _link(proc / "self/ns/net")
    for path in _listing(proc):
        if not path.name.isdecimal():
            continue
        name = _text(path / "comm", 64).strip()
        theirs = _link(path / "ns/net")
        if name and (not theirs or not ours or theirs == ours):
            found[name] = (*found.get(name, ()), int(path.name))
    return found


def _link(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _children(proc: Path, status: Mapping[str, Any] | None) -> dict[str, dict[str, int]]:
    out: dict[str, dict[str, int]] = {}
    for role, child in (status or {}).get("daemon", {}).get("children", {}).items():
        if not (pid := child.get("pid")):
            continue
        about = out[role] = {}
        if match := re.search(r"^CapEff:\s*([0-9a-f]+)", _text(proc / f"{pid}/status"), re.M):
            about["caps"] = int(match[1], 16)
        if match := re.search(r"^Max open files\s+(\d+)", _text(proc / f"{pid}/limits"), re.M):
            about["files"] = int(match[1])
    return out


def _ipvs(proc: Path, sys: Path) -> dict[str, Any] | None:
    """/proc/net/ip_vs: a header of three lines, services, and destinations behind arrows (ip_vs_ctl.c)."""
    text = _text(proc / "net/ip_vs", PEEK)
    if not text:
        return None
    services = destinations = connections = 0
    for line in text.splitlines()[3:]:
        words = line.split()
        if words[:1] == ["->"]:
            destinations += 1
            connections += sum(int(word) for word in words[-2:] if word.isdecimal())
        elif words:
            services += 1
    size = re.search(r"size=(\d+)", text.partition("\n")[0])
    bits = _text(sys / "module/ip_vs/parameters/conn_tab_bits").strip()
    return {
        "bits": int(bits) if bits.isdecimal() else int(size[1]).bit_length() - 1 if size else 0,
        "services": services,
        "destinations": destinations,
        "connections": connections,
    }


def _managed(root: Path, interfaces: Mapping[str, str], programs: Mapping[str, Any]) -> dict[str, str]:
    """Who else configures an interface. systemd-networkd and NetworkManager say so in files of /run, by index."""
    out: dict[str, str] = {}
    for name, index in interfaces.items():
        link = _text(root / f"run/systemd/netif/links/{index}")
        if "systemd-network" in programs and re.search(r"^NETWORK_FILE=", link, re.M) and not _keeps(root, link):
            out[name] = "systemd-networkd"
        device = _text(root / f"run/NetworkManager/devices/{index}")
        if "NetworkManager" in programs and re.search(r"^managed=(true|1)", device, re.M):
            out[name] = "NetworkManager"
    return out


def _keeps(root: Path, link: str) -> bool:
    """Its .network file says KeepConfiguration=yes (systemd.network(5))."""
    match = re.search(r"^NETWORK_FILE=(\S+)", link, re.M)
    if match is None:
        return False
    path = root / match[1].lstrip("/")
    files = [path, *_listing(path.with_name(path.name + ".d"))]
    return any(re.search(r"^\s*KeepConfiguration\s*=\s*(yes|static)", _text(one), re.M) for one in files)
