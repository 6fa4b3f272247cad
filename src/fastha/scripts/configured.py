"""From the configuration to what `launch` takes."""

from __future__ import annotations

from fastha.model import GlobalDefs
from fastha.scripts.identity import Defaults


def defaults(defs: GlobalDefs) -> Defaults:
    """Whom scripts run as that say nothing."""
    more = defs.scripts
    return Defaults(defs.script_user, defs.script_group, more.supplementary, more.user_supplementary)
