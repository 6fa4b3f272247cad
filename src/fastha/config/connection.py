"""What every check that talks over the network may say: from where, to whom, when."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TypedDict

from fastha.config import values
from fastha.config.inherit import Timing, read_timing
from fastha.config.item import Item
from fastha.config.tree import Faults, Statement
from fastha.lean import dataclass, field


class Connected(TypedDict):
    """The fields of fastha.model.Networked."""

    ip: str
    port: int
    bind_ip: str
    bind_port: int
    bind_if: str
    fwmark: int
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
    bind_if: str = ""
    fwmark: int = 0
    timing: Timing = field(default_factory=Timing)

    def settled(
        self, item: Item, above: Timing, retry_delay_ns: int | None, faults: Faults, port: bool = True, retry: int = 1
    ) -> Connected:
        """Every field with its value, and what does not go together. `above`: what it inherits; `retry_delay_ns` (None:
        delay_loop) and `retry`: the defaults of the kind; `port`: whether it needs one."""
        if self.bind_at is not None and self.bind_ip and (":" in self.bind_ip) != (":" in self.ip):
            faults.error(self.bind_at.place(1), f"bindto {self.bind_ip} and the address checked differ in family")
        if port and not self.port:
            faults.error(item.statement.place(), f"{item.name}: the server has no port", "connect_port N")
        if not self.bind_if and (local := next((ip for ip in (self.ip, self.bind_ip) if link_local(ip)), None)):
            faults.error(
                item.statement.place(), f"{item.name}: {local} means nothing without its interface", "bind_if IF"
            )
        return Connected(
            ip=self.ip, port=self.port, bind_ip=self.bind_ip, bind_port=self.bind_port, bind_if=self.bind_if,
            fwmark=self.fwmark, **self.timing.over(above).settled(retry_delay_ns, retry),
        )  # fmt: skip


def link_local(ip: str) -> bool:
    """fe80::/10 (RFC 4291 section 2.5.6)."""
    return ":" in ip and ip_address(ip).is_link_local


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
        case "bind_if":
            draft.bind_if = values.interface(statement, 1, faults) or ""
        case "fwmark":
            draft.fwmark = values.number(item, faults, low=0, high=(1 << 32) - 1) or 0
        case _:
            return read_timing(item, draft.timing, faults)
    return True
