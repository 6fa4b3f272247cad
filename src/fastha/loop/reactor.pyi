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
    def modify(self, fd: int, events: int) -> None:
        """Wait for other `events`. OSError (ENOENT) if `fd` was not added."""
    def remove(self, fd: int) -> None:
        """Forget `fd`; call before closing it. Safe inside any callback. OSError (ENOENT) if it was not added."""
    def call_at(self, deadline_ns: int, callback: Callable[[], object]) -> Timer:
        """Call `callback()` once, at or after `deadline_ns`; never from inside this call.

        Resolution is one tick of the wheel, 65.5 us; callbacks of one tick run in the order of arming.
        """
    def call_later(self, delay_ns: int, callback: Callable[[], object]) -> Timer: ...
    def before_sleep(self, hook: Callable[[], object]) -> None:
        """Add a hook that runs once per turn in which Python ran or a native handler answered 1."""
    def take_lag_ns(self) -> int:
        """Worst lateness of any timer since the last call, the wheel's resolution included; resets it."""
    def lag(self) -> list[int]:
        """How late timers were since the start, native ones included: counts in the steps of loop/lateness.pxd."""
    def run(self) -> None:
        """Turn until `stop()`. An exception from a callback stops the loop and is raised here.

        The loop can be run again afterwards; descriptors, timers and hooks that had their turn coming have not lost it.
        """
    def stop(self) -> None:
        """End `run()` when the present turn is done (its callbacks and hooks still run)."""
    def close(self) -> None:
        """Cancel every timer, forget every descriptor, release epoll. Idempotent."""
