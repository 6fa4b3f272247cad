"""What the machine must allow, asked before anything is started."""

from __future__ import annotations

from fastha.errors import SystemFault
from fastha.parent.configuration import Configuration

# linux/capability.h
CAP_NET_ADMIN = 12
CAP_NET_RAW = 13
NAMES = {CAP_NET_ADMIN: "CAP_NET_ADMIN", CAP_NET_RAW: "CAP_NET_RAW"}


def needed(config: Configuration, dataplane: str) -> dict[int, str]:
    """{capability: what it is needed for}."""
    needs = {}
    if config.has("instance"):
        needs[CAP_NET_RAW] = "to send and receive adverts"
        needs[CAP_NET_ADMIN] = "to add addresses"
    if config.has("virtual_server") and dataplane != "none":
        needs.setdefault(CAP_NET_ADMIN, "to program the load balancer")
    return needs


def effective(status: str) -> int:
    """The effective capabilities, as a bit mask, from the text of /proc/self/status (proc(5))."""
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def demand(config: Configuration, dataplane: str) -> None:
    """SystemFault with one clear line if this process lacks what `config` needs."""
    needs = needed(config, dataplane)
    if not needs:
        return
    with open("/proc/self/status") as file:
        held = effective(file.read())
    missing = [f"{NAMES[cap]} {why}" for cap, why in sorted(needs.items()) if not held >> cap & 1]
    if missing:
        raise SystemFault(f"missing privilege: {', '.join(missing)} (run as root)")
