"""Being in another network namespace (setns(2); os.setns exists from Python 3.12 only)."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from fastha.errors import SystemFault

NAMESPACES = "/run/netns"  # of ip-netns(8)
CLONE_NEWNET = 0x40000000  # linux/sched.h
Place = Callable[[], AbstractContextManager[None]]  # within it this thread is there

_libc = ctypes.CDLL(None, use_errno=True)


def setns(fd: int) -> None:
    """This thread, and what it starts, is in the network namespace of `fd` from now on. OSError."""
    if _libc.setns(fd, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")


@contextmanager
def entered(path: str | os.PathLike[str]) -> Iterator[None]:
    """This thread is in the network namespace at `path` meanwhile; sockets opened now stay there for good. OSError if
    it may not go there, SystemFault if it cannot return."""
    with open("/proc/thread-self/ns/net", "rb") as home, open(path, "rb") as inside:
        if os.path.sameopenfile(inside.fileno(), home.fileno()):
            yield
            return
        setns(inside.fileno())
        try:
            yield
        finally:
            try:
                setns(home.fileno())
            except OSError as error:
                raise SystemFault(f"cannot return to the own network namespace: {error.strerror}") from None


def here() -> AbstractContextManager[None]:
    """The Place where we are."""
    return nullcontext()
