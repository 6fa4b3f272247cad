"""Random services, destinations, tables and operations for walks; the caller owns the seed."""

from __future__ import annotations

import random
import socket
from typing import Any

from fastha.dataplane.rows import (
    Dest,
    DestKey,
    Forward,
    Op,
    Service,
    ServiceFlag,
    ServiceKey,
    ServiceRow,
    Table,
    TunnelType,
    Verb,
)

SCHEDULERS = ("rr", "wrr", "lc", "wlc", "sh", "mh")
KEYS = (
    ServiceKey(socket.AF_INET, socket.IPPROTO_TCP, "10.0.0.1", 80),
    ServiceKey(socket.AF_INET, socket.IPPROTO_UDP, "10.0.0.1", 80),
    ServiceKey(socket.AF_INET, socket.IPPROTO_SCTP, "10.0.0.2", 8080),
    ServiceKey(socket.AF_INET6, socket.IPPROTO_TCP, "2001:db8::1", 443),
    ServiceKey(socket.AF_INET, 0, fwmark=7),
    ServiceKey(socket.AF_INET6, 0, fwmark=7),
)


def service(rng: random.Random, key: ServiceKey) -> Service:
    """Any service the kernel accepts under `key`."""
    full = 128 if key.family == socket.AF_INET6 else 32
    persistent = rng.random() < 0.4
    flags = rng.choice((0, ServiceFlag.SCHED1, ServiceFlag.SCHED2, ServiceFlag.SCHED1 | ServiceFlag.SCHED3))
    if persistent:
        flags |= ServiceFlag.PERSISTENT
    if key.protocol == socket.IPPROTO_UDP and rng.random() < 0.3:
        flags |= ServiceFlag.ONEPACKET
    return Service(
        rng.choice(SCHEDULERS),
        int(flags),
        timeout_s=rng.choice((10, 360)) if persistent else 0,
        netmask=rng.choice((24, full)) if persistent else full,
    )


def dest_key(rng: random.Random, key: ServiceKey, spread: int = 6) -> DestKey:
    net = "2001:db8:2::" if key.family == socket.AF_INET6 else "10.2.0."
    return DestKey(f"{net}{rng.randint(1, spread)}", 0 if key.fwmark else 80)


def dest(rng: random.Random) -> Dest:
    upper = rng.choice((0, 0, 100))
    forward = rng.choice((Forward.NAT, Forward.DR, Forward.TUN))
    return Dest(
        forward,
        rng.choice((0, 0, 1, 2, 5)),
        uthreshold=upper,
        lthreshold=upper and rng.choice((0, 50)),
        **(tunnel(rng) if forward == Forward.TUN else {}),
    )


def tunnel(rng: random.Random) -> dict[str, Any]:
    """The tun_* fields: IPIP has none, GUE needs a port, GRE has flags alone."""
    kind = rng.choice(list(TunnelType))
    if kind == TunnelType.IPIP:
        return {}
    flags = rng.choice((0, 1, 2)) if kind == TunnelType.GUE else rng.choice((0, 1))
    return {"tun_type": kind, "tun_port": 6080 if kind == TunnelType.GUE else 0, "tun_flags": flags}


def table(rng: random.Random, keys: tuple[ServiceKey, ...] = KEYS, most: int = 24) -> Table:
    out: Table = {}
    for key in rng.sample(keys, rng.randint(0, len(keys))):
        count = rng.choice((0, 1, 3, most))
        out[key] = ServiceRow(service(rng, key), {dest_key(rng, key, most): dest(rng) for _ in range(count)})
    return out


def op(rng: random.Random) -> Op:
    """Any operation, sensible or not."""
    verb, key = rng.choice(list(Verb)), rng.choice(KEYS)
    if verb in (Verb.NEW_SERVICE, Verb.SET_SERVICE):
        return Op(verb, key, service(rng, key))
    if verb == Verb.DEL_SERVICE:
        return Op(verb, key)
    wanted = None if verb == Verb.DEL_DEST else dest(rng)
    if wanted and rng.random() < 0.1:
        wanted = Dest(wanted.forward, wanted.weight, uthreshold=1, lthreshold=2)  # refused: ERANGE
    elif wanted and rng.random() < 0.05:
        wanted = Dest(Forward.TUN, wanted.weight, tun_type=TunnelType.GUE)  # no port: EINVAL
    return Op(verb, key, dest_key=dest_key(rng, key), dest=wanted)
