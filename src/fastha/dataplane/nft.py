"""The nft backend: a Table held in the nftables tables `ip fastha` and `ip6 fastha` of this network namespace (shell).

The table is listed when the backend starts, and again only after somebody else changed it (nft_generation). Otherwise
dump() costs one system call, and apply() does not list anything. What may take seconds runs beside
the caller (patience).
"""

from __future__ import annotations

import contextlib
import errno
import gc
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from socket import AF_INET, AF_INET6

import orjson

from fastha.dataplane import nft_limits
from fastha.dataplane.nft_active import active
from fastha.dataplane.nft_conntrack import forget, lost_flows
from fastha.dataplane.nft_generation import Generation
from fastha.dataplane.nft_library import (
    OUTPUT_JSON,
    OUTPUT_NUMERIC_ALL,
    OUTPUT_STATELESS,
    Library,
    NftError,
)
from fastha.dataplane.nft_listing import DAMAGED, Held, read_counters, read_listing
from fastha.dataplane.nft_mend import mend_family
from fastha.dataplane.nft_ops import after
from fastha.dataplane.nft_rules import TABLE, WORDS, change_family, rewrite_family
from fastha.dataplane.patience import nothing, patiently
from fastha.dataplane.rows import Dest, DestKey, Forward, Op, Service, ServiceKey, ServiceRow, Table
from fastha.errors import SystemFault
from fastha.model import VirtualServer
from fastha.setns import Place, here

FORWARDING: dict[int, tuple[str, str]] = {
    AF_INET: ("net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward"),
    AF_INET6: ("net.ipv6.conf.all.forwarding", "/proc/sys/net/ipv6/conf/all/forwarding"),
}

# One service of each kind of rule, for asking the kernel whether it can do all that is needed.
_LIVE = {DestKey("192.0.2.2", 80): Dest(Forward.NAT, 1)}
_PROBE: Table = {
    ServiceKey(AF_INET, 6, "192.0.2.1", 1): ServiceRow(Service("wrr"), _LIVE),
    ServiceKey(AF_INET, 6, "192.0.2.1", 2): ServiceRow(Service("sh"), _LIVE),
    ServiceKey(AF_INET, 17, "192.0.2.1", 3): ServiceRow(Service("rr"), {}),
}


class NftBackend:
    """See dataplane.backend.Backend; `place`: where it is opened. SystemFault without libnftables, CAP_NET_ADMIN, or a
    kernel that can do it."""

    name = "nft"
    masquerades = True  # Service.masquerade is a choice here
    exclusive = True  # every row it dumps was once written by fastha: the tables are its own

    def __init__(self, place: Place = here) -> None:
        self._place = place
        self.progress: Callable[[], object] = nothing  # see dataplane.backend.Patient
        self._library = Library()
        self._generation = Generation(TABLE)
        self._held: dict[int, Held] = {}
        self._trouble = ""
        self._seen: int | None = None  # the generation that _held describes
        try:
            self._generation.read()
            self._library.run(rewrite_family(AF_INET, _PROBE).replace(f"ip {TABLE}", f"ip {TABLE}_probe"), check=True)
        except OSError as error:
            self.close()
            hint = "needs CAP_NET_ADMIN (root)" if error.errno == errno.EPERM else "this kernel's nftables cannot do it"
            raise SystemFault(f"nft dataplane: {hint}: {error.strerror}") from None

    def refuse(self, server: VirtualServer) -> str:
        return nft_limits.refuse(server)

    def notes(self, server: VirtualServer) -> str:
        """What this server does differently from IPVS, in one line to be logged once; "" if nothing."""
        return nft_limits.notes(server)

    def warnings(self, servers: Iterable[VirtualServer] = ()) -> list[str]:
        """What the director lacks to forward for `servers` and for the rows it holds: lines to be logged once.
        Nothing is changed: sysctls are the operator's."""
        families = {AF_INET6 if ":" in server.ip else AF_INET for server in servers} | {
            key.family for key in self.dump()
        }
        lines = [self._trouble] if self._trouble else []
        with self._place():
            for family, (name, path) in FORWARDING.items():
                file = Path(path)
                if family in families and file.exists() and file.read_text().strip() == "0":
                    lines.append(f"{name} is 0: connections will not reach real servers; set it to 1")
        return lines

    def dump(self) -> Table:
        if self._seen is None or self._seen != self._generation.read():
            patiently(self._current, self.progress)
        return {key: row for held in self._current().values() for key, row in held.table().items()}

    def apply(self, ops: Sequence[Op]) -> list[int]:
        return patiently(lambda: self._apply(ops), self.progress)

    def _apply(self, ops: Sequence[Op]) -> list[int]:
        for mend in (True, False):
            try:
                return self._transact(ops, mend=mend)
            except NftError:
                if not any(held.damaged for held in self._current().values()):
                    break
        # Something in there is refused: one transaction for each service says which.
        results = [0] * len(ops)
        for key in dict.fromkeys(op.key for op in ops):
            places = [i for i, op in enumerate(ops) if op.key == key]
            try:
                errors = self._transact([ops[i] for i in places])
            except NftError as error:
                errors = [error.errno or errno.EIO] * len(places)
            for i, code in zip(places, errors, strict=True):
                results[i] = code
        return results

    def fileno(self) -> int:
        return self._generation.fileno()

    def disturbed(self) -> bool:
        """See dataplane.backend.Announced."""
        generation = self._generation.read()
        if self._seen is None:
            self._generation.hear()
        elif self._generation.only_others(self._seen, generation):
            self._seen = generation
        return generation != self._seen

    def counters(self, keys: Collection[ServiceKey] | None = None) -> dict[tuple[ServiceKey, str], dict[str, int]]:
        """{"connections": n} since the destination's row was last written; with `keys` {"active": n} from connection
        tracking alone."""
        if keys is not None:
            rows = [row for one in self._current().values() for row in one.rows.items()]
            return active({key: row for key, row in rows if key in keys})
        found = {}
        for family, held in self._current().items():
            if held.rows:
                try:
                    text = self._library.run(
                        f"list set {WORDS[family].table} dests", output=OUTPUT_JSON | OUTPUT_NUMERIC_ALL
                    )
                except NftError as error:
                    if error.errno != errno.ENOENT:
                        raise
                    continue
                found.update(read_counters(family, orjson.loads(text)))
        return found

    def close(self) -> None:
        self._library.close()
        self._generation.close()

    def _transact(self, ops: Sequence[Op], *, mend: bool = True) -> list[int]:
        """All operations in one transaction. `mend`: damaged services by themselves, if possible. NftError: nothing
        was done."""
        current = self._current()
        before = {key: row for held in current.values() for key, row in held.rows.items()}
        wanted, results = after(before, ops)
        new: dict[int, Held] = {}
        commands = ""
        for family, held in current.items():
            rows = {key: row for key, row in wanted.items() if key.family == family}
            touched = held.damaged & {op.key for op in ops}
            if touched and not (mend and held.sound):
                # Write the whole table anew, less what nobody can read any more.
                rows = {key: row for key, row in rows.items() if row.service != DAMAGED}
                commands += rewrite_family(family, rows)
                new[family] = Held(rows)
            elif touched:
                # Of a service that is only touched, not written, nothing readable may be left: it goes.
                rows = {key: row for key, row in rows.items() if key not in touched or row.service != DAMAGED}
                remains = {key: left for key, left in held.remains.items() if key in touched}
                commands += mend_family(family, held.rows, rows, remains)
                others = {key: left for key, left in held.remains.items() if key not in touched}
                new[family] = Held(rows, held.damaged - touched, others)
            elif held.damaged and rows != held.rows and not rows:
                commands += rewrite_family(family, rows)
                new[family] = Held(rows)
            else:
                commands += change_family(family, held.rows, rows)
                new[family] = Held(rows, held.damaged, held.remains, held.sound)
        if commands:
            generation = self._seen
            self._seen = None
            self._library.run(commands)
            now = self._generation.read()
            if generation is not None and now == generation + 1:  # ours was the only change
                self._held, self._seen = new, now
                self._generation.hear()
            if flows := lost_flows(before, wanted):
                try:
                    forget(flows)
                except Exception as error:  # the rows are right all the same: told by warnings()
                    self._trouble = f"UDP flows to removed real servers stay (connection tracking: {error})"
        return results

    def _current(self) -> dict[int, Held]:
        """What the kernel holds, listed only if somebody may have changed it."""
        generation = self._generation.read()
        if self._seen is not None and generation != self._seen and self._generation.only_others(self._seen, generation):
            self._seen = generation
        while generation != self._seen:
            self._held = {family: self._list(family) for family in WORDS}
            self._seen, generation = generation, self._generation.read()
        return self._held

    def _list(self, family: int) -> Held:
        flags = OUTPUT_JSON | OUTPUT_NUMERIC_ALL | OUTPUT_STATELESS
        try:
            text = self._library.run(f"list table {WORDS[family].table}", output=flags)
        except NftError as error:
            if error.errno == errno.ENOENT:
                return Held()
            raise
        with collection_paused():
            return read_listing(family, orjson.loads(text))


@contextlib.contextmanager
def collection_paused() -> Iterator[None]:
    """Millions of new objects, none of them garbage: looking through them takes longer than the work."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
