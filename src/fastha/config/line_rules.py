"""The lines of `static_rules` and `virtual_rules`: SELECTOR... ACTION, in any order."""

from __future__ import annotations

from fastha.config.line import U32, Line, Wrong

ANY = ("any", "all", "default")
ACTIONS = ("table", "lookup", "l3mdev", "goto", "nop", "blackhole", "unreachable", "prohibit")
ORDER = ("preference", "order", "priority")
OPTIONS = (
    *ACTIONS, *ORDER, "from", "to", "not", "tos", "dsfield", "fwmark", "realms", "suppress_prefixlength", "sup_pl",
    "suppress_ifgroup", "sup_group", "dev", "iif", "oif", "tunnel-id", "uidrange", "protocol", "ipproto", "sport",
    "dport", "no_track", "track_group", "inet", "inet6",
)  # fmt: skip


def read_rule(line: Line, groups: bool) -> None:
    """Read one rule. `groups`: it may name a track_group, being static."""
    action = ""
    order: int | None = None
    target: int | None = None
    for_table = ""  # what only a table lookup can have
    while line.more:
        word = line.peek
        if word not in OPTIONS or (word == "track_group" and not groups):
            raise line.unknown("a rule", OPTIONS)
        line.at += 1
        if word in ACTIONS:
            if action:
                raise line.wrong(f"a rule has one action, and {action} is there already")
            action = word
            if word in ("table", "lookup"):
                if line.name_or_number(word, U32) == "0":
                    raise line.wrong("there is no table 0")
            elif word == "goto":
                target = line.number(word)
        elif word in ORDER:
            order = line.number(word)
        else:
            _selector(line, word)
            for_table = word if word.startswith(("sup", "realms")) else for_table
    if not action:
        raise Wrong(0, "the rule has no action", "table N, goto N, nop, blackhole, unreachable or prohibit")
    if for_table and action not in ("table", "lookup"):
        raise Wrong(line.words.index(for_table), f"{for_table} needs a table, not {action}")
    if target is not None and order is None:
        raise Wrong(0, "goto needs a preference")
    if target is not None and order is not None and order >= target:
        raise Wrong(0, f"goto {target} leads back: the preference is {order}")
    if order is None:
        line.warn("a rule without preference comes before all others of its kind", "preference N")


def _selector(line: Line, word: str) -> None:
    match word:
        case "from" | "to":
            line.prefix(word, ANY)
        case "tos" | "dsfield":
            line.unsigned(word, 255)
        case "fwmark":
            line.pair(word, "/", 0, U32)
        case "realms":
            line.pair(word, "/", 0, 65535)
        case "suppress_prefixlength" | "sup_pl":
            line.number(word, -1, (1 << 31) - 1)
        case "suppress_ifgroup" | "sup_group":
            line.unsigned(word)
        case "dev" | "iif" | "oif":
            line.interface(word)
        case "tunnel-id":
            line.number(word, 0, (1 << 64) - 1)
        case "uidrange":
            line.pair(word, "-", 0, U32, both=True)
        case "protocol":
            if line.number(word, 0, 255) != 18:
                line.warn("a rule of another protocol is not watched", "no_track")
        case "ipproto":
            line.name_or_number(word, 255)
        case "sport" | "dport":
            low, high = line.pair(word, "-", 0, 65535, both=True)
            if low > high:
                raise line.wrong(f"{word}: the range is empty")
        case "track_group":
            line.take(word)
        case "inet" | "inet6":
            line.settle(4 if word == "inet" else 6, 0)
