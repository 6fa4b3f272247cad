"""`vrrp_strict`, `strict_mode`: what is not of the RFC is put right, with a warning (keepalived.md 2.8).

As keepalived 2.2.7 does it (observed): nothing of this refuses the file, except that there must be an address.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import TYPE_CHECKING

from fastha.config.tree import Faults, Place
from fastha.model import Auth

if TYPE_CHECKING:
    from fastha.config.build_globals import Globals
    from fastha.config.draft import Draft

LOWER = {"garp_lower_prio_delay": "lower_prio_delay_ns", "garp_lower_prio_repeat": "lower_prio_repeat"}
# What keepalived sets, RFC 9568 section 6.4.3: a lower advert is discarded, a higher one not answered.
ANSWERS = {"lower_prio_no_advert": True, "higher_prio_send_advert": False}


def settle_strict(draft: Draft, globals_: Globals, version: int, at: Callable[[str], Place], faults: Faults) -> None:
    """Correct `draft`, of which nothing was settled yet."""

    def warn(keyword: str, text: str) -> None:
        faults.warning(at(keyword), f"strict_mode: {text}")

    owner = draft.priority == 255 or (draft.state == "MASTER" and draft.priority is None)
    if draft.state and (draft.state == "MASTER") is not owner:
        warn("state", f"state {'MASTER' if owner else 'BACKUP'}, as priority 255 alone is the owner's")
        draft.state = "MASTER" if owner else "BACKUP"
    if draft.auth.kind != "none":
        warn("authentication", "there is no authentication; it is ignored")  # RFC 9568 section 9
        draft.auth = Auth()
    if draft.hmac is not None and draft.hmac.mode != "enforce":
        warn("auth_hmac", f"mode enforce is used, not {draft.hmac.mode}")
        draft.hmac.mode = "enforce"
    if draft.unicast_peers:
        warn("unicast_peer", "adverts are multicast; unicast is used all the same")
    _addresses(draft, warn)
    if draft.vmac.mac:
        warn("use_vmac", "the MAC address is that of RFC 9568 section 7.3")
        draft.vmac.mac = ""
    if draft.vmac.xmit_base:
        warn("vmac_xmit_base", "adverts leave with the MAC address of the VMAC")
        draft.vmac.xmit_base = False
    if draft.preempt_delay_ns:
        warn("preempt_delay", "there is no preempt_delay")
        draft.preempt_delay_ns = 0
    if (draft.down_timer_adverts or globals_.down_timer_adverts) != 3:
        warn("down_timer_adverts", "three adverts must be missed")
    draft.down_timer_adverts = 3
    _accept(draft, version, owner, warn)
    for keyword, field in LOWER.items():
        if draft.garp.get(field):
            warn(keyword, "a lower advert is not answered")
        draft.garp[field] = 0
    for keyword, right in ANSWERS.items():
        said = draft.answers.get(keyword)
        if said is not None and said is not right:
            warn(keyword, f"{keyword} is {'on' if right else 'off'}")
        draft.answers[keyword] = right


def _addresses(draft: Draft, warn: Callable[[str, str], object]) -> None:
    if draft.no_addresses:
        warn("no_virtual_ipaddress", "there must be an address")
        draft.no_addresses = False
    first = ip_address(draft.addresses[0].ip) if draft.addresses else None
    if first is not None and first.version == 6 and not first.is_link_local:
        warn("virtual_ipaddress", f"{first} is first, which should be link-local")  # RFC 9568 section 5.2.9


def _accept(draft: Draft, version: int, owner: bool, warn: Callable[[str, str], object]) -> None:
    """RFC 9568 section 6.1: Accept_Mode is off unless said; version 2 has none, RFC 3768 section 6.4.3."""
    if draft.accept and version == 2 and not owner:
        warn("accept", "only the owner accepts packets with version 2")
        draft.accept = False
    if draft.accept is None:
        draft.accept = owner
