"""Interfaces that an instance makes for itself."""

from __future__ import annotations

from fastha.lean import dataclass


@dataclass(frozen=True, slots=True)
class Device:
    """`use_vmac`: a private macvlan on `base` with the virtual router's address (or another `mac`, always given here).
    `use_ipvlan`: an L2 ipvlan, which has the address of `base`.

    `group`: its link group, -1 that of `base`. `xmit_base`: adverts have the address of `base` all the same. `staged`:
    the addresses are on it while it is down; to take over is to set it up. `ipv6`: it carries such addresses too.
    `ipvlan`: its flags, "bridge", "private" or "vepa", which all on one base share; "": it is a macvlan. `own`: its own
    address, `10.0.0.9/24`, from which adverts come; of an ipvlan alone.
    """

    name: str
    base: str
    mac: str
    group: int = -1
    xmit_base: bool = False
    staged: bool = False
    ipv6: bool = False
    ipvlan: str = ""
    own: str = ""
