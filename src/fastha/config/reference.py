"""docs/configuration.md from the keyword table: `python -m fastha.config.reference > docs/configuration.md`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fastha.config.keywords import FREE, TABLE, Keyword, Status
from fastha.config.keywords.table import ROOT

INTRO = """# Configuration keywords

fastha reads `keepalived.conf`. This page lists every keyword that keepalived knows, block by block, and what fastha
makes of it. It is written from the keyword table by `python -m fastha.config.reference`; where the two programs differ
on purpose is in [compatibility.md](compatibility.md).

`fastha check -f FILE` tells everything that is wrong with a file, and which of its keywords have no effect.

| Support | What happens |
|---|---|
| yes | it has its meaning |
| no | it is read with all that belongs to it, reported, and has no effect: [why](#without-effect-and-why) |
| as `x` | an older spelling of `x` |

Words of the column *Value*: `N` a whole number; `SEC` seconds, decimals allowed; `s`, `ms`, `us` a whole number of
them; `BOOL` one of on off true false yes no (none means on); `ADDR` an IPv4 or IPv6 address; `IF` an interface; `CMD` a
command, quoted as a whole when it has arguments; `HOST` an address or a name; `GROUP4`, `GROUP6` a multicast address;
`COMM` a name of at most 15 bytes; `MASK` an octal number or names of bits; `CHECK` one of read match wildcard_match
brace_match all, after + or -; `VMAC` an interface name, a MAC address; `IPVLAN` an interface name, an address, a mode;
small words and `A|B` as written; `[X]` may be left out; `X...` any number; `{ x }` a block. *Since*:
the first keepalived release that has the keyword, if later than 2.2.7.
"""

# Why keywords have no effect: the first pattern that `block word` matches. docs/configuration.md tells it.
WHY = (
    ("SNMP and D-Bus", r"snmp|enable_traps|dbus", "there is no SNMP agent and no D-Bus service"),
    ("what is so anyway", r"use_symlink_paths|reload_check_config|tmp_config_directory|dynamic_interfaces",
     "scripts are run by their path as written; a reload tests its configuration first; processes get it without a"
     " file; interfaces may come and go"),
    ("words that mean nothing", r"^debug$|stats_dump_file|json_dump_file",
     "keepalived takes them, and does nothing with them"),
    ("interfaces by index", r"nftables_ifindex",
     "the table has no sets of IPv6 link-local addresses, and a name stays right when an interface has another index"),
    ("older spellings", r"lvs_sync_daemon_interface", "`lvs_sync_daemon` says it, as with keepalived"),
    ("packet filters", r"nftables|iptables|ipsets", "nftables does it, by the names of interfaces"),
    ("polling links", r"linkbeat",
     "MII, ETHTOOL and ioctl would tell once a second what the driver has told the kernel, which says it at once"),
    ("debugging reloads", r"config_save",
     "`fastha dump` prints the configuration as it was read, `fastha plan` what a reload would change; neither needs a"
     " directory"),
    ("the kernel's own mark", r"hashed",
     "the kernel marks with it what is in its table; set by keepalived it changes nothing"),
)  # fmt: skip


def why(keyword: Keyword) -> str:
    """The family of a keyword without effect; "" if there is none."""
    text = f"{keyword.block} {keyword.word}"
    own = next((name for name, pattern, _ in WHY if re.search(pattern, keyword.word)), "")
    return own or next((name for name, pattern, _ in WHY if re.search(pattern, text)), "")


def _without_effect() -> str:
    """Each keyword that is accepted without effect, and why."""
    rows = []
    for name, _, reason in WHY:
        words = [k for ws in TABLE.values() for k in ws.values() if k.status is not Status.SUPPORTED and why(k) == name]
        shown = [f"`{k.word}`" for k in words if not k.alias_of]
        if shown:
            rows.append(f"| {name} | {reason} | {', '.join(dict.fromkeys(shown))} |")
    return "## Without effect, and why\n\n| What | Why | Keywords |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def generate() -> str:
    """The whole page."""
    parts = [INTRO, *(_block(name, words) for name, words in TABLE.items()), _free(), _without_effect()]
    return "\n".join(parts)


def _block(name: str, words: dict[str, Keyword]) -> str:
    openers = sorted({k.block for ws in TABLE.values() for k in ws.values() if k.opens == name and k.block != ROOT})
    inside = f" (in {', '.join(f'`{o}`' for o in openers)})" if openers else ""
    title = "Top level" if name == ROOT else f"`{name}`{inside}"
    rows = "\n".join(_row(k) for k in words.values())
    return (
        f"## {title}\n\n| Keyword | Value | Default | Range | Support | Since | Meaning |\n"
        f"|---|---|---|---|---|---|---|\n{rows}\n"
    )


def _row(k: Keyword) -> str:
    if k.alias_of:
        return f"| `{k.word}` | | | | as `{k.alias_of}` | | |"
    support = "yes" if k.status is Status.SUPPORTED else "no"
    value = k.value.replace("{", "{ ").replace("}", " }").replace("|", "\\|")
    cells = [
        f"`{k.word}`",
        f"`{value}`" if value else "",
        k.default,
        k.range.replace("~", "").replace("..", " to ").removesuffix(" to ") + (", clamped" if k.clamps else "")
        if k.high is not None or not k.range
        else f"from {k.low}" + (", clamped" if k.clamps else ""),
        f"{support}, fastha only" if k.own else support,
        k.since,
        k.help,
    ]
    return "| " + " | ".join(cells) + " |"


def _free() -> str:
    rows: Iterator[str] = (
        f"| `{name}` | `{shape.replace('|', chr(92) + '|')}` | {text} |" for name, (shape, text) in FREE.items()
    )
    return (
        "## Lists\n\nBlocks whose lines are no keywords.\n\n| List | A line | What |\n|---|---|---|\n"
        + "\n".join(rows)
        + "\n"
    )


if __name__ == "__main__":
    print(generate(), end="")
