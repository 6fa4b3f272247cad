"""`reload_file`: a file that is there while the configuration is being read, so that who writes it can wait."""

from __future__ import annotations

import os

from fastha.log import Log


class Marker:
    """`put` before reading, `remove` after it. What cannot be done is a warning: the reload goes on."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._path = ""

    def put(self, path: str) -> None:
        """Create or empty it; "": there is none to be."""
        self._path = path
        if not path:
            return
        try:
            # Not through a link somebody left there, and never a device or FIFO to wait for.
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            os.close(os.open(path, flags, 0o644))
        except OSError as error:
            self._log.warning(f"reload_file {path}: {error.strerror or error}")
            self._path = ""

    def remove(self) -> None:
        path, self._path = self._path, ""
        clear(path)


def clear(path: str) -> None:
    """Also one that an earlier daemon left behind."""
    if path:
        try:
            os.unlink(path)
        except OSError:
            pass
