from typing import Any

from fastha.config.mould import Fill

class Cast:
    """As fastha.config.mould.Cast."""

    def __init__(self, cls: type, same: list[tuple[str, Any]], made: list[tuple[str, Fill]]) -> None: ...
    def __call__(self, ip: str) -> Any: ...
