"""Many frames of one size in one system call."""

def send(fd: int, frames: bytes | memoryview, size: int, to: bytes) -> tuple[int, int]:
    """Send `frames` (each `size` bytes, one after another) to the socket address `to`.

    Returns (how many left, errno of the last failure or 0); a frame that fails is skipped.
    """
