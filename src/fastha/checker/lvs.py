"""What the kernel's balancer has besides its table, and what is wanted of it: timeouts, daemons, flushes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fastha.dataplane.backend import Backend, KernelBalancer
from fastha.dataplane.rows import Daemon, Table, Timeouts
from fastha.model import LvsDefs, VirtualServer

MASTER, BACKUP = 1, 2  # IP_VS_STATE_*


def refusal(defs: LvsDefs, servers: Iterable[VirtualServer], backend: Backend) -> str:
    """Why `backend` cannot do what global_defs asks for; "" if it can."""
    if isinstance(backend, KernelBalancer):
        return ""
    for word, asked in (
        ("lvs_timeouts", timeouts(defs) != Timeouts()),
        ("lvs_sync_daemon", defs.sync_daemon is not None),
        ("lvs_flush_on_stop (of everything)", defs.flush_on_stop == "all"),
        ("nftables_ipvs", bool(defs.marks_table) and any(s.group for s in servers)),
    ):
        if asked:
            return f"{word} would have no effect: the {backend.name} dataplane is not IPVS"
    return ""


# -- timeouts --


def timeouts(defs: LvsDefs) -> Timeouts:
    """What is asked for; 0 where nothing is."""
    return Timeouts(defs.timeout_tcp_s, defs.timeout_tcpfin_s, defs.timeout_udp_s)


def over(wanted: Timeouts, others: Timeouts) -> Timeouts:
    """`wanted`, and those of `others` where it says nothing."""
    return Timeouts(wanted.tcp_s or others.tcp_s, wanted.tcpfin_s or others.tcpfin_s, wanted.udp_s or others.udp_s)


# -- synchronisation daemons --


def daemons(defs: LvsDefs, states: Mapping[str, str]) -> dict[int, Daemon] | None:
    """The daemons that should run, by state; None while it is not known. `states`: {instance: its state}."""
    sync = defs.sync_daemon
    if sync is None:
        return {}
    if not sync.instance:
        wanted: tuple[int, ...] = (MASTER, BACKUP)
    elif sync.instance not in states:
        return None
    else:
        # Whoever is not master listens to the one that is, a faulty one too.
        wanted = (MASTER,) if states[sync.instance] == "master" else (BACKUP,)
    return {
        state: Daemon(state, sync.interface, sync.sync_id, sync.maxlen, sync.port, sync.ttl, sync.group)
        for state in wanted
    }


@dataclass(frozen=True, slots=True)
class Steps:
    """First `stop` these states, then `start` these daemons."""

    stop: tuple[int, ...] = ()
    start: tuple[Daemon, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.stop or self.start)


def steps(wanted: Mapping[int, Daemon], actual: Iterable[Daemon], ours: Iterable[Daemon]) -> Steps:
    """From the daemons that run to those that should. `ours`: what we (or a predecessor) had started: those may go;
    others may go only where ours is to run, for the kernel runs one of each state."""
    running = {d.state: d for d in actual}
    stop = [s for s, d in running.items() if (w := wanted.get(s)) and not _same(w, d)]
    stop += [s for s, d in running.items() if s not in wanted and any(_same(o, d) for o in ours if o.state == s)]
    start = [d for s, d in wanted.items() if s not in running or s in stop]
    return Steps(tuple(sorted(stop)), tuple(start))


def _same(wanted: Daemon, actual: Daemon) -> bool:
    """Whether what runs is what was asked for; 0 and "" ask for the kernel's default, whatever that is."""
    if (wanted.interface, wanted.sync_id) != (actual.interface, actual.sync_id):
        return False
    names = ("maxlen", "port", "ttl", "group")
    return all(getattr(wanted, n) in (0, "", getattr(actual, n)) for n in names)


# -- lvs_flush --


def flush_whole(defs: LvsDefs, first: bool, wanted: Iterable[object], kernel: Table) -> bool:
    """Whether the table is emptied in one operation at the start: asked for, the very first start, and nothing in it
    is ours to keep. With services of ours in it, they stay and the others go one by one."""
    return first and defs.flush and bool(kernel) and not any(key in kernel for key in wanted)
