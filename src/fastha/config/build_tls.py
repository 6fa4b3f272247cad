"""How checks speak TLS: their own words, and the `SSL` block that counts for all of them."""

from __future__ import annotations

from collections.abc import Iterable

from fastha.config import values
from fastha.config.item import Item
from fastha.config.shape import items
from fastha.config.tree import Faults, shown
from fastha.lean import dataclass, field, replace
from fastha.model import Check, GrpcCheck, SslCheck, Tls, VirtualServer


@dataclass(slots=True)
class TlsDraft:
    """The words of one check. `said`: the first of them, for GRPC_CHECK without `tls`."""

    tls: Tls = field(default_factory=Tls)
    said: Item | None = None


def tls_word(item: Item, draft: TlsDraft, faults: Faults) -> bool:
    """Put this keyword's value into `draft`; False if it is not about TLS."""
    word = item.statement.words[min(1, len(item.statement.words) - 1)]
    match item.name:
        case "enable_sni":
            draft.tls = replace(draft.tls, enable_sni=bool(values.boolean(item, faults)))
        case "sni_name":
            draft.tls = replace(draft.tls, sni=host_name(item, faults))
        case "tls_verify":
            draft.tls = replace(draft.tls, verify=bool(values.boolean(item, faults)))
        case "tls_verify_name":
            draft.tls = replace(draft.tls, verify_name=host_name(item, faults))
        case "tls_ca":
            draft.tls = replace(draft.tls, ca=word)
        case "tls_expiry_days":
            draft.tls = replace(draft.tls, expiry_days=values.number(item, faults) or 0)
        case _:
            return False
    draft.said = draft.said or item
    return True


def settled_tls(draft: TlsDraft, faults: Faults) -> Tls:
    """What goes together."""
    if not draft.tls.verify and draft.said is not None:
        for word, value in (("tls_verify_name", draft.tls.verify_name), ("tls_ca", draft.tls.ca)):
            if value:
                faults.warning(draft.said.statement.place(), f"{word} has no effect without tls_verify")
    return draft.tls


def host_name(item: Item, faults: Faults) -> str:
    """A name that can be sent or compared: labels of 1 to 63 characters (RFC 1035 section 2.3.4)."""
    word = item.statement.words[1]
    labels = word.removesuffix(".").split(".")
    if not all(0 < len(label) < 64 for label in labels) or any(c <= " " or c in '/"\x7f' for c in word):
        faults.error(item.statement.place(1), f"'{shown(word)}' is not a host name")
        return ""
    return word


def build_ssl_block(found: Iterable[Item], faults: Faults) -> Tls:
    """The `SSL` blocks; several add up."""
    tls = Tls()
    for block in found:
        for item in items(block.statement.block or [], "SSL", faults):
            word = item.statement.words[1]
            match item.name:
                case "ca":
                    tls = replace(tls, ca=word)
                case "certificate":
                    tls = replace(tls, certificate=word)
                case "key":
                    tls = replace(tls, key=word)
                case "password":
                    tls = replace(tls, password=word)
                case name:
                    raise AssertionError(name)
        if tls.key and not tls.certificate:
            faults.error(block.statement.place(), "SSL: a key without a certificate", "certificate PATH")
        if tls.password and not tls.certificate:
            faults.warning(block.statement.place(), "SSL: password has no effect without a certificate")
    return tls


def with_material(server: VirtualServer, ssl: Tls) -> VirtualServer:
    """`server` with what the `SSL` block says in each check over TLS; a check's own tls_ca is stronger."""
    return replace(
        server,
        real_servers=tuple(
            replace(rs, checks=tuple(_with(check, ssl) for check in rs.checks)) for rs in server.real_servers
        ),
    )


def _with(check: Check, ssl: Tls) -> Check:
    if not isinstance(check, SslCheck | GrpcCheck) or check.tls is None:
        return check
    own = check.tls
    return replace(
        check,
        tls=replace(
            own, ca=own.ca or ssl.ca, certificate=ssl.certificate, key=ssl.key, password=ssl.password,
        ),
    )  # fmt: skip
