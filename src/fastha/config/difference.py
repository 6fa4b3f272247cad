"""What a reload from one configuration to another does, in the words of the configuration. Pure.

Identity is what a reload goes by: an instance is (VRID, interface, unicast source); a virtual server and a real server
have their keys; a check is its value. What is equal stays as it is: timers, sockets, health, counters, connections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from fastha.config.dump import dump, dump_garp_group
from fastha.config.dump_checks import dump_check
from fastha.config.dump_lvs import dump_real_server, dump_virtual_server
from fastha.config.dump_routes import delay_lines, static_lines
from fastha.config.dump_track import dump_bfd, dump_track_file, dump_track_process, dump_vrrp_script
from fastha.config.dump_vrrp import dump_instance, dump_sync_group
from fastha.config.dump_words import Page
from fastha.config.keywords.table import ROOT
from fastha.lean import dataclass, replace
from fastha.model import (
    BfdInstance,
    Check,
    Config,
    GarpGroup,
    GroupMember,
    RealServer,
    SyncGroup,
    TrackFile,
    TrackProcess,
    VirtualAddress,
    VirtualServer,
    VrrpInstance,
    VrrpScript,
)
from fastha.model.config import diff

Named = TypeVar("Named", TrackFile, BfdInstance, SyncGroup, VrrpScript, TrackProcess)


@dataclass(frozen=True, slots=True)
class Word:
    """A keyword and what follows it, before and after; "" where it is not said."""

    word: str
    before: str
    after: str

    def __str__(self) -> str:
        if self.before and self.after:
            return f"{self.word} {self.before} -> {self.after}"
        return (
            f"{self.word} {self.before} removed".replace("  ", " ") if not self.after else f"{self.word} {self.after}"
        )


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a reload does. `action`: added, removed, changed, moved, restarted; `kind`: global_defs,
    garp_group, instance, address, virtual_server, service, real_server, check, track_file, bfd_instance,
    vrrp_sync_group, vrrp_script, vrrp_track_process, track_group, static_ipaddress, static_routes, static_rules,
    interface_up_down_delays; `inside`: what it belongs to."""

    kind: str
    action: str
    name: str
    inside: str = ""
    words: tuple[Word, ...] = ()
    note: str = ""


def difference(old: Config, new: Config) -> list[Change]:
    """Every change, in the order of the new configuration; empty exactly if the two mean the same."""
    out = list(_globals(old, new))
    out += _instances(old, new)
    out += _statics(old, new)
    out += _named("track_file", old.track_files, new.track_files, dump_track_file)
    out += _named("bfd_instance", old.bfds, new.bfds, dump_bfd)
    out += _named("vrrp_sync_group", old.sync_groups, new.sync_groups, dump_sync_group)
    out += _named("vrrp_script", old.vrrp_scripts, new.vrrp_scripts, dump_vrrp_script)
    out += _named("vrrp_track_process", old.processes, new.processes, dump_track_process)
    servers = diff([(s.key, s) for s in old.virtual_servers], [(s.key, s) for s in new.virtual_servers])
    for server in servers.removed:
        out.append(Change("virtual_server", "removed", server.key, note=_count(server)))
    for before, server in servers.changed:
        out += _virtual_server(before, server)
    for server in servers.added:
        out.append(Change("virtual_server", "added", server.key, note=_count(server)))
    return out


def _count(server: VirtualServer) -> str:
    n = len(server.real_servers)
    return f"{n} real server{'s' * (n != 1)}"


def _page(block: str = ROOT) -> Page:
    """For a statement of `block`: defaults are said, passwords are not."""
    return Page(full=True, secrets=False, block=block)


def _said(page: Page, skip: frozenset[str] = frozenset()) -> dict[str, str]:
    """The statements of the one block on `page` by keyword; those of a block inside are one statement of its name."""
    out: dict[str, str] = {}
    inner = ""
    for line in page.lines[1:-1]:
        if line.startswith(" " * 8):
            if inner and line.strip() != "}":
                out[inner] += f" {line.strip()}"
            continue
        word, _, rest = line.strip().partition(" ")
        if word == "}":
            continue
        if inner := word if rest.endswith("{") and word not in skip else "":
            out[word] = f"{out[word]}; {rest[:-1]}" if word in out else rest[:-1].strip()
        elif not rest.endswith("{"):
            out[word] = rest or "on"
    return out


def words(before: dict[str, str], after: dict[str, str]) -> tuple[Word, ...]:
    return tuple(
        Word(word, before.get(word, "").strip(), after.get(word, "").strip())
        for word in dict.fromkeys([*before, *after])
        if before.get(word) != after.get(word)
    )


def _globals(old: Config, new: Config) -> Iterator[Change]:
    before, after = (replace(config.globals, garp_groups=(), link_delays=()) for config in (old, new))
    if before != after:
        said = words(*(_global_words(replace(config, globals=g)) for config, g in ((old, before), (new, after))))
        if old.globals.mail.password and new.globals.mail.password not in ("", old.globals.mail.password):
            said = (*said, Word("smtp_password", "(hidden)", "(another)"))
        yield Change("global_defs", "changed", "global_defs", words=said)
    yield from _garp_groups(old.globals.garp_groups, new.globals.garp_groups)


def _garp_groups(old: Iterable[GarpGroup], new: Iterable[GarpGroup]) -> Iterator[Change]:
    """A group is known by its interfaces."""
    found = diff([(g.interfaces, g) for g in old], [(g.interfaces, g) for g in new])
    name = " ".join
    yield from (Change("garp_group", "removed", name(group.interfaces)) for group in found.removed)
    for pair in found.changed:
        texts = []
        for one in pair:
            dump_garp_group(one, page := _page())
            texts.append(_said(page))
        yield Change("garp_group", "changed", name(pair[1].interfaces), words=words(*texts))
    yield from (Change("garp_group", "added", name(group.interfaces)) for group in found.added)


def _global_words(config: Config) -> dict[str, str]:
    page = _page()
    lines = dump(Config(globals=config.globals), full=True).splitlines()
    page.lines += [*([] if lines[:1] == ["global_defs {"] else ["{"]), *filter(None, lines), "}"]
    return _said(page)


def _statics(old: Config, new: Config) -> Iterator[Change]:
    """Line by line: what stays is not touched."""
    before, after = (
        {keyword: dict.fromkeys(lines) for keyword, lines in (*delay_lines(c), *static_lines(c))} for c in (old, new)
    )
    for keyword in dict.fromkeys([*before, *after]):
        had, has = before.get(keyword, {}), after.get(keyword, {})
        yield from (Change(keyword, "removed", line) for line in had if line not in has)
        yield from (Change(keyword, "added", line) for line in has if line not in had)


def _named(
    kind: str, old: Iterable[Named], new: Iterable[Named], dump_one: Callable[[Named, Page], object]
) -> Iterator[Change]:
    """What is known by its name alone: a track_file, a bfd_instance."""
    found = diff([(one.name, one) for one in old], [(one.name, one) for one in new])
    for one in found.removed:
        yield Change(kind, "removed", one.name)
    for one in found.added:
        yield Change(kind, "added", one.name)
    for pair in found.changed:
        texts = []
        for one in pair:
            dump_one(one, page := _page())
            texts.append(_said(page))
        yield Change(kind, "changed", pair[1].name, words=words(*texts))


# -- instances


def _instances(old: Config, new: Config) -> Iterator[Change]:
    found = diff([(i.identity, i) for i in old.instances], [(i.identity, i) for i in new.instances])
    came = {i.name for i in found.added}
    names = {i.name for i in found.removed}
    lost = {(address.ip, i.identity): i.name for i in old.instances for address in i.carried}
    kept = {(address.ip, i.identity) for i in new.instances for address in i.carried}
    gone = {ip: name for (ip, identity), name in lost.items() if (ip, identity) not in kept}
    for instance in found.removed:
        again = "it starts anew: its virtual_router_id, interface or unicast source is another"
        note = again if instance.name in came else "gives up its addresses with an advert of priority 0"
        yield Change("instance", "removed", instance.name, note=note)
    new_ips = {a.ip for i in new.instances for a in i.carried}
    for instance in found.removed:
        yield from (
            Change("address", "removed", str(a), instance.name) for a in instance.carried if a.ip not in new_ips
        )
    for before, instance in found.changed:
        yield from _instance(before, instance, old, new, gone, new_ips)
    for instance in found.added:
        note = "it starts as backup" if instance.name in names else ""
        yield Change("instance", "added", instance.name, note=note)
        yield from _came(instance, (), gone)


def _instance(
    before: VrrpInstance, after: VrrpInstance, old: Config, new: Config, gone: dict[str, str], new_ips: set[str]
) -> Iterator[Change]:
    said = words(_instance_words(before, old), _instance_words(after, new))
    if before.name != after.name:
        said = (Word("name", before.name, after.name), *said)
    if before.auth != after.auth and not any(word.word == "authentication" for word in said):
        said = (*said, Word("auth_pass", "(hidden)", "(another)"))
    if before.hmac is not None and after.hmac is not None and before.hmac.keys != after.hmac.keys:
        said = (*said, Word("key", "(hidden)", "(another)"))
    yield Change("instance", "changed", after.name, words=said)
    for address in before.carried:
        if address not in after.carried and address.ip not in new_ips:
            yield Change("address", "removed", str(address), after.name)
    yield from _came(after, before.carried, gone)


def _instance_words(instance: VrrpInstance, config: Config) -> dict[str, str]:
    dump_instance(instance, config.virtual_servers, page := _page())
    return _said(page, frozenset({"virtual_ipaddress", "virtual_ipaddress_excluded"}))


def _came(instance: VrrpInstance, before: Iterable[VirtualAddress], gone: dict[str, str]) -> Iterator[Change]:
    had = set(before)
    had_ips = {a.ip for a in had}
    for address in instance.carried:
        if address in had:
            continue
        if address.ip in had_ips:
            yield Change("address", "changed", str(address), instance.name)
        elif (source := gone.get(address.ip)) is not None:
            yield Change("address", "moved", str(address), instance.name, note=f"from {source}")
        else:
            yield Change("address", "added", str(address), instance.name)


# -- virtual servers


def _virtual_server(before: VirtualServer, after: VirtualServer) -> Iterator[Change]:
    alone = [replace(server, real_servers=()) for server in (before, after)]
    if alone[0] != alone[1]:
        yield Change("virtual_server", "changed", after.key, words=words(*map(_server_words, alone)))
        for member in before.members:
            if member not in after.members:
                yield Change("service", "removed", _member(member), after.key)
        for member in after.members:
            if member not in before.members:
                yield Change("service", "added", _member(member), after.key)
    order = [rs.key for rs in before.real_servers], [rs.key for rs in after.real_servers]
    found = diff(
        list(zip(order[0], before.real_servers, strict=True)), list(zip(order[1], after.real_servers, strict=True))
    )
    for rs in found.removed:
        yield Change("real_server", "removed", rs.key, after.key)
    for rs_before, rs in found.changed:
        yield from _real_server(rs_before, rs, before, after)
    for rs in found.added:
        yield Change("real_server", "added", rs.key, after.key)
    if not found and alone[0] == alone[1] and order[0] != order[1]:
        yield Change("virtual_server", "changed", after.key, note="its real servers stand in another order")


def _server_words(server: VirtualServer) -> dict[str, str]:
    dump_virtual_server(server, page := _page())
    return _said(page)


def _real_words(rs: RealServer, server: VirtualServer) -> dict[str, str]:
    dump_real_server(rs, server, page := _page("virtual_server"))
    return _said(page)


def _check_words(check: Check, rs: RealServer) -> dict[str, str]:
    dump_check(check, rs, page := _page("real_server"))
    return _said(page)


def _member(member: GroupMember) -> str:
    if member.fwmark:
        return f"fwmark {member.fwmark}/{member.family}"
    ends = member.first_ip if member.first_ip == member.last_ip else f"{member.first_ip}-{member.last_ip}"
    return f"{ends} {member.port}"


def _real_server(before: RealServer, after: RealServer, old: VirtualServer, new: VirtualServer) -> Iterator[Change]:
    alone = [replace(rs, checks=()) for rs in (before, after)]
    if alone[0] != alone[1]:
        said = words(_real_words(alone[0], old), _real_words(alone[1], new))
        yield Change("real_server", "changed", after.key, new.key, said)
    left = list(before.checks)
    fresh = []
    for check in after.checks:
        if check in left:
            left.remove(check)
        else:
            fresh.append(check)
    inside = f"{new.key} {after.key}"
    for check in fresh:
        # As the checker does it: a check that is other takes the place of one that is gone, and its word until it has
        # an answer.
        former = left.pop(0) if left else None
        if former is None:
            yield Change("check", "added", check.kind, inside)
        elif former.kind != check.kind:
            yield Change("check", "restarted", check.kind, inside, note=f"in place of {former.kind}")
        else:
            said = words(_check_words(former, before), _check_words(check, after))
            yield Change("check", "restarted", check.kind, inside, said)
    for check in left:
        yield Change("check", "removed", check.kind, inside)
