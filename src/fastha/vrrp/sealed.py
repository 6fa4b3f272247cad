"""How an instance signs and verifies its adverts, as native code wants to know it (seal.pxd). Pure."""

from __future__ import annotations

from dataclasses import dataclass

from fastha.model import VrrpInstance
from fastha.wire.address import number

AHEAD_AH = 1000  # adverts
AHEAD_HMAC = 1 << 32  # a second: the smallest time_window bears it
AH_LAST = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Seal:
    """`ah`: an authentication header, with key 0; else a trailer. `active`: the key that signs, 0: none (AH: 1).
    `demand`: what is unsigned is dropped. `window_s`: how far from our clock it may be, 0: not compared. `peers`: who
    may speak, none: anybody."""

    ah: bool
    keys: tuple[tuple[int, bytes], ...]
    active: int
    demand: bool = True
    window_s: int = 0
    peers: tuple[int, ...] = ()


def seal_of(instance: VrrpInstance) -> Seal | None:
    """None: adverts are not signed."""
    return ah_of(instance) or hmac_of(instance)


def beyond(seal: Seal | None, reported: int) -> int:
    """A number that no peer has heard from a predecessor, which said `reported` (0: nothing) and may have sent a few
    more since. It was of the other kind if an authentication header has no room for it."""
    if seal is None or not reported or (seal.ah and reported > AH_LAST - AHEAD_AH):
        return 0
    return reported + (AHEAD_AH if seal.ah else AHEAD_HMAC)


def ah_of(instance: VrrpInstance) -> Seal | None:
    """RFC 2338 section 5.3.6.3, with the password as the key of HMAC-MD5."""
    if instance.version != 2 or instance.auth.kind != "ah":
        return None
    return Seal(True, ((0, instance.auth.password.encode()),), 1)


def hmac_of(instance: VrrpInstance) -> Seal | None:
    hmac = instance.hmac
    if hmac is None:
        return None
    return Seal(
        ah=False,
        keys=tuple((key.number, bytes.fromhex(key.value)) for key in hmac.keys),
        active=0 if hmac.mode == "receive-only" else hmac.active,
        demand=hmac.mode == "enforce",
        window_s=hmac.window_s,
        peers=tuple(map(number, instance.unicast_peers)),
    )
