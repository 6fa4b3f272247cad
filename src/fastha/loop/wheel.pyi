"""The wheel as tests and benches see it; native rooms use wheel.pxd."""

from typing_extensions import Buffer

class Wheel:
    """A wheel with `size` nodes of its own, named by index. All times are nanoseconds; no clock is read."""

    size: int
    armed: int
    def __init__(self, size: int, now_ns: int = 0) -> None: ...
    def is_armed(self, index: int) -> bool: ...
    def arm(self, index: int, deadline_ns: int) -> None: ...
    def disarm(self, index: int) -> None: ...
    def advance(self, now_ns: int) -> None: ...
    def pop(self) -> int | None:
        """The index of the next expired node, or None."""
    def next_ns(self) -> int: ...
    def check(self) -> int:
        """0 if every invariant holds, else the number of the first that does not."""
    def arm_all(self, deadlines_ns: Buffer) -> None:
        """Arm nodes 0, 1, ... with the int64 deadlines of an array."""
    def disarm_all(self) -> None: ...
    def run_until(self, now_ns: int) -> int:
        """Advance and pop everything; answer how many."""
