"""Names of the kernel's load balancer in a configuration: schedulers, flags, ways of forwarding."""

from __future__ import annotations

from typing import NamedTuple

from fastha.config import values
from fastha.config.tree import Faults, Statement, shown
from fastha.model import Tunnel

SCHEDULERS = ("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "dh", "sed", "nq", "fo", "ovf", "mh", "twos")
FLAGS = ("ops", "flag-1", "flag-2", "flag-3", "sh-port", "sh-fallback", "mh-port", "mh-fallback")
METHODS = ("NAT", "DR", "TUN")
KINDS = ("ipip", "gue", "gre")
CHECKSUMS = ("nocsum", "csum", "remcsum")


class Method(NamedTuple):
    """How packets are forwarded."""

    forward: str
    tunnel: Tunnel = Tunnel()


def method(statement: Statement, index: int, faults: Faults) -> Method | None:
    """NAT | DR | TUN [type ipip|gue port N|gre] [nocsum|csum|remcsum] at word `index`; None after a fault."""
    words = statement.words
    name = words[index]
    if name not in METHODS:
        hint = f"did you mean {name.upper()}?" if name.upper() in METHODS else ""
        faults.error(statement.place(index), f"'{shown(name)}' is not NAT, DR or TUN", hint)
        return None
    wrong = len(faults)
    tunnel = _tunnel(statement, index + 1, faults)
    if len(faults) > wrong:
        return None
    if name != "TUN":
        if len(words) > index + 1:
            option = shown(" ".join(words[index + 1 :]))
            faults.warning(statement.place(index + 1), f"'{option}' has no effect on {name}")
        return Method(name)
    return Method(name, tunnel)


def _tunnel(statement: Statement, index: int, faults: Faults) -> Tunnel:
    words = statement.words
    kind, port, checksum, at = "ipip", 0, "nocsum", 0
    i = index
    while i < len(words):
        word = words[i]
        if word in CHECKSUMS:
            checksum, at = word, i
            i += 1
            continue
        if word not in ("type", "port"):
            faults.error(statement.place(i), f"'{shown(word)}' is no option of a tunnel", "type, port or a checksum")
            return Tunnel()
        if i + 1 == len(words):
            faults.error(statement.place(i), f"{word} needs a value", f"type {'|'.join(KINDS)}, port N")
            return Tunnel()
        if word == "port":
            port = values.port(statement, i + 1, faults) or 0
        elif words[i + 1] in KINDS:
            kind = words[i + 1]
        else:
            faults.error(statement.place(i + 1), f"'{shown(words[i + 1])}' is not a type of tunnel", ", ".join(KINDS))
        i += 2
    if kind == "gue" and not port:
        faults.error(statement.place(index), "a gue tunnel needs a port", "type gue port 6080")
    elif kind != "gue" and port:
        faults.error(statement.place(index), f"only a gue tunnel has a port, not {kind}")
    # linux/ip_vs.h: ip_vs_tunnel_xmit knows no checksum with ipip, and remote checksums in GUE headers alone.
    if (kind == "ipip" and checksum != "nocsum") or (kind == "gre" and checksum == "remcsum"):
        faults.error(
            statement.place(at),
            f"an {kind} tunnel cannot do {checksum}" if kind == "ipip" else "a gre tunnel cannot do remcsum",
        )
    return Tunnel(kind, port, checksum)
