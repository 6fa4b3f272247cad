"""Shell: configuration text from the file system."""

from __future__ import annotations

import errno
import glob
import os
import stat

from fastha.config.include import has_wildcard
from fastha.config.reader import SkippedFile


class RealFiles:
    """config.reader.Files on the real file system."""

    def read(self, path: str) -> bytes:
        # O_NONBLOCK: opening a FIFO must not wait for its writer. What is not a regular file is refused below.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as f:
            mode = os.fstat(fd).st_mode
            if not stat.S_ISREG(mode):
                raise SkippedFile(errno.EINVAL, "it is not a regular file", path)
            if mode & (stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH):
                raise SkippedFile(errno.EACCES, "it is executable", path)
            return f.read()

    def glob(self, pattern: str) -> list[str]:
        if not has_wildcard(pattern):
            return [pattern] if os.path.lexists(pattern) else []
        return sorted(glob.glob(pattern))
