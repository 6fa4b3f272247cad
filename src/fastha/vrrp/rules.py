"""What an instance must know to decide: its configuration joined with facts of its interface, and the timers
that follow from both. Pure; RFC 9568 section 6.1, RFC 3768 section 6.1 for version 2.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastha.model import VrrpInstance
from fastha.model.override import VrrpOverride
from fastha.model.units import NS_PER_CS, NS_PER_S

OWNER = 255  # RFC 9568 section 5.2.4: the router that owns the addresses
MIN_INTERVAL_NS = NS_PER_CS  # the smallest interval version 3 can say
BEATS = 16  # moments in an advertisement interval at which masters speak (engine.pyx has the same number)


@dataclass(frozen=True, slots=True)
class Rules:
    """The parameters of one virtual router. `own_ip` is the primary (or unicast source) address, 0: none."""

    version: int = 3
    priority: int = 100  # configured; the effective one is in machine.State
    advert_int_ns: int = NS_PER_S
    preempt: bool = True
    preempt_delay_ns: int = 0
    down_timer_adverts: int = 3
    own_ip: int = 0
    held: bool = False  # an operator's: it never becomes master
    answers_lower: bool = True  # not with `lower_prio_no_advert`
    speaks_before_yielding: bool = False  # `higher_prio_send_advert`
    deaf: bool = False  # an owner with `owner_ignore_adverts`
    rival_priority: int = 0  # `timer_expired_backup`: no peer has a higher one; 0: anything may be

    @property
    def owner(self) -> bool:
        return self.priority == OWNER

    def skew_ns(self, priority: int, master_adver_ns: int) -> int:
        """Skew_Time: the higher the priority, the sooner. In ns, so that it orders routers also at 10 ms intervals."""
        unit = NS_PER_S if self.version == 2 else master_adver_ns  # RFC 3768 6.1: seconds; RFC 9568 6.1: intervals
        return (256 - priority) * unit // 256

    def master_down_ns(self, priority: int, master_adver_ns: int) -> int:
        """Active_Down_Interval (version 2: Master_Down_Interval): silence that makes a backup take over."""
        return self.down_timer_adverts * self.interval_ns(master_adver_ns) + self.skew_ns(priority, master_adver_ns)

    def interval_ns(self, heard_ns: int) -> int:
        """The interval a backup counts with: version 3 learns it from the master, version 2 uses its own."""
        return self.advert_int_ns if self.version == 2 else max(heard_ns, MIN_INTERVAL_NS)

    def due_ns(self, now_ns: int) -> int:
        """When a master that speaks now speaks next: after Advertisement_Interval, or up to a sixteenth of it sooner,
        at a moment that it shares with all routers of this interval. A thousand masters then leave in 16 wake-ups and
        not in a thousand, and their backups hear them so. From then on it is exactly the interval.
        """
        return (now_ns + self.advert_int_ns) // self._beat_ns * self._beat_ns

    @property
    def _beat_ns(self) -> int:
        return self.advert_int_ns // BEATS

    @property
    def silence_ns(self) -> int:
        """The longest that any peer with these timers waits: after it, every living peer has given us up.

        Skew is below one interval (version 3) or one second (version 2).
        """
        unit = NS_PER_S if self.version == 2 else self.advert_int_ns
        return self.down_timer_adverts * self.advert_int_ns + unit

    @property
    def patience_ns(self) -> int:
        """Silence after which a late master no longer believes in itself: every peer has taken over, or with
        `timer_expired_backup` the quickest one."""
        if not self.rival_priority:
            return self.silence_ns
        return self.down_timer_adverts * self.advert_int_ns + self.skew_ns(self.rival_priority, self.advert_int_ns)


def rules_of(instance: VrrpInstance, own_ip: int, override: VrrpOverride | None = None) -> Rules:
    """Join a configured instance, the address it speaks from, and what an operator has decided about it.

    Who is held, or has failed over, honours whoever is master.

    `nopreempt` does not bind an owner or an instance with `state MASTER`, and those (and `nopreempt`) leave no
    room for `preempt_delay`, as in keepalived.
    """
    preempt = instance.preempt or instance.wants_master or instance.priority == OWNER
    patient = instance.preempt and not instance.wants_master and instance.priority != OWNER
    yields = override is not None and (override.hold or override.failover)
    return Rules(
        version=instance.version,
        priority=instance.priority,
        advert_int_ns=on_the_wire_ns(instance.version, instance.advert_int_ns),
        preempt=preempt and not yields,
        preempt_delay_ns=instance.preempt_delay_ns if patient and not yields else 0,
        down_timer_adverts=instance.down_timer_adverts,
        own_ip=own_ip,
        held=override is not None and override.hold,
        answers_lower=not instance.lower_prio_no_advert,
        speaks_before_yielding=instance.higher_prio_send_advert,
        deaf=instance.owner_ignore_adverts and instance.priority == OWNER,
        rival_priority=instance.timer_expired_priority if not preempt else 0,
    )


def on_the_wire_ns(version: int, advert_int_ns: int) -> int:
    """The interval as an advert can say it: whole seconds (version 2) or centiseconds, rounded up, at least one."""
    unit = NS_PER_S if version == 2 else NS_PER_CS
    return max(-(-advert_int_ns // unit), 1) * unit
