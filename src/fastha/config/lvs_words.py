"""Names of the kernel's load balancer in a configuration: schedulers, flags, ways of forwarding."""

from __future__ import annotations

from fastha.config.tree import Faults, Statement, shown

SCHEDULERS = ("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "dh", "sed", "nq", "fo", "ovf", "mh", "twos")
FLAGS = ("ops", "flag-1", "flag-2", "flag-3", "sh-port", "sh-fallback", "mh-port", "mh-fallback")
METHODS = ("NAT", "DR", "TUN")


def method(statement: Statement, index: int, faults: Faults) -> str | None:
    """NAT | DR | TUN with its options; options that change the packets are refused until they have meaning."""
    words = statement.words
    name = words[index]
    if name not in METHODS:
        hint = f"did you mean {name.upper()}?" if name.upper() in METHODS else ""
        faults.error(statement.place(index), f"'{shown(name)}' is not NAT, DR or TUN", hint)
        return None
    options = words[index + 1 :]
    if options[:2] == ["type", "ipip"]:
        options = options[2:]
    if options and options != ["nocsum"]:
        option = shown(" ".join(options))
        if name == "TUN" and options[0] in ("type", "csum", "remcsum"):
            message = f"{name} {option} is not supported yet, and packets without it would not be understood"
        else:
            message = f"'{option}' is no option of {name}"
        faults.error(statement.place(len(words) - len(options)), message)
    return name
