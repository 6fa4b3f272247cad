"""How many destinations the kernel's mh takes: as many as its table has slots (ip_vs_mh.c).

Beyond that SET_SERVICE to mh fails with EINVAL, whatever the weights; and NEW_DEST under mh says it is done while the
kernel leaves the table as it was, so that new destinations get nothing and removed ones keep their traffic (both seen
on Linux 6.1 and 7.2). Such a service cannot be carried, and is refused before it is begun.

The size is CONFIG_IP_VS_MH_TAB_INDEX: 12 unless somebody builds a kernel of his own. It is read from the kernel's
configuration, else asked of the kernel itself.
"""

from __future__ import annotations

import errno
import gzip
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from fastha.dataplane.rows import Dest, DestKey, Forward, Op, Service, ServiceKey, Verb
from fastha.model import VirtualServer

# primes[] of ip_vs_mh.c, by CONFIG_IP_VS_MH_TAB_INDEX
SLOTS = {8: 251, 9: 509, 10: 1021, 11: 2039, 12: 4093, 13: 8191, 14: 16381, 15: 32749, 16: 65521, 17: 131071}
USUAL = SLOTS[12]
MOST = SLOTS[17]
_INDEX = re.compile(rb"^CONFIG_IP_VS_MH_TAB_INDEX=(\d+)$", re.M)
_PROBE = ServiceKey(2, 0, fwmark=0xFA57AFA5)  # AF_INET; a mark that nobody sets on packets


def destinations(server: VirtualServer) -> int:
    """How many destinations `server` can have in the kernel at the same time."""
    sorry = server.sorry_server
    both = sorry is not None and (sorry.inhibit or any(real.inhibit_on_failure for real in server.real_servers))
    return len(server.real_servers) + both


def configured_slots(release: str = "", root: Path = Path("/")) -> int:
    """Slots by the kernel's configuration; 0 if that cannot be read."""
    name = f"config-{release or os.uname().release}"
    for path in (root / "proc/config.gz", root / "boot" / name, root / "lib/modules" / name[7:] / "config"):
        try:
            data = path.read_bytes()
            data = gzip.decompress(data) if path.suffix == ".gz" else data
        except (OSError, EOFError):
            continue
        if found := _INDEX.search(data):
            return SLOTS.get(int(found[1]), 0)
    return 0


def asked_slots(apply: Callable[[Sequence[Op]], list[int]]) -> int:
    """USUAL if the kernel refuses one destination more, else MOST; OSError if it cannot be asked.

    Under a firewall mark that no packet has a service gets USUAL + 1 destinations, is put on mh, and goes again: some
    tenths of a second, once, and only for whoever configures that many.
    """
    ops = [Op(Verb.NEW_SERVICE, _PROBE, Service("rr"))]
    keys = (DestKey(f"198.18.{i >> 8}.{i & 255}", 0) for i in range(USUAL + 1))
    ops += (Op(Verb.NEW_DEST, _PROBE, None, key, Dest(Forward.DR, 1)) for key in keys)
    try:
        done = apply(ops)
        if any(done):
            code = next(filter(None, done))
            raise OSError(code, f"ipvs: cannot find out how much mh takes: {os.strerror(code)}")
        (result,) = apply([Op(Verb.SET_SERVICE, _PROBE, Service("mh"))])
    finally:
        apply([Op(Verb.DEL_SERVICE, _PROBE)])
    return USUAL if result == errno.EINVAL else MOST
