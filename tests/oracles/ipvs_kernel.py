"""The kernel's IPVS table as a slow, obvious model: two flat dictionaries and the errno rules of
net/netfilter/ipvs/ip_vs_ctl.c (ip_vs_genl_set_cmd). tests/vm plays the same operations to a real kernel and to this.
"""

from __future__ import annotations

import errno

from fastha.dataplane.rows import Dest, DestKey, Op, Service, ServiceKey, ServiceRow, Table, TunnelType, Verb


class KernelModel:
    def __init__(self) -> None:
        self.services: dict[ServiceKey, Service] = {}
        self.dests: dict[tuple[ServiceKey, DestKey], Dest] = {}

    def play(self, op: Op) -> int:
        """0 or the positive errno of one operation."""
        has_service = op.key in self.services
        if op.verb == Verb.NEW_SERVICE:
            if has_service:
                return errno.EEXIST
            self.services[op.key] = op.service
            return 0
        if not has_service:
            return errno.ESRCH
        if op.verb == Verb.SET_SERVICE:
            self.services[op.key] = op.service
            return 0
        if op.verb == Verb.DEL_SERVICE:
            del self.services[op.key]
            self.dests = {pair: dest for pair, dest in self.dests.items() if pair[0] != op.key}
            return 0
        pair = (op.key, op.dest_key)
        if op.verb == Verb.DEL_DEST:
            return 0 if self.dests.pop(pair, None) is not None else errno.ENOENT
        # ip_vs_add_dest and ip_vs_edit_dest look at the numbers before they look for the destination
        if op.dest.weight < 0 or op.dest.lthreshold > op.dest.uthreshold:
            return errno.ERANGE
        if op.dest.tun_type == TunnelType.GUE and op.dest.tun_port == 0:
            return errno.EINVAL
        if op.verb == Verb.NEW_DEST and pair in self.dests:
            return errno.EEXIST
        if op.verb == Verb.SET_DEST and pair not in self.dests:
            return errno.ENOENT
        self.dests[pair] = op.dest
        return 0

    def live(self, key: ServiceKey) -> bool:
        """Whether traffic to the service finds a destination with weight."""
        return any(k == key and dest.weight > 0 for (k, _), dest in self.dests.items())

    def table(self) -> Table:
        out = {key: ServiceRow(service, {}) for key, service in self.services.items()}
        for (key, dest_key), dest in self.dests.items():
            out[key].dests[dest_key] = dest
        return out

    def load(self, table: Table) -> None:
        self.services = {key: row.service for key, row in table.items()}
        self.dests = {(key, k): d for key, row in table.items() for k, d in row.dests.items()}
