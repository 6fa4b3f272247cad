"""What a session is configured to do, in the units of the wire, and the numbers of RFC 5880 that follow. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from fastha.model import BfdInstance
from fastha.model.units import NS_PER_US

SLOW_US = 1_000_000  # RFC 5880 section 6.8.3: at least one second between packets while not Up
SINGLE_PORT = 3784  # RFC 5881 section 4
MULTI_PORT = 4784  # RFC 5883 section 5


@dataclass(frozen=True, slots=True)
class Rules:
    """The parameters of one session. Intervals in microseconds, as packets carry them."""

    min_tx_us: int = 10_000  # DesiredMinTxInterval while Up
    min_rx_us: int = 10_000  # RequiredMinRxInterval
    idle_tx_us: int = SLOW_US
    multiplier: int = 5  # DetectMult
    passive: bool = False  # section 6.1: says nothing before it has heard something

    @property
    def slow_us(self) -> int:
        """DesiredMinTxInterval while not Up."""
        return max(self.idle_tx_us, self.min_tx_us, SLOW_US)


def rules_of(bfd: BfdInstance) -> Rules:
    """The rules of a configured session."""
    return Rules(
        min_tx_us=bfd.min_tx_ns // NS_PER_US,
        min_rx_us=bfd.min_rx_ns // NS_PER_US,
        idle_tx_us=bfd.idle_tx_ns // NS_PER_US,
        multiplier=bfd.multiplier,
        passive=bfd.passive,
    )


def port(bfd: BfdInstance) -> int:
    return MULTI_PORT if bfd.multihop else SINGLE_PORT
