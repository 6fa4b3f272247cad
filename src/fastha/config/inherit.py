"""Settings that pass from a virtual server to its real servers and on to their checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from fastha.config import values
from fastha.config.item import Item
from fastha.config.tree import Faults
from fastha.lean import dataclass
from fastha.model import TrackFile
from fastha.model.units import NS_PER_S

DELAY_US = 1, (1 << 64) // 1000  # more than 0; keepalived takes any 64 bit number of microseconds
TIMEOUT_US = 1, values.US_LIMIT


@dataclass(slots=True)
class Timing:
    """Check settings as far as one level says them; None: ask the level above."""

    delay_ns: int | None = None
    retry_delay_ns: int | None = None
    retry: int | None = None
    warmup_ns: int | None = None
    timeout_ns: int | None = None
    alpha: bool | None = None
    rise: int | None = None
    log_all_failures: bool | None = None
    virtualhost: str | None = None
    files: Mapping[str, TrackFile] | None = None  # that checks may name

    def over(self, above: Timing) -> Timing:
        """These settings, and those of `above` where these say nothing."""
        return Timing(
            self.delay_ns if self.delay_ns is not None else above.delay_ns,
            self.retry_delay_ns if self.retry_delay_ns is not None else above.retry_delay_ns,
            self.retry if self.retry is not None else above.retry,
            self.warmup_ns if self.warmup_ns is not None else above.warmup_ns,
            self.timeout_ns if self.timeout_ns is not None else above.timeout_ns,
            self.alpha if self.alpha is not None else above.alpha,
            self.rise if self.rise is not None else above.rise,
            self.log_all_failures if self.log_all_failures is not None else above.log_all_failures,
            self.virtualhost if self.virtualhost is not None else above.virtualhost,
            self.files if self.files is not None else above.files,
        )

    def settled(self, retry_delay_ns: int | None, retry: int = 1) -> Settled:
        """Every setting with its value; `retry_delay_ns` (None: delay_loop) and `retry` are the defaults of the kind of
        check."""
        delay_ns = 60 * NS_PER_S if self.delay_ns is None else self.delay_ns
        return Settled(
            delay_ns=delay_ns,
            retry_delay_ns=next(ns for ns in (self.retry_delay_ns, retry_delay_ns, delay_ns) if ns is not None),
            retry=retry if self.retry is None else self.retry,
            warmup_ns=delay_ns if self.warmup_ns is None else self.warmup_ns,
            timeout_ns=5 * NS_PER_S if self.timeout_ns is None else self.timeout_ns,
            alpha=bool(self.alpha),
            rise=self.rise or 1,
            log_all_failures=bool(self.log_all_failures),
        )


class Settled(TypedDict):
    """The fields that every check of the model has."""

    delay_ns: int
    retry_delay_ns: int
    retry: int
    warmup_ns: int
    timeout_ns: int
    alpha: bool
    rise: int
    log_all_failures: bool


def read_timing(item: Item, timing: Timing, faults: Faults) -> bool:
    """Put this keyword's value into `timing`; False if the keyword is not one of these."""
    match item.name:
        case "delay_loop":
            timing.delay_ns = values.seconds_ns(item, faults, *DELAY_US, "more than 0 s")
        case "delay_before_retry":
            timing.retry_delay_ns = values.seconds_ns(item, faults, 0, DELAY_US[1])
        case "retry":
            timing.retry = values.number(item, faults)
        case "warmup":
            timing.warmup_ns = values.seconds_ns(item, faults, 0, DELAY_US[1])
        case "connect_timeout":
            timing.timeout_ns = values.seconds_ns(item, faults, *TIMEOUT_US)
        case "alpha":
            timing.alpha = values.boolean(item, faults)
        case "rise":
            timing.rise = values.number(item, faults)
        case "log_all_failures":
            timing.log_all_failures = values.boolean(item, faults)
        case "virtualhost":
            timing.virtualhost = item.statement.words[1]
        case _:
            return False
    return True
