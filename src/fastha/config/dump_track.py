"""`track_file`, `vrrp_script`, `bfd_instance` and the block `SSL`."""

from __future__ import annotations

from collections.abc import Iterator

from fastha.config.dump_words import Page, owner, script, seconds, word
from fastha.lean import replace
from fastha.model import BfdInstance, Config, GrpcCheck, SslCheck, Tls, TrackFile, TrackProcess, VrrpScript
from fastha.model.units import NS_PER_MS, NS_PER_S


def dump_track_file(file: TrackFile, page: Page) -> None:
    with page.block("track_file", word(file.name)):
        page.say("file", word(file.path))
        page.unless("0", "weight", _weight(file.weight, file.reverse))
        if file.init is not None:
            page.say("init_file", file.init, *(["overwrite"] if file.overwrite else []))


def dump_vrrp_script(one: VrrpScript, page: Page) -> None:
    command = one.script
    with page.block("vrrp_script", word(one.name)):
        page.say("script", script(replace(command, user="", group="", supplementary=False)))
        if command.user or command.group:
            page.say("user", owner(command.user, command.group, command.supplementary))
        page.unless(NS_PER_S, "interval", one.interval_ns, seconds(one.interval_ns))
        page.unless(one.interval_ns, "timeout", one.timeout_ns, seconds(one.timeout_ns))
        page.unless(1, "rise", one.rise)
        page.unless(1, "fall", one.fall)
        page.unless("0", "weight", _weight(one.weight, one.reverse))
        if one.init_fail:
            page.say("init_fail")


def dump_track_process(one: TrackProcess, page: Page) -> None:
    default = TrackProcess(name="", argv=())
    with page.block("vrrp_track_process", word(one.name)):
        page.say("process", *map(word, one.argv))
        if one.match:
            page.say("param_match", *([] if one.match == "exact" else [one.match]))
        if one.full_command:
            page.say("full_command")
        if one.quorum:  # 0 is what quorum_max 0 makes of it
            page.unless(default.quorum, "quorum", one.quorum)
        if one.quorum_max is not None:
            page.say("quorum_max", one.quorum_max)
        for keyword, ns in (("terminate_delay", one.terminate_delay_ns), ("fork_delay", one.fork_delay_ns)):
            if ns:
                page.say(keyword, seconds(ns))
        page.unless("0", "weight", _weight(one.weight, one.reverse))


def _weight(weight: int, reverse: bool) -> str:
    return f"{weight} reverse" if reverse else str(weight)


def dump_bfd(bfd: BfdInstance, page: Page) -> None:
    default = BfdInstance(name="", neighbor_ip="")
    with page.block("bfd_instance", word(bfd.name)):
        page.say("neighbor_ip", bfd.neighbor_ip)
        if bfd.source_ip:
            page.say("source_ip", bfd.source_ip)
        for keyword, value, normal in (
            ("min_rx", bfd.min_rx_ns, default.min_rx_ns),
            ("min_tx", bfd.min_tx_ns, default.min_tx_ns),
            ("idle_tx", bfd.idle_tx_ns, default.idle_tx_ns),
        ):
            page.unless(normal, keyword, value, seconds(value * (NS_PER_S // NS_PER_MS)))  # milliseconds, decimals
        page.unless(default.multiplier, "multiplier", bfd.multiplier)
        page.say("ttl", bfd.ttl)  # over IPv6 max_hops depends on whether it is said
        page.unless(default.max_hops, "max_hops", bfd.max_hops)
        if bfd.multihop:
            page.say("multihop")
        if bfd.passive:
            page.say("passive")
        page.unless("0", "weight", _weight(bfd.weight, bfd.reverse))
        if not bfd.checker:
            page.say("vrrp")
        if not bfd.vrrp:
            page.say("checker")


def dump_ssl(config: Config, page: Page) -> None:
    """Client key and certificates: one block for all checks that speak TLS."""
    tls, ca = next(_tls(config), None), common_ca(config)
    if tls is None or not (ca or tls.certificate or tls.key or tls.password):
        return
    page.gap()
    with page.block("SSL"):
        if tls.password:
            page.secret("password", tls.password)
        for keyword, value in (("ca", ca), ("certificate", tls.certificate), ("key", tls.key)):
            if value:
                page.say(keyword, word(value))


def common_ca(config: Config) -> str:
    """The `ca` that all checks over TLS have; "" if they differ: then each says its own."""
    found = {tls.ca for tls in _tls(config)}
    return found.pop() if len(found) == 1 else ""


def _tls(config: Config) -> Iterator[Tls]:
    for server in config.virtual_servers:
        for real in server.real_servers:
            for check in real.checks:
                if isinstance(check, (SslCheck, GrpcCheck)) and check.tls is not None:
                    yield check.tls
