"""What an instance says to adverts of others beyond the RFC: `lower_prio_no_advert` and its like, own and global."""

from __future__ import annotations

from fastha.config import values
from fastha.config.item import Item
from fastha.config.tree import Faults

BARE_PRIORITY = 254  # of `timer_expired_backup` without a number: whoever is not the owner

# keyword of an instance; with vrrp_ before it, of global_defs
FLAGS = ("lower_prio_no_advert", "higher_prio_send_advert", "owner_ignore_adverts")
WORDS = (*FLAGS, "timer_expired_backup")
GLOBAL_FLAGS = tuple(f"vrrp_{name}" for name in FLAGS)


def read_flag(item: Item, into: dict[str, bool], faults: Faults) -> None:
    """One of FLAGS, of an instance or of global_defs."""
    value = values.boolean(item, faults)
    if value is not None:
        into[item.name.removeprefix("vrrp_")] = value


def rival_priority(item: Item, faults: Faults) -> int:
    """The number of `timer_expired_backup`."""
    if len(item.statement.words) == 1:
        return BARE_PRIORITY
    return values.number(item, faults) or BARE_PRIORITY
