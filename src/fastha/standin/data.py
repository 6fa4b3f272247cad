"""keepalived.data and its sisters: everything as text for people, with the lines that exporters of keepalived look for
(` VRRP Instance = `, `   State = `, `   Virtual IP (n):` ...). Pure; the layout of those as keepalived 2.2.7 writes
them (observed), the rest in our own words: keepalived promises no format either.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from fastha.model import MailDefs, RealServer, VirtualServer
from fastha.model.units import NS_PER_MS, NS_PER_S, NS_PER_US
from fastha.standin.picture import Picture, Seen, wanted_state
from fastha.standin.words import address, command, seconds

AUTH = {"pass": "SIMPLE_PASSWORD", "ah": "IPSEC_AH"}


def of_parent(picture: Picture) -> str:
    """keepalived_parent.data."""
    return _text(_globals(picture))


def of_vrrp(picture: Picture) -> str:
    """keepalived.data."""
    return _text(_vrrp(picture))


def of_checker(picture: Picture) -> str:
    """keepalived_check.data."""
    return _text(_checker(picture))


def _vrrp(picture: Picture) -> Iterator[str]:
    yield from _globals(picture)
    yield "------< VRRP Topology >------"
    for seen in picture.instances:
        yield from _instance(seen)
    for file in picture.track_files:
        yield f" Track file = {file.name}"
        yield f"   File = {file.path}"
    for process, known in picture.processes:
        yield f" Track process = {process.name}"
        yield f"   Process = {' '.join(process.argv)}"
        yield f"   Quorum = {process.quorum}, running {known.get('running', 0)}"


def _globals(picture: Picture) -> Iterator[str]:
    defs = picture.globals
    yield "------< Global definitions >------"
    yield f" Router ID = {defs.router_id}"
    yield from _mail(defs.mail)
    yield f" LVS flush = {_truth(defs.lvs.flush)}"
    yield f" LVS flush on stop = {defs.lvs.flush_on_stop or 'disabled'}"
    yield f" Script security {'enabled' if defs.scripts.secure else 'disabled'}"
    for fifo in defs.fifos:
        yield f" {fifo.what} notify fifo = {fifo.path}"


def _mail(mail: MailDefs) -> Iterator[str]:
    if not mail.to:
        return
    yield f" Smtp server = {mail.server}"
    yield f" Smtp server port = {mail.port}"
    if mail.helo:
        yield f" Smtp HELO name = {mail.helo}"
    yield f" Smtp server connection timeout = {mail.timeout_ns // NS_PER_S}"
    if mail.sender:
        yield f" Email notification from = {mail.sender}"
    yield " Email notification to:"
    for to in mail.to:
        yield f"   {to}"
    yield f" no_checker_emails = {int(not mail.every_check)}"


def _instance(seen: Seen) -> Iterator[str]:
    instance, facts, garp = seen.instance, seen.facts, seen.instance.garp
    since = float(facts.get("since", 0.0))
    yield f" VRRP Instance = {instance.name}"
    yield f"   VRRP Version = {instance.version}"
    yield f"   State = {seen.state.upper()}"
    yield "   Flags:" if instance.unicast else "   Flags: none"
    if instance.unicast:
        yield "     Using unicast"
    yield f"   Wantstate = {wanted_state(seen).upper()}"
    yield f"   Number of faults = {len(facts.get('faults', ()))}"
    for fault in facts.get("faults", ()):
        yield f"     {fault}"
    yield f"   Last transition = {since:.6f} ({time.ctime(since)})"
    if facts.get("why"):
        yield f"   Reason = {facts['why']}"
    if facts.get("master"):
        yield f"   Master router = {facts['master']}"
    yield f"   Interface = {instance.interface}"
    if instance.unicast_src:
        yield f"   Using src_ip = {instance.unicast_src} (from configuration)"
    yield f"   Gratuitous ARP delay = {seconds(garp.master_delay_ns)}"
    yield f"   Gratuitous ARP repeat = {garp.master_repeat}"
    yield f"   Gratuitous ARP refresh = {seconds(garp.master_refresh_ns)}"
    yield f"   Gratuitous ARP refresh repeat = {garp.master_refresh_repeat}"
    yield f"   Gratuitous ARP lower priority delay = {seconds(garp.lower_prio_delay_ns)}"
    yield f"   Gratuitous ARP lower priority repeat = {garp.lower_prio_repeat}"
    yield f"   Down timer adverts = {instance.down_timer_adverts}"
    yield f"   Virtual Router ID = {instance.vrid}"
    yield f"   Priority = {instance.priority}"
    yield f"   Effective priority = {facts.get('priority', instance.priority)}"
    yield f"   Advert interval = {_interval(instance.advert_int_ns, instance.version)}"
    yield f"   Accept = {_word(bool(getattr(instance, 'accept', True)))}"
    yield f"   Preempt = {_word(instance.preempt)}"
    if instance.preempt_delay_ns:
        yield f"   Preempt delay = {seconds(instance.preempt_delay_ns)} secs"
    if kind := AUTH.get(instance.auth.kind):
        yield f"   Authentication type = {kind}"
    if instance.track:
        yield f"   Tracked ({len(instance.track)}):"
        for tracker in instance.track:
            yield f"     {tracker.kind} {tracker.name} weight {tracker.weight}{' reverse' if tracker.reverse else ''}"
    if instance.addresses:
        yield f"   Virtual IP ({len(instance.addresses)}):"
        for one in instance.addresses:
            yield f"     {address(one, instance.interface, seen.master)}"
    if instance.unicast_peers:
        yield "   Unicast Peer :"
        for peer in instance.unicast_peers:
            yield f"     {peer}"
    for name, state in (("backup", "Backup"), ("master", "Master"), ("fault", "Fault"), ("stop", "Stop")):
        if (script := getattr(instance.notify, name)) is not None:
            yield f"   {state} state transition script = {command(script)}"
    if instance.notify.any is not None:
        yield f"   Generic state transition script = {command(instance.notify.any)}"
    yield f"   Using smtp notification = {'yes' if instance.smtp_alert else 'no'}"


def _checker(picture: Picture) -> Iterator[str]:
    yield from _globals(picture)
    yield "------< LVS Topology >------"
    for server in picture.virtual_servers:
        yield from _virtual_server(server, picture.checker.get(server.key, {}))


def _virtual_server(server: VirtualServer, facts: Any) -> Iterator[str]:
    yield f" VIP = {server.key}"
    yield f"   Scheduler = {server.scheduler}"
    yield f"   Quorum = {server.quorum}, hysteresis {server.hysteresis}"
    yield f"   Quorum state = {'UP' if facts.get('up') else 'DOWN'}, live weight {facts.get('live_weight', 0)}"
    if server.sorry_server is not None:
        yield f"   Sorry server = {server.sorry_server.key}{' serves' if facts.get('sorry') else ''}"
    real = facts.get("real_servers", {})
    for one in server.real_servers:
        yield from _real_server(one, real.get(one.key, {}))


def _real_server(server: RealServer, facts: Any) -> Iterator[str]:
    yield f"   RIP = {server.key}"
    yield f"     Weight = {facts.get('weight', server.weight)}"
    yield f"     Alive = {facts.get('health', 'unknown')}"
    if facts.get("why"):
        yield f"     Reason = {facts['why']}"
    for check in server.checks:
        yield f"     Check = {check.kind}"


def _interval(ns: int, version: int) -> str:
    if version == 2:
        return f"{ns // NS_PER_S} sec"
    return f"{ns // NS_PER_MS} milli-sec" if ns % NS_PER_US == 0 else f"{ns} ns"


def _word(on: bool) -> str:
    return "enabled" if on else "disabled"


def _truth(on: bool) -> str:
    return "true" if on else "false"


def _text(lines: Iterator[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
