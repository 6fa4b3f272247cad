"""What a test needs from the machine. Missing: the test is skipped with the reason; under CI=true it fails.

Call them in the test, in a fixture, or at the top of a module::

    need.root()
    need.tool("tshark")
    need.kernel("veth", "bridge")

`passable(folder)`: other users get into a folder of pytest's.
`wait_until(condition, deadline_s, why)` is here too: tests wait for a condition, they do not sleep and hope.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from fastha.lab.kernel import has
from fastha.lab.wait import wait_until

__all__ = ["has", "kernel", "lack", "passable", "root", "tool", "wait_until"]

# Where the answer to a missing tool is: package names on Debian, where they differ from the tool's.
PACKAGE = {
    "ip": "iproute2",
    "nft": "nftables",
    "nginx": "nginx-light",
    "tc": "iproute2",
    "modprobe": "kmod",
    "cc": "gcc",
}


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def lack(reason: str) -> NoReturn:
    """Skip for `reason`; in CI, where everything must be there, fail instead."""
    if in_ci():
        pytest.fail(f"CI must have it: {reason}", pytrace=False)
    pytest.skip(reason, allow_module_level=True)


def root() -> None:
    """The test makes network namespaces or opens raw sockets: effective user id 0, on Linux."""
    if not sys.platform.startswith("linux"):
        lack("needs Linux")
    if os.geteuid() != 0:
        lack("needs root")


def tool(*names: str) -> str:
    """Programs in the PATH (the daemons' sbin folders count); returns the path of the first."""
    search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
    paths = []
    for name in names:
        path = shutil.which(name, path=search)
        if path is None:
            lack(f"needs the program {name} (Debian: apt-get install {PACKAGE.get(name, name)})")
        paths.append(path)
    return paths[0]


def kernel(*features: str) -> None:
    """Kernel features, probed: veth, bridge, macvlan, dummy, netem, nft, ip_vs."""
    root()
    tool("ip")
    for feature in features:
        if not has(feature):
            lack(f"needs a kernel with {feature}")


def passable(folder: Path) -> None:
    """Let everybody read `folder` and pass what is above it: pytest's folders are for their owner alone."""
    folder.chmod(0o755)
    for above in folder.parents:
        if not above.stat().st_mode & 0o001:
            above.chmod(above.stat().st_mode | 0o011)
