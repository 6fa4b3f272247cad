def now_ns() -> int:
    """CLOCK_MONOTONIC, nanoseconds; what the native rooms see as monotonic_ns()."""
