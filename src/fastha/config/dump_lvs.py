"""VirtualServer -> `virtual_server`, `real_server`, `virtual_server_group`."""

from __future__ import annotations

from fastha.config.dump_checks import dump_check
from fastha.config.dump_words import Page, granularity, method, script, word
from fastha.model import GroupMember, RealServer, Tunnel, VirtualServer


def dump_group(name: str, members: tuple[GroupMember, ...], page: Page) -> None:
    with page.block("virtual_server_group", word(name)):
        for member in members:
            if member.fwmark:
                page.say("fwmark", member.fwmark, member.family)
            elif member.first_ip == member.last_ip:
                page.say(member.first_ip, member.port)
            else:
                page.say(f"{member.first_ip}-{member.last_ip}", member.port)


def _head(server: VirtualServer) -> str:
    if server.group:
        return f"group {word(server.group)}"
    if server.fwmark:
        return f"fwmark {server.fwmark} {server.family}"
    return f"{server.ip} {server.port}"


def dump_virtual_server(server: VirtualServer, page: Page) -> None:
    with page.block("virtual_server", _head(server)):
        if not (server.fwmark or (server.group and all(m.fwmark for m in server.members))):
            page.say("protocol", server.protocol)
        page.say("lvs_sched", word(server.scheduler))
        for flag in server.scheduler_flags:
            page.say(flag)
        page.say("lvs_method", server.forward)
        if not server.masquerade:
            page.say("nft_masquerade", "off")
        if server.persistence_timeout_s:
            page.say("persistence_timeout", server.persistence_timeout_s)
        page.unless(
            0, "persistence_granularity", server.persistence_prefix,
            granularity(server.persistence_prefix, server.family),
        )  # fmt: skip
        if server.persistence_engine:
            page.say("persistence_engine", word(server.persistence_engine))
        page.unless(1, "quorum", server.quorum)
        page.unless(0, "hysteresis", server.hysteresis)
        if server.panic_percent:
            page.say("panic_threshold", server.panic_percent)
        if server.removal_limit:
            page.say("removal_limit", server.removal_limit)
        page.flag("alpha", server.alpha)
        page.flag("omega", server.omega)
        if server.ha_suspend:
            page.say("ha_suspend")
        if server.quorum_up:
            page.say("quorum_up", script(server.quorum_up))
        if server.quorum_down:
            page.say("quorum_down", script(server.quorum_down))
        page.flag("smtp_alert", server.smtp_alert)
        _sorry(server, page)
        for real in server.real_servers:
            dump_real_server(real, server, page)


def _sorry(server: VirtualServer, page: Page) -> None:
    sorry = server.sorry_server
    if sorry is None:
        return
    page.say("sorry_server", sorry.ip, *([sorry.port] if sorry.port else []))
    page.flag("sorry_server_inhibit", sorry.inhibit)
    if (sorry.forward, sorry.tunnel) != (server.forward, Tunnel()) or page.full:
        page.say("sorry_server_lvs_method", method(sorry.forward, sorry.tunnel))


def dump_real_server(real: RealServer, server: VirtualServer, page: Page) -> None:
    with page.block("real_server", real.ip, real.port):
        page.say("weight", real.weight)
        if (real.forward, real.tunnel) != (server.forward, Tunnel()) or page.full:
            page.say("lvs_method", method(real.forward, real.tunnel))
        page.flag("inhibit_on_failure", real.inhibit_on_failure)
        page.flag("alpha", real.alpha, server.alpha)
        page.unless(0, "uthreshold", real.uthreshold)
        page.unless(0, "lthreshold", real.lthreshold)
        if real.notify_up:
            page.say("notify_up", script(real.notify_up))
        if real.notify_down:
            page.say("notify_down", script(real.notify_down))
        page.flag("smtp_alert", real.smtp_alert, default=True)
        for check in real.checks:
            dump_check(check, real, page)
