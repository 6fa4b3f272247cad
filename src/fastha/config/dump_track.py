"""`track_file`, `bfd_instance` and the block `SSL`."""

from __future__ import annotations

from fastha.config.dump_words import Page, word
from fastha.model import BfdInstance, Config, GrpcCheck, SslCheck, TrackFile
from fastha.model.units import NS_PER_MS


def dump_track_file(file: TrackFile, page: Page) -> None:
    with page.block("track_file", word(file.name)):
        page.say("file", word(file.path))
        page.unless(0, "weight", file.weight, _weight(file.weight, file.reverse))
        if file.init is not None:
            page.say("init_file", file.init, *(["overwrite"] if file.overwrite else []))


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
            page.unless(normal, keyword, value, value // NS_PER_MS)
        page.unless(default.multiplier, "multiplier", bfd.multiplier)
        page.unless(default.ttl, "ttl", bfd.ttl)
        page.unless(default.max_hops, "max_hops", bfd.max_hops)
        if bfd.multihop:
            page.say("multihop")
        if bfd.passive:
            page.say("passive")
        page.unless(0, "weight", bfd.weight, _weight(bfd.weight, bfd.reverse))
        if not bfd.checker:
            page.say("vrrp")
        if not bfd.vrrp:
            page.say("checker")


def dump_ssl(config: Config, page: Page) -> None:
    """Client key and certificates: one block for all checks that speak TLS."""
    checks = (check for server in config.virtual_servers for real in server.real_servers for check in real.checks)
    known = [c.tls for c in checks if isinstance(c, (SslCheck, GrpcCheck)) and c.tls is not None]
    if not known:
        return
    tls = known[0]
    page.ca = tls.ca if all(other.ca == tls.ca for other in known) else ""
    if not (page.ca or tls.certificate or tls.key or tls.password):
        return
    page.gap()
    with page.block("SSL"):
        if tls.password:
            page.secret("password", tls.password)
        for keyword, value in (("ca", page.ca), ("certificate", tls.certificate), ("key", tls.key)):
            if value:
                page.say(keyword, word(value))
