"""What every check that talks over the network may say: from where, to whom, when."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypedDict

from fastha.config import values
from fastha.config.inherit import Timing, read_timing
from fastha.config.shape import Item
from fastha.config.tree import Faults, Statement


class Connected(TypedDict):
    """The fields of fastha.model.Networked."""

    ip: str
    port: int
    bind_ip: str
    bind_port: int
    delay_ns: int
    retry_delay_ns: int
    retry: int
    warmup_ns: int
    timeout_ns: int
    alpha: bool
    rise: int
    log_all_failures: bool


@dataclass(slots=True)
class Connection:
    """A check while it is read. `ip`, `port`: the real server's unless the check says otherwise."""

    ip: str
    port: int
    bind_ip: str = ""
    bind_port: int = 0
    bind_at: Statement | None = None
    timing: Timing = field(default_factory=Timing)

    def settled(self, item: Item, above: Timing, retry_delay_ns: int, faults: Faults, port: bool = True) -> Connected:
        """Every field with its value, and what does not go together. `above`: what it inherits; `retry_delay_ns`: the
        default of the kind; `port`: whether it needs one."""
        if self.bind_at is not None and self.bind_ip and (":" in self.bind_ip) != (":" in self.ip):
            faults.error(self.bind_at.place(1), f"bindto {self.bind_ip} and the address checked differ in family")
        if port and not self.port:
            faults.error(item.statement.place(), f"{item.name}: the server has no port", "connect_port N")
        return Connected(
            ip=self.ip, port=self.port, bind_ip=self.bind_ip, bind_port=self.bind_port,
            **self.timing.over(above).settled(retry_delay_ns),
        )  # fmt: skip


def connection_word(item: Item, draft: Connection, faults: Faults) -> bool:
    """Put this keyword's value into `draft`; False if the keyword is not one of these."""
    statement = item.statement
    match item.name:
        case "connect_ip":
            if (ip := values.address(statement, 1, faults)) is not None:
                draft.ip = str(ip)
        case "connect_port":
            draft.port = values.port(statement, 1, faults) or draft.port
        case "bindto":
            draft.bind_at = statement
            if (ip := values.address(statement, 1, faults)) is not None:
                draft.bind_ip = str(ip)
        case "bind_port":
            draft.bind_port = values.port(statement, 1, faults) or 0
        case _:
            return read_timing(item, draft.timing, faults)
    return True
