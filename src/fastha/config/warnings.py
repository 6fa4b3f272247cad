"""What is legal and surely wrong. Pure: over built values and the statements they came from.

A warning must be nearly always right: it names what will happen, not what is unusual. Each has a code in `codes`.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastha.config import warnings_lvs, warnings_vrrp
from fastha.config.placed import Built
from fastha.config.tree import Faults, Statement
from fastha.model import VirtualServer, VrrpInstance


def advise(
    statements: Sequence[Statement],
    instances: Sequence[Built[VrrpInstance]],
    servers: Sequence[Built[VirtualServer]],
    faults: Faults,
) -> None:
    """Add the warnings. `statements`: all of the top level."""
    warnings_vrrp.advise(instances, faults)
    warnings_lvs.advise(servers, lambda: warnings_vrrp.carried(statements), bool(instances), faults)
