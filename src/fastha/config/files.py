"""Shell: configuration text from the file system."""

from __future__ import annotations

import errno
import glob
import os
import stat

from fastha.config.include import has_wildcard
from fastha.config.reader import SkippedFile

TRIES = 4


def _refuse(path: str, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise SkippedFile(errno.EISDIR, "it is a directory", path)
    if not stat.S_ISREG(mode):
        raise SkippedFile(errno.EINVAL, "it is not a regular file", path)
    if mode & (stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH):
        raise SkippedFile(errno.EACCES, "it is executable", path)


class RealFiles:
    """config.reader.Files on the real file system."""

    def read(self, path: str) -> bytes:
        """The bytes of one moment: a file that somebody writes meanwhile is read again, and given up after `TRIES`."""
        # O_NONBLOCK: opening a FIFO must not wait for its writer. What is not a regular file is refused below.
        for _ in range(TRIES):
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                before = os.fstat(fd)
                _refuse(path, before.st_mode)
                with os.fdopen(fd, "rb", closefd=False) as f:
                    data = f.read()
                after = os.fstat(fd)
            finally:
                os.close(fd)
            if len(data) == after.st_size and before.st_mtime_ns == after.st_mtime_ns:
                return data
        raise OSError(errno.EBUSY, "it changes while it is read", path)

    def glob(self, pattern: str) -> list[str]:
        if not has_wildcard(pattern):
            return [pattern] if os.path.lexists(pattern) else []
        return sorted(glob.glob(pattern))
