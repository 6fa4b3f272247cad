"""`promote_secondaries`: a secondary address becomes primary when the primary goes; without it all would go."""

from __future__ import annotations

import logging

SYSCTL = "/proc/sys/net/ipv4/conf/{}/promote_secondaries"


class Promotion:
    """Set on the interfaces that somebody wants it for; put back when nobody does any more."""

    def __init__(self) -> None:
        self._wanted: dict[int, frozenset[str]] = {}  # who -> interfaces
        self._before: dict[str, str] = {}

    def want(self, who: int, devs: frozenset[str]) -> None:
        """Those interfaces exist."""
        if devs == self._wanted.get(who, frozenset()):
            return
        self._wanted[who] = devs
        wanted = frozenset().union(*self._wanted.values())
        for dev in wanted - self._before.keys():
            self._before[dev] = _read(dev)
            _write(dev, "1")
        for dev in self._before.keys() - wanted:
            _write(dev, self._before.pop(dev))

    def close(self) -> None:
        """Put back everything."""
        for who in list(self._wanted):
            self.want(who, frozenset())


def _read(dev: str) -> str:
    try:
        with open(SYSCTL.format(dev)) as file:
            return file.read().strip()
    except OSError:
        return ""


def _write(dev: str, value: str) -> None:
    try:
        if value:
            with open(SYSCTL.format(dev), "w") as file:
                file.write(value)
    except OSError as error:
        if not isinstance(error, FileNotFoundError):  # gone meanwhile
            logging.getLogger("fastha").error("promote_secondaries of %s: %s", dev, error.strerror)
