"""The lines of `static_rules` and `virtual_rules`: SELECTOR... ACTION, in any order."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from fastha.config.line import NAME, U32, Line, Wrong
from fastha.config.tree import shown
from fastha.model.routes import Rule

ANY = ("any", "all", "default")
ACTIONS = ("table", "lookup", "l3mdev", "goto", "nop", "blackhole", "unreachable", "prohibit")
ORDER = ("preference", "order", "priority")
OPTIONS = (
    *ACTIONS, *ORDER, "from", "to", "not", "tos", "dsfield", "fwmark", "realms", "suppress_prefixlength", "sup_pl",
    "suppress_ifgroup", "sup_group", "dev", "iif", "oif", "tunnel-id", "uidrange", "protocol", "ipproto", "sport",
    "dport", "no_track", "track_group", "inet", "inet6",
)  # fmt: skip


def read_rule(line: Line, groups: bool) -> Rule:
    """Read one rule. `groups`: it may name a track_group, being static."""
    fields: dict[str, Any] = {}
    action = ""
    for_table = ""  # what only a table lookup can have
    while line.more:
        word = line.peek
        if word not in OPTIONS or (word == "track_group" and not groups):
            raise line.unknown("a rule", OPTIONS)
        line.at += 1
        if word in ACTIONS:
            if action:
                raise line.wrong(f"a rule has one action, and {action} is there already")
            action = "table" if word == "lookup" else word
            if action == "table":
                fields["table"] = line.named(word, "tables", U32)
                if fields["table"] == 0:
                    raise line.wrong("there is no table 0")
            elif word == "goto":
                fields["target"] = line.number(word)
        elif word in ORDER:
            fields["preference"] = line.number(word)
        else:
            _selector(line, word, fields)
            for_table = word if word.startswith(("sup", "realms")) else for_table
    if not action:
        raise Wrong(0, "the rule has no action", "table N, goto N, nop, blackhole, unreachable or prohibit")
    if for_table and action != "table":
        raise Wrong(line.words.index(for_table), f"{for_table} needs a table, not {action}")
    order = fields.get("preference")
    if action == "goto" and order is None:
        raise Wrong(0, "goto needs a preference")
    if action == "goto" and order >= fields["target"]:
        raise Wrong(0, f"goto {fields['target']} leads back: the preference is {order}")
    if order is None:
        line.warn("a rule without preference comes before all others of its kind", "preference N")
    return Rule(family=line.family or 4, action=action, **fields)


def _selector(line: Line, word: str, fields: dict[str, Any]) -> None:
    match word:
        case "from" | "to":
            if line.prefix(word, ANY):
                fields["src" if word == "from" else "dst"] = str(ip_network(line.words[line.at - 1], strict=False))
        case "not":
            fields["inverted"] = True
        case "tos" | "dsfield":
            fields["tos"] = line.unsigned(word, 255)
        case "fwmark":
            fields["fwmark"], last = line.pair(word, "/", 0, U32)
            if "/" in line.words[line.at - 1]:
                fields["fwmask"] = last
        case "realms":
            fields["realms"] = line.realms(word)
        case "suppress_prefixlength" | "sup_pl":
            fields["suppress_prefixlength"] = line.number(word, -1, (1 << 31) - 1)
        case "suppress_ifgroup" | "sup_group":
            fields["suppress_group"] = line.unsigned(word)
        case "dev" | "iif":
            fields["iif"] = line.interface(word)
        case "oif":
            fields["oif"] = line.interface(word)
        case "tunnel-id":
            fields["tunnel_id"] = line.number(word, 0, (1 << 64) - 1)
        case "uidrange":
            fields["uids"] = line.pair(word, "-", 0, U32, both=True)
        case "protocol":
            fields["protocol"] = line.number(word, 0, 255)
            if fields["protocol"] != 18:
                line.warn("a rule of another protocol is not watched", "no_track")
        case "ipproto":
            fields["ipproto"] = _ip_protocol(line, word)
        case "sport" | "dport":
            low, high = line.pair(word, "-", 0, 65535, both=True)
            if low > high:
                raise line.wrong(f"{word}: the range is empty")
            fields[f"{word}s"] = low, high
        case "no_track":
            fields["tracked"] = False
        case "track_group":
            fields["track_group"] = line.take(word)
        case "inet" | "inet6":
            line.settle(4 if word == "inet" else 6, 0)


def _ip_protocol(line: Line, option: str) -> int:
    if not NAME.fullmatch(line.peek):
        return line.unsigned(option, 255)
    from socket import getprotobyname  # 2 ms, for nearly nobody

    try:
        return getprotobyname(line.take(option))
    except OSError:
        raise line.wrong(f"{option}: '{shown(line.words[line.at - 1])}' is no protocol of IP") from None
