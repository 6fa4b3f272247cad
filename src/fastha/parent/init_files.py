"""`init_file` of track_file: made when the daemon starts to use it, never by a child that is restarted (shell)."""

from __future__ import annotations

import os
from collections.abc import Iterable

from fastha.log import Log
from fastha.model import TrackFile


def make(files: Iterable[TrackFile], before: Iterable[TrackFile], log: Log) -> None:
    """Make the files of `files` that are not there; those with `overwrite` in any case. Those that were configured
    `before` stay as they are."""
    old = {(file.name, file.path) for file in before}
    for file in files:
        if file.init is None or (file.name, file.path) in old:
            continue
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        flags |= os.O_TRUNC if file.overwrite else os.O_EXCL
        try:
            fd = os.open(file.path, flags, 0o644)
        except FileExistsError:
            continue
        except OSError as error:
            log.error(f"track_file {file.name}: {file.path} cannot be made: {error.strerror or error}")
            continue
        with os.fdopen(fd, "w") as text:
            text.write(f"{file.init}\n")
