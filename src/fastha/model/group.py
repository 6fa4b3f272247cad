"""Instances that change state together."""

from __future__ import annotations

from fastha.lean import dataclass
from fastha.model.vrrp import InstanceNotify


@dataclass(frozen=True, slots=True)
class SyncGroup:
    """`vrrp_sync_group`. What the group tracks is in `track` of its members. `tracking_weight`: weighted things that
    members track count."""

    name: str
    members: tuple[str, ...] = ()  # names of instances
    tracking_weight: bool = False
    notify: InstanceNotify = InstanceNotify()  # without `deleted`
    smtp_alert: bool = False  # mail on changes
