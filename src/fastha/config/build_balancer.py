"""The `lvs_*` and `nftables_ipvs*` words of `global_defs` -> LvsDefs."""

from __future__ import annotations

import re

from fastha.config import values
from fastha.config.item import Item
from fastha.config.tree import Faults, Place, Statement, shown
from fastha.lean import dataclass, field, replace
from fastha.model import LvsDefs, SyncDaemon, VrrpInstance

TIMEOUTS = {"tcp": "timeout_tcp_s", "tcpfin": "timeout_tcpfin_s", "udp": "timeout_udp_s"}
LONGEST_S = 31 * 86400  # ip_vs_ctl.c: IP_VS_MAX_TIMEOUT would allow more; keepalived's limit
DEFAULT_TABLE = "keepalived_ipvs"
TABLE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.\\/-]{0,254}")  # nft(8): identifiers
# word -> field of SyncDaemon, lowest, highest value (ip_vs.h: sync_maxlen, mcast_port, mcast_ttl)
NUMBERS = {
    "id": ("sync_id", 0, 255),
    "maxlen": ("maxlen", 1, 65507),
    "port": ("port", 1, 65535),
    "ttl": ("ttl", 1, 255),
}
WORDS = frozenset({
    "lvs_timeouts", "lvs_flush", "lvs_flush_on_stop", "lvs_sync_daemon", "nftables_ipvs", "nftables_ipvs_priority",
    "nftables_ipvs_start_fwmark",
})  # fmt: skip


@dataclass(slots=True)
class Balancer:
    """What `global_defs` says about the kernel's balancer so far."""

    defs: LvsDefs = field(default_factory=LvsDefs)
    daemon_at: Statement | None = None
    said_id: bool = False
    options: dict[str, Place] = field(default_factory=dict)  # of the marks, for the case that there is no table


def read_balancer(item: Item, into: Balancer, faults: Faults) -> None:
    """One keyword of WORDS."""
    words, statement = item.statement.words, item.statement
    match item.name:
        case "lvs_timeouts":
            _timeouts(item, into, faults)
        case "lvs_flush":
            into.defs = replace(into.defs, flush=True)
        case "lvs_flush_on_stop":
            if len(words) > 1 and words[1] != "VS":
                faults.error(statement.place(1), f"'{shown(words[1])}' is not VS", "lvs_flush_on_stop [VS]")
            into.defs = replace(into.defs, flush_on_stop="VS" if len(words) > 1 else "all")
        case "lvs_sync_daemon":
            if into.daemon_at is not None:
                faults.warning(statement.place(), "lvs_sync_daemon is there already; this one is ignored")
            else:
                into.daemon_at = statement
                into.defs = replace(into.defs, sync_daemon=_daemon(statement, into, faults))
        case "nftables_ipvs":
            name = words[1] if len(words) > 1 else DEFAULT_TABLE
            if not TABLE_NAME.fullmatch(name):
                faults.error(statement.place(1), f"'{shown(name)}' is not a name for a table of nftables")
            into.defs = replace(into.defs, marks_table=name)
        case "nftables_ipvs_priority":
            into.options[item.name] = statement.place()
            value = values.number(item, faults)
            into.defs = replace(into.defs, marks_priority=into.defs.marks_priority if value is None else value)
        case "nftables_ipvs_start_fwmark":
            into.options[item.name] = statement.place()
            into.defs = replace(into.defs, marks_start=values.number(item, faults) or into.defs.marks_start)


def settle_balancer(balancer: Balancer, instances: list[VrrpInstance], faults: Faults) -> LvsDefs:
    """What needs the whole file: the instance that the daemon follows, and its number."""
    defs = balancer.defs
    if not defs.marks_table:
        for word, place in balancer.options.items():
            faults.warning(place, f"{word} has no effect without nftables_ipvs")
    daemon, at = defs.sync_daemon, balancer.daemon_at
    if daemon is None or at is None or not daemon.instance:
        return defs
    instance = next((i for i in instances if i.name == daemon.instance), None)
    if instance is None:
        hint = f"the number is written: id {daemon.instance}" if daemon.instance.isdecimal() else ""
        faults.error(at.place(2), f"lvs_sync_daemon: there is no vrrp_instance {shown(daemon.instance)}", hint)
        return defs
    if not balancer.said_id:
        defs = replace(defs, sync_daemon=replace(daemon, sync_id=instance.vrid))
    return defs


def _timeouts(item: Item, into: Balancer, faults: Faults) -> None:
    statement, words = item.statement, item.statement.words
    if len(words) == 1:
        faults.error(statement.place(), "lvs_timeouts needs a value", "lvs_timeouts tcp 900 tcpfin 120 udp 300")
    for i in range(1, len(words), 2):
        if words[i] not in TIMEOUTS:
            faults.error(statement.place(i), f"'{shown(words[i])}' is no timeout of IPVS", "tcp, tcpfin or udp")
            return
        if i + 1 == len(words):
            faults.error(statement.place(i), f"{words[i]} needs a number of seconds")
            return
        value = values.number(item, faults, i + 1, 0, LONGEST_S)
        if value is not None:
            into.defs = replace(into.defs, **{TIMEOUTS[words[i]]: value})  # type: ignore[arg-type]  # ints


def _daemon(statement: Statement, into: Balancer, faults: Faults) -> SyncDaemon | None:
    """IF [[inst] INSTANCE] [id N] [maxlen N] [port N] [ttl N] [group ADDRESS]."""
    words = statement.words
    interface = values.interface(statement, 1, faults)
    if interface is None:
        return None
    daemon, i = SyncDaemon(interface), 2
    if len(words) > i and words[i] not in (*NUMBERS, "group"):
        i += words[i] == "inst"
        if i == len(words):
            faults.error(statement.place(i), "inst needs the name of a vrrp_instance")
            return None
        daemon = replace(daemon, instance=words[i])
        i += 1
    while i < len(words):
        word = words[i]
        if word not in NUMBERS and word != "group":
            hint = f"id {word}" if word.isdecimal() else "id, maxlen, port, ttl or group"
            faults.error(statement.place(i), f"'{shown(word)}' is no option of lvs_sync_daemon", hint)
            return None
        if i + 1 == len(words):
            faults.error(statement.place(i), f"{word} needs a value")
            return None
        if word == "group":
            ip = values.address(statement, i + 1, faults)
            if ip is not None and not ip.is_multicast:
                faults.error(statement.place(i + 1), f"{ip} is not a multicast address")
            daemon = replace(daemon, group=str(ip or ""))
        else:
            name, low, high = NUMBERS[word]
            value = words[i + 1]
            if not values.INTEGER.fullmatch(value) or not low <= int(value) <= high:
                faults.error(statement.place(i + 1), f"{word} must be {low} to {high}, not '{shown(value)}'")
                return None
            daemon = replace(daemon, **{name: int(value)})  # type: ignore[arg-type]  # ints
            into.said_id |= word == "id"
        i += 2
    return daemon
