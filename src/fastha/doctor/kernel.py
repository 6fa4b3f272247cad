"""Rules about IPVS, connection tracking, the clock and what processes may. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from fastha.doctor.values import Finding, Host, Wants

CAPS = {12: "CAP_NET_ADMIN", 13: "CAP_NET_RAW"}  # linux/capability.h
NEEDED = {"vrrp": (12, 13), "checker": (12,)}
SLOW_CLOCKS = ("hpet", "acpi_pm", "jiffies", "pit")
ESTIMATED = 5_000  # services and destinations whose estimation an older kernel does in one softirq
KTHREADS = (6, 2)  # the kernel that estimates in threads of its own (net/netfilter/ipvs/ip_vs_est.c)
SPARE_FILES = 128


def sysctl(name: str, value: object) -> str:
    """The command that sets it, now and at the next start."""
    dotted = name.replace("/", ".")
    return f"sysctl -w {dotted}={value} && echo '{dotted} = {value}' >>/etc/sysctl.d/60-fastha.conf"


def ipvs_there(host: Host, wants: Wants) -> Iterator[Finding]:
    backend = _backend(host)
    if not wants.services or backend in ("nft", "none") or host.unseen:
        return
    if host.ipvs is None:
        yield Finding(
            "ipvs-missing", "warning", "the kernel has no IPVS, or its module is not loaded",
            "virtual servers are balanced by nftables instead where that works (--dataplane auto), or not at all",
            "modprobe ip_vs && echo ip_vs >/etc/modules-load.d/fastha.conf",
        )  # fmt: skip
        return
    if host.schedulers:
        for name in sorted(wants.schedulers):
            if f"ip_vs_{name}" not in host.schedulers:
                yield Finding(
                    "ipvs-scheduler", "note", f"the module of scheduler {name} is not loaded (yet)",
                    "the kernel loads it when a service asks for it, which fails where modules are locked after boot",
                    f"modprobe ip_vs_{name} && echo ip_vs_{name} >>/etc/modules-load.d/fastha.conf",
                )  # fmt: skip


def connection_table(host: Host, wants: Wants) -> Iterator[Finding]:
    if host.ipvs is None or not (bits := host.ipvs.get("bits")):
        return
    connections, buckets = host.ipvs.get("connections", 0), 1 << bits
    if connections > 8 * buckets or (buckets <= 4096 and wants.destinations >= 100):
        right = max(bits + 1, (max(connections, 1 << 18)).bit_length())
        yield Finding(
            "ipvs-table-small", "warning",
            f"IPVS's connection table has {buckets} buckets for {connections} connections",
            "each packet walks a chain: with a million connections 4096 buckets cost a third of the CPU time",
            f"echo 'options ip_vs conn_tab_bits={min(right, 20)}' >/etc/modprobe.d/ip_vs.conf  # at the next load",
        )  # fmt: skip


def estimators(host: Host, wants: Wants) -> Iterator[Finding]:
    if host.ipvs is None or _backend(host) in ("nft", "none"):
        return
    count = max(host.ipvs.get("services", 0) + host.ipvs.get("destinations", 0), wants.services + wants.destinations)
    if count < ESTIMATED or host.number("net/ipv4/vs/run_estimation") == 0:
        return
    if host.kernel < KTHREADS:
        yield Finding(
            "estimators", "warning", f"{count} services and destinations are estimated in one softirq every 2 s",
            "packets and adverts wait meanwhile, tens of milliseconds; kernels from 6.2 do it in threads",
        )  # fmt: skip
    else:
        yield Finding(
            "estimators", "note", f"the kernel estimates the rates of {count} services and destinations",
            "its threads cost CPU time; nobody here needs the rates",
            sysctl("net/ipv4/vs/run_estimation", 0),
        )  # fmt: skip


def expire_nodest(host: Host, wants: Wants) -> Iterator[Finding]:
    if _ipvs(host, wants) and host.number("net/ipv4/vs/expire_nodest_conn") == 0:
        yield Finding(
            "expire-nodest", "warning", "expire_nodest_conn is 0",
            "connections to a real server that has left the table hang until they time out, instead of being told",
            sysctl("net/ipv4/vs/expire_nodest_conn", 1),
        )  # fmt: skip


def expire_quiescent(host: Host, wants: Wants) -> Iterator[Finding]:
    if _ipvs(host, wants) and wants.persistent and host.number("net/ipv4/vs/expire_quiescent_template") == 0:
        yield Finding(
            "expire-quiescent", "warning", "expire_quiescent_template is 0, and there is persistence",
            "clients that are tied to a real server go on being sent to it when it is drained, or kept with weight 0",
            sysctl("net/ipv4/vs/expire_quiescent_template", 1),
        )  # fmt: skip


def conn_reuse(host: Host, wants: Wants) -> Iterator[Finding]:
    if not _ipvs(host, wants):
        return
    reuse, tracked = host.number("net/ipv4/vs/conn_reuse_mode"), host.number("net/ipv4/vs/conntrack")
    if reuse == 1 and tracked == 1 and host.kernel < (5, 9):
        yield Finding(
            "conn-reuse", "warning", "conn_reuse_mode is 1 with connection tracking on a kernel before 5.9",
            "a client that uses a port again waits a second, because its first SYN is dropped",
            sysctl("net/ipv4/vs/conn_reuse_mode", 0),
        )  # fmt: skip
    elif reuse == 0 and host.kernel >= (5, 9):
        yield Finding(
            "conn-reuse", "note", "conn_reuse_mode is 0",
            "a client that uses a port again is sent to its old real server, even one that is drained",
            sysctl("net/ipv4/vs/conn_reuse_mode", 1),
        )  # fmt: skip


def conntrack(host: Host, wants: Wants) -> Iterator[Finding]:
    limit, count = host.number("net/netfilter/nf_conntrack_max"), host.number("net/netfilter/nf_conntrack_count")
    if limit is None or not wants.services:
        return
    uses = _backend(host) == "nft" or host.number("net/ipv4/vs/conntrack") == 1
    if count is not None and limit and count * 10 >= limit * 8:
        yield Finding(
            "conntrack-full", "error", f"connection tracking is {100 * count // limit} % full ({count} of {limit})",
            "when it is full new connections are dropped, those of health checks among them",
            sysctl("net/netfilter/nf_conntrack_max", 4 * limit),
        )  # fmt: skip
    elif uses and limit < 262_144:
        yield Finding(
            "conntrack-small", "warning", f"connection tracking holds {limit} connections, and balancing needs it here",
            "a load balancer reaches that within seconds; then new connections are dropped",
            sysctl("net/netfilter/nf_conntrack_max", 1_048_576),
        )  # fmt: skip


def clock(host: Host, wants: Wants) -> Iterator[Finding]:
    if host.clock in SLOW_CLOCKS:
        better = next((one for one in host.clocks if one not in SLOW_CLOCKS), "")
        where = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
        yield Finding(
            "clock", "warning", f"the kernel's clock source is {host.clock}",
            "reading the clock costs a microsecond and a system call, some times for each check and advert",
            f"echo {better} >{where}" if better else "",
        )  # fmt: skip


def privileges(host: Host, wants: Wants) -> Iterator[Finding]:
    for role, needed in NEEDED.items():
        caps = host.children.get(role, {}).get("caps")
        if caps is None or (role == "checker" and _backend(host) == "none"):
            continue
        if missing := [CAPS[cap] for cap in needed if not caps >> cap & 1]:
            yield Finding(
                "privileges", "error", f"{role} runs without {', '.join(missing)}",
                "it cannot change addresses, tables or sockets as it has to",
                f"systemctl edit fastha  # [Service] AmbientCapabilities={' '.join(missing)}",
            )  # fmt: skip


def descriptors(host: Host, wants: Wants) -> Iterator[Finding]:
    limit = host.children.get("checker", {}).get("files")
    if limit is not None and limit < wants.checks + SPARE_FILES:
        yield Finding(
            "descriptors", "warning", f"checker may open {limit} files, and there are {wants.checks} checks",
            "when all are asked at once (a network that is away) some cannot be, and count as failed",
            f"systemctl edit fastha  # [Service] LimitNOFILE={max(65_536, 2 * wants.checks)}",
        )  # fmt: skip


def ports(host: Host, wants: Wants) -> Iterator[Finding]:
    words = host.sysctl.get("net/ipv4/ip_local_port_range", "").split()
    if len(words) != 2 or not wants.checks:
        return
    count = int(words[1]) - int(words[0]) + 1
    if count < 2 * wants.checks or count < 8192:
        yield Finding(
            "ports", "warning", f"there are {count} ephemeral ports for {wants.checks} checks",
            "checks that find no free port fail, though their real servers are well",
            sysctl("net/ipv4/ip_local_port_range", "'10240 65535'"),
        )  # fmt: skip


def _backend(host: Host) -> str:
    """What balances in the running daemon; "" if that is not known."""
    return str((host.status or {}).get("checker", {}).get("dataplane", {}).get("backend", ""))


def _ipvs(host: Host, wants: Wants) -> bool:
    return bool(wants.services) and host.ipvs is not None and _backend(host) not in ("nft", "none")
