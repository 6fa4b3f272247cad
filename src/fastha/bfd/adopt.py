"""What a replacement makes of its predecessor's facts, so that no peer sees a flap. Pure.

A session that was Up goes on as Up, with the discriminators the peer knows: whether that is still true the peer says
with its next packet (Down, if it has given us up meanwhile), or its silence does within a detection time. A session
that was not Up starts anew, under its old name: the discriminator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fastha.bfd.machine import Diag, Poll, Session, State, detection_us, new
from fastha.bfd.rules import Rules
from fastha.model.units import NS_PER_S, NS_PER_US

ADOPT_NS = 10 * NS_PER_S  # a predecessor that is dead for longer has no session any more, unless its peer is patient


def adopt(rules: Rules, told: Mapping[str, Any], died_ago_ns: int, mine: int, now_ns: int) -> Session:
    """The first state of a session that a predecessor reported as `told`; `mine` is its discriminator, or a new one."""
    fresh = new(rules, mine)
    if told.get("state") != str(State.UP) or mine != told.get("discriminator"):
        return fresh
    try:
        up = replace(
            fresh,
            state=State.UP,
            poll=Poll.RUNNING,  # what the peer was told may differ from what we are configured to
            desired_us=rules.min_tx_us,
            tx_us=min(rules.min_tx_us, int(told["tx_us"]) or rules.min_tx_us),
            rx_us=max(rules.min_rx_us, int(told["required_us"])),
            remote_state=State.UP,
            yours=int(told["remote_discriminator"]),
            remote_diag=Diag.NONE,
            remote_min_tx_us=int(told["remote_min_tx_us"]),
            remote_min_rx_us=int(told["remote_min_rx_us"]),
            remote_multiplier=int(told["remote_multiplier"]),
            remote_demand=bool(told["remote_demand"]),
        )
        peers_patience_us = rules.multiplier * max(int(told["desired_us"]), up.remote_min_rx_us)
    except (KeyError, TypeError, ValueError):
        return fresh
    if not up.yours or died_ago_ns > max(ADOPT_NS, peers_patience_us * NS_PER_US):
        return fresh
    return replace(up, detect_at_ns=now_ns + detection_us(up) * NS_PER_US)
