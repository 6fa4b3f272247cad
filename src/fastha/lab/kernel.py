"""What the running kernel can do, found out by trying."""

from __future__ import annotations

import contextlib
import functools
import subprocess

from fastha.errors import SystemFault
from fastha.lab.netns import Namespace

_LINKS = ("veth", "bridge", "macvlan", "dummy")


@functools.cache
def has(feature: str) -> bool:
    """Whether the kernel has veth, bridge, macvlan, dummy, netem, nft (NAT) or ip_vs. Needs root, except for ip_vs."""
    if feature == "ip_vs":
        with contextlib.suppress(FileNotFoundError):
            subprocess.run(["modprobe", "-q", "ip_vs"], check=False, capture_output=True)
        try:
            with open("/proc/net/ip_vs", "rb"):
                return True
        except OSError:
            return False
    with Namespace.create("probe") as probe:
        if feature in _LINKS:
            extra = " peer name probe1" if feature == "veth" else ""
            lines = [f"link add probe0 type {feature}{extra}"]
            if feature == "macvlan":
                lines = ["link add probe1 type veth peer name probe2", "link add link probe1 name probe0 type macvlan"]
            try:
                probe.ip(*lines)
            except SystemFault:
                return False
            return True
        if feature == "netem":
            return (
                probe.run(["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"], check=False).returncode
                == 0
            )
        if feature == "nft":
            rules = "table ip t { chain c { type nat hook prerouting priority dstnat; dnat to 10.0.0.2; }; }"
            return probe.run(["nft", "-f", "-"], stdin=rules, check=False).returncode == 0
    raise ValueError(f"no probe for kernel feature {feature!r}")
