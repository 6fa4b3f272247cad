"""`reload_time_file`: when its text asks for a reload. Pure.

    [YY-MM-DD |YYYY-MM-DD ]HH:MM:SS[Z]      Z: UTC, else local time

Without a date it means the next time the clock shows it. With one it means that moment; one that has passed when the
file is first seen asks for nothing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

FORM = re.compile(rb"\s*(?:(\d\d|\d{4})-(\d\d)-(\d\d)\s+)?(\d\d):(\d\d):(\d\d)(Z?)\s*\Z")
DAY_S = 86400
MOST_BYTES = 64

Fields = tuple[int, int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Appointment:
    """`at`: seconds since the epoch. `dated`: it happens once whatever reload_repeat says."""

    at: float
    dated: bool


def parse(
    text: bytes,
    now: float,
    local: Callable[[float], time.struct_time] = time.localtime,
    make_local: Callable[[Fields], float] = lambda fields: time.mktime((*fields, 0, 0, -1)),
) -> Appointment | None:
    """When `text` asks for, at or after `now`; None if it asks for nothing any more. ValueError if it is no time."""
    match = FORM.match(text[:MOST_BYTES])
    if match is None:
        raise ValueError("not HH:MM:SS with at most a date before it and Z after it")
    year, month, day, hour, minute, second = (int(group) if group else 0 for group in match.groups()[:6])
    utc = bool(match.group(7))
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError("no time of day")

    def moment(y: int, mo: int, d: int) -> float:
        fields = y, mo, d, hour, minute, second
        return float(_utc(fields)) if utc else make_local(fields)

    if match.group(1):
        year += 2000 if len(match.group(1)) == 2 else 0
        if not (year >= 1970 and 1 <= month <= 12 and 1 <= day <= _days(year, month)):
            raise ValueError("no such day")
        at = moment(year, month, day)
        return Appointment(at, True) if at >= now else None
    for ahead in (0, 1):
        today = time.gmtime(now + ahead * DAY_S) if utc else local(now + ahead * DAY_S)
        at = moment(today.tm_year, today.tm_mon, today.tm_mday)
        if at >= now:
            return Appointment(at, False)
    return None  # the hour that a clock change left out, twice: nothing to wait for


def _days(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]


def _utc(fields: Fields) -> int:
    """Seconds since the epoch (POSIX, 4.16) of UTC fields."""
    year, month, day, hour, minute, second = fields
    days = sum(365 + (_days(y, 2) == 29) for y in range(1970, year))
    days += sum(_days(year, m) for m in range(1, month)) + day - 1
    return days * DAY_S + hour * 3600 + minute * 60 + second
