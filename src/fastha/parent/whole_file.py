"""Files that are whole whenever somebody opens them: pid files, dumps."""

from __future__ import annotations

import os


def write_atomically(path: str, data: bytes, mode: int) -> None:
    """OSError. A symbolic link in its place is replaced, not followed: dumps go to a directory where everybody may
    write."""
    temporary = f"{path}.{os.getpid()}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
        os.rename(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise


def write_pid(path: str, pid: int) -> None:
    """A pid file. OSError."""
    write_atomically(path, f"{pid}\n".encode(), 0o644)
