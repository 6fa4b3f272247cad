"""What Python sees of the reactor (reactor.pxd is what native rooms see)."""

from collections.abc import Callable

class Timer:
    """A Python timer; `cancel()` is idempotent, and `when_ns` is its deadline."""

    when_ns: int
    def cancel(self) -> None: ...

class Reactor:
    """One per child. Not thread-safe; nothing here is called from another thread."""

    turns: int
    def __init__(self) -> None: ...
    def now_ns(self) -> int:
        """CLOCK_MONOTONIC, nanoseconds."""
    def add(self, fd: int, events: int, callback: Callable[[int], object]) -> None:
        """Call `callback(events)` while `fd` has any of the epoll `events`. OSError if epoll refuses."""
    def modify(self, fd: int, events: int) -> None: ...
    def remove(self, fd: int) -> None:
        """Forget `fd`; call before closing it."""
    def call_at(self, deadline_ns: int, callback: Callable[[], object]) -> Timer:
        """Call `callback()` once, at or after `deadline_ns`."""
    def call_later(self, delay_ns: int, callback: Callable[[], object]) -> Timer: ...
    def before_sleep(self, hook: Callable[[], object]) -> None:
        """Add a hook that runs once per turn in which Python ran or a native handler answered 1."""
    def take_lag_ns(self) -> int:
        """Worst lateness of any timer since the last call; resets it."""
    def run(self) -> None:
        """Turn until `stop()`. An exception from a callback stops the loop and is raised here."""
    def stop(self) -> None: ...
    def close(self) -> None:
        """Release the epoll descriptor. Idempotent."""
