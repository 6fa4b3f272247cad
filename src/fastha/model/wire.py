"""Where an instance departs from what its peers expect on the wire, and whom it believes."""

from __future__ import annotations

from fastha.lean import dataclass

TTL = 255  # RFC 9568 section 5.1.1.3


@dataclass(frozen=True, slots=True)
class PeerTtl:
    """`min_ttl` and `max_ttl` of a `unicast_peer`: what its adverts must arrive with."""

    ip: str
    low: int = 0
    high: int = TTL


@dataclass(frozen=True, slots=True)
class Wire:
    """`ttl`: of unicast adverts. `source`: of multicast ones, empty: the interface's own address. `group`: where they
    go, empty: that of RFC 9568. `listed`: unicast adverts count from peers alone. `bounds`: of peers that have any.
    `trusting`: addresses are not compared again in adverts of the same master. `plain_sum`: version 3 over IPv4 without
    a pseudo header. `old_sum`: with the multicast group in that of unicast. `lacks_peer`: there must be a peer, and
    there is none. `track_source`: FAULT without the source address. `track_primary`: FAULT when the interface is down.
    """

    ttl: int = TTL
    source: str = ""
    group: str = ""
    listed: bool = False
    bounds: tuple[PeerTtl, ...] = ()
    trusting: bool = False
    plain_sum: bool = False
    old_sum: bool = False
    lacks_peer: bool = False
    track_source: bool = False
    track_primary: bool = True
