"""Wanted table minus actual table = an ordered list of operations. Pure.

The order keeps traffic served while the list is applied, whatever the difference is:

    for each wanted service                       why here
      NEW_SERVICE                                 a destination needs its service
      SET_SERVICE     (to a cheap scheduler)      the changes below cost less under it
      NEW_DEST        each missing one            capacity arrives before any leaves
      SET_DEST        rising to a weight, then the others
      DEL_DEST        each surplus one            what replaces it is there already
      SET_SERVICE     (to a costly scheduler)     its tables are built once, not once for each change
    DEL_SERVICE     owned and no longer wanted; the kernel drops its destinations with it

So a service that has a live destination (weight > 0) before and after has one after every single operation, and no
service disappears before the one that replaces it is there.

mh and wrr pay O(destinations) for each change: mh fills its table again, wrr computes a greatest common divisor. A
*new* service with many destinations therefore starts under rr and gets its scheduler with one SET_SERVICE (measured
on Linux 6.1 and 7.2 with 1 000 to 10 000 destinations: mh 3.5 to 30 times cheaper, wrr 2 to 3 times). A service that
carries traffic never changes its scheduler for cheapness. mh takes no more destinations than its table has slots
(4 093 in the usual kernel): `ipvs_mh` has the story, and such a virtual server is refused with its configuration.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from fastha.dataplane.rows import OUR_FLAGS, Dest, DestKey, Forward, Op, Service, ServiceFlag, ServiceKey, Table, Verb

COSTLY = frozenset({"mh", "wrr"})  # schedulers that pay O(destinations) for each change
BLOCK = 256  # destinations that are compared at once
HANDFUL = 16  # up to here a costly scheduler costs less than the extra operation is worth


def reconcile(wanted: Table, actual: Table, owned: Collection[ServiceKey]) -> list[Op]:
    """The operations that turn `actual` into `wanted`, in the order to send them.

    Every key of `wanted` is owned; `owned` names services that were ours before as well. Rows that are neither stay
    untouched, and so do rows that are right. Empty exactly when nothing is to be done. O(rows).
    """
    ops: list[Op] = []
    for key, row in wanted.items():
        there = actual.get(key)
        if there is None:
            ops += _new(key, row.service, row.dests)
            continue
        set_service = [] if same_service(row.service, there.service) else [Op(Verb.SET_SERVICE, key, row.service)]
        dests = list(_dests(key, row.dests, there.dests))
        ops += dests + set_service if row.service.scheduler in COSTLY else set_service + dests
    mine = frozenset(owned)
    ops += (Op(Verb.DEL_SERVICE, key) for key in actual if key in mine and key not in wanted)
    return ops


def same_service(wanted: Service, actual: Service) -> bool:
    """Whether the kernel's service does what is wanted: flags that are not ours do not count, and neither do timeout
    and netmask of a service that is not persistent (the kernel reads them for persistence alone)."""
    if (wanted.flags ^ actual.flags) & OUR_FLAGS:
        return False
    if (wanted.scheduler, wanted.pe_name, wanted.masquerade) != (actual.scheduler, actual.pe_name, actual.masquerade):
        return False
    persistent = wanted.flags & ServiceFlag.PERSISTENT
    return not persistent or (wanted.timeout_s, wanted.netmask) == (actual.timeout_s, actual.netmask)


def _new(key: ServiceKey, service: Service, dests: dict[DestKey, Dest]) -> list[Op]:
    """A service that is not there yet, with its destinations."""
    by_detour = service.scheduler in COSTLY and len(dests) > HANDFUL
    ops = [Op(Verb.NEW_SERVICE, key, replace(service, scheduler="rr") if by_detour else service)]
    verb = Verb.NEW_DEST
    ops += [Op(verb, key, None, dest_key, dest) for dest_key, dest in dests.items()]
    if by_detour:
        ops.append(Op(Verb.SET_SERVICE, key, service))
    return ops


def _dests(key: ServiceKey, wanted: dict[DestKey, Dest], actual: dict[DestKey, Dest]) -> Iterator[Op]:
    """The destinations of a service that is there: new ones, then rising, then other changes, then removals."""
    if wanted is actual:
        return
    others, gone = _differing(wanted, actual)
    changed: list[tuple[bool, DestKey, Dest]] = []
    for dest_key, dest in others:
        there = actual.get(dest_key)
        if there is None:
            yield Op(Verb.NEW_DEST, key, dest_key=dest_key, dest=dest)
        elif there != dest:
            changed.append((dest.weight > there.weight, dest_key, dest))
    for _rising, dest_key, dest in sorted(changed, key=lambda c: not c[0]):  # stable: the order of the configuration
        yield Op(Verb.SET_DEST, key, dest_key=dest_key, dest=dest)
    for dest_key in gone:
        yield Op(Verb.DEL_DEST, key, dest_key=dest_key)


def _differing(
    wanted: dict[DestKey, Dest], actual: dict[DestKey, Dest]
) -> tuple[list[tuple[DestKey, Dest]], list[DestKey]]:
    """(what is wanted and not there as the same object, what is there and not wanted). Of tens of thousands of
    destinations nearly all are the same objects in the same order: those are passed over without looking them up."""
    keys, dests = list(wanted), list(wanted.values())
    there_keys, there_dests = list(actual), list(actual.values())
    others: list[tuple[DestKey, Dest]] = []
    gone: list[DestKey] = []
    here = there = single = 0
    while here < len(keys) and there < len(there_keys):
        if not single:
            if keys[here : here + BLOCK] != there_keys[there : there + BLOCK]:
                single = BLOCK
                continue
            if dests[here : here + BLOCK] != there_dests[there : there + BLOCK]:
                block = slice(here, here + BLOCK)
                trios = zip(keys[block], dests[block], there_dests[there : there + BLOCK], strict=True)
                others += [(key, dest) for key, dest, old in trios if dest is not old]
            here, there = here + BLOCK, there + BLOCK
            continue
        single -= 1
        key, there_key = keys[here], there_keys[there]
        if key == there_key:
            if dests[here] is not there_dests[there]:
                others.append((key, dests[here]))
            here, there = here + 1, there + 1
        elif there_key not in wanted:
            gone.append(there_key)
            there += 1
        elif key not in actual:
            others.append((key, dests[here]))
            here += 1
        else:
            break  # in another order
    others += [item for item in zip(keys[here:], dests[here:], strict=True) if actual.get(item[0]) is not item[1]]
    gone += [key for key in there_keys[there:] if key not in wanted]
    return others, gone


_WORDS = {
    Verb.NEW_SERVICE: "add service",
    Verb.SET_SERVICE: "change service",
    Verb.DEL_SERVICE: "remove service",
    Verb.NEW_DEST: "add destination",
    Verb.SET_DEST: "change destination",
    Verb.DEL_DEST: "remove destination",
}


def describe(op: Op) -> str:
    """One operation as a log reads it: `add destination 10.2.0.1:80 to 10.0.0.1:80/tcp (NAT, weight 1)`."""
    words = _WORDS[op.verb]
    if op.dest_key is None:
        return f"{words} {op.key}" + (f" ({_service_text(op.service)})" if op.service else "")
    link = {Verb.NEW_DEST: "to", Verb.SET_DEST: "of", Verb.DEL_DEST: "from"}[op.verb]
    return f"{words} {op.dest_key} {link} {op.key}" + (f" ({_dest_text(op.dest)})" if op.dest else "")


def _service_text(service: Service) -> str:
    parts = [service.scheduler]
    if service.flags & ServiceFlag.PERSISTENT:
        parts.append(f"persistent {service.timeout_s} s /{service.netmask}")
    if rest := service.flags & OUR_FLAGS & ~ServiceFlag.PERSISTENT:
        parts.append(f"flags {rest:#x}")
    if not service.masquerade:
        parts.append("no masquerade")
    if service.pe_name:
        parts.append(f"pe {service.pe_name}")
    return ", ".join(parts)


def _dest_text(dest: Dest) -> str:
    parts = [dest.forward.name, f"weight {dest.weight}"]
    if dest.uthreshold or dest.lthreshold:
        parts.append(f"thresholds {dest.lthreshold}-{dest.uthreshold}")
    if dest.forward == Forward.TUN and dest.tun_type:
        port = f" port {dest.tun_port}" if dest.tun_port else ""
        parts.append(f"{dest.tun_type.name.lower()}{port} flags {dest.tun_flags:#x}")
    return ", ".join(parts)
