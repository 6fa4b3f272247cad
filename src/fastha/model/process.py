"""What the processes of the daemon are to be like."""

from __future__ import annotations

from fastha.lean import dataclass

AUTO_DELAY_US = 1_000_000


@dataclass(frozen=True, slots=True)
class ProcessDefs:
    """One process. `name` "": its own; `rt_priority` 0: not real-time; `rttime_us` 0: no limit; `cpus` (): all."""

    name: str = ""
    nice: int = 0
    no_swap: bool = False
    rt_priority: int = 0
    rttime_us: int = 0
    cpus: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Processes:
    """`name`: of the parent; `names`: children show what they are; `umask` -1: as it was; `auto_priority`: how far a
    late child may raise its real-time priority, 0: never; `auto_delay_us`: how late it has to be for that."""

    name: str = ""
    names: bool = False
    vrrp: ProcessDefs = ProcessDefs()
    checker: ProcessDefs = ProcessDefs()
    bfd: ProcessDefs = ProcessDefs()
    auto_priority: int = 0
    auto_delay_us: int = AUTO_DELAY_US
    umask: int = -1
    child_wait_s: int = 5
    namespace: str = ""  # net_namespace
    ipvs_namespace: str | None = None  # net_namespace_ipvs; "": the one that the daemon was started in
    instance: str = ""
    pid_dir: bool = False

    def of(self, role: str) -> ProcessDefs:
        defs: ProcessDefs = {"vrrp": self.vrrp, "checker": self.checker, "bfd": self.bfd}[role]
        return defs

    @property
    def tag(self) -> str:
        """What tells several daemons on one machine apart; "" where there is one."""
        return "_".join(part for part in (self.namespace, self.instance) if part)

    @property
    def uses_pid_dir(self) -> bool:
        """Said, or implied by a name (keepalived.md 1.2)."""
        return self.pid_dir or bool(self.tag)
