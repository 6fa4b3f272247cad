"""docs/configuration.md from the keyword table: `python -m fastha.config.reference > docs/configuration.md`."""

from __future__ import annotations

from collections.abc import Iterator

from fastha.config.keywords import FREE, TABLE, Keyword, Status
from fastha.config.keywords.table import ROOT

INTRO = """# Configuration keywords

fastha reads `keepalived.conf`. This page lists every keyword that keepalived knows, block by block, and what fastha
makes of it. It is written from the keyword table by `python -m fastha.config.reference`; where the two programs differ
on purpose is in [compatibility.md](compatibility.md).

`fastha check -f FILE` tells everything that is wrong with a file, and which of its keywords have no effect yet.

| Support | What happens |
|---|---|
| yes | it has its meaning |
| not yet | it is read with all that belongs to it, reported, and has no effect |
| refused | it is not supported yet, and a director that ignored it would be dangerous: the file is refused |
| as `x` | an older spelling of `x` |

Words of the column *Value*: `N` a whole number; `SEC` seconds, decimals allowed; `s`, `ms`, `us` a whole number of
them; `BOOL` one of on off true false yes no (none means on); `ADDR` an IPv4 or IPv6 address; `IF` an interface; `CMD` a
command, quoted as a whole when it has arguments; `[X]` may be left out; `X...` any number; `{ x }` a block. *Since*:
the first keepalived release that has the keyword, if later than 2.2.7.
"""


def generate() -> str:
    """The whole page."""
    parts = [INTRO, *(_block(name, words) for name, words in TABLE.items()), _free()]
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
    support = {Status.SUPPORTED: "yes", Status.NOTED: "not yet", Status.REFUSED: "refused"}[k.status]
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
