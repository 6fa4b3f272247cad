class HttpReply:
    """The C reader for Python: the same steps as the probe engine takes."""

    status: int
    body: bytes
    length: int
    def __init__(self) -> None: ...
    def feed(self, data: bytes) -> int:
        """0: needs more, 1: complete, -1: garbage, -2: header too long. The body is gathered in `body`."""
    def take(self, data: bytes) -> tuple[int, bytes]:
        """As `feed`, but the body in `data` is handed back, and nothing is gathered."""
    def end(self) -> bool:
        """The connection has ended: whether the reply is whole."""
    def has_status(self) -> bool: ...
