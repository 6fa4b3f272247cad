"""docs/failover.svg from what the laboratory saw.

    fastha lab --json | python bench/lab_picture.py > docs/failover.svg

A bar for each step of the story, as wide as it took; its height is what the client asked, by the server that
answered; red are those that were lost. Above it the longest gap between two answers.
"""

from __future__ import annotations

import json
import sys
from html import escape
from typing import Any

WIDTH, TOP, HEIGHT, LEFT = 960, 84, 170, 20
COLOURS = {"server1": "#4878a8", "server2": "#6fa8a0", "server3": "#9b86b5", "lost": "#c8402f"}
SAYS = "font-family='sans-serif' font-size='12' fill='currentColor'"


def picture(story: dict[str, Any]) -> str:
    """The SVG as text."""
    steps = [step for step in story["steps"] if step.get("client")]
    scale = (WIDTH - 2 * LEFT) / sum(step["client"]["seconds"] for step in steps)
    out = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {TOP + HEIGHT + 40}' role='img' "
        f"aria-label='What a client saw of a failover'>",
        "<style>svg { color: #222; background: #fff } @media (prefers-color-scheme: dark) "
        "{ svg { color: #ddd; background: #16181c } }</style>",
    ]
    x = float(LEFT)
    for number, step in enumerate(steps, 1):
        client = step["client"]
        wide = client["seconds"] * scale
        y = float(TOP + HEIGHT)
        shares = {**client["servers"], "lost": sum(client["lost"].values())}
        for name in COLOURS:
            high = HEIGHT * shares.get(name, 0) / max(client["sent"], 1)
            y -= high
            out.append(
                f"<rect x='{x:.1f}' y='{y:.1f}' width='{wide - 2:.1f}' height='{high:.1f}' fill='{COLOURS[name]}'/>"
            )
        out.append(f"<text {SAYS} x='{x:.1f}' y='{TOP + HEIGHT + 16}'>{number}</text>")
        out.append(f"<text {SAYS} x='{x:.1f}' y='{TOP - 6}'>{client['gap_ms']:.0f} ms</text>")
        x += wide
    titles = [f"{number} {escape(step['title'])}" for number, step in enumerate(steps, 1)]
    half = -(-len(titles) // 2)
    for line, some in enumerate((titles[:half], titles[half:])):
        out.append(f"<text {SAYS} x='{LEFT}' y='{18 + 16 * line}'>{' · '.join(some)}</text>")
    x = LEFT
    for name, colour in COLOURS.items():
        out.append(f"<rect x='{x}' y='{TOP + HEIGHT + 26}' width='10' height='10' fill='{colour}'/>")
        out.append(f"<text {SAYS} x='{x + 14}' y='{TOP + HEIGHT + 35}'>{name}</text>")
        x += 90
    out.append(f"<text {SAYS} x='{x + 10}' y='{TOP + HEIGHT + 35}'>above: the longest gap between two answers</text>")
    return "\n".join([*out, "</svg>", ""])


if __name__ == "__main__":
    sys.stdout.write(picture(json.load(sys.stdin)))
