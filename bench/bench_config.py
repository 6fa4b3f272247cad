"""Reading and building a configuration of 1 000 real servers (12 000 lines); cost is linear in the lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastha.config.build import build
from fastha.config.keywords import SCRIPT_WORDS
from fastha.config.reader import read
from fastha.config.tree import Tree

SERVERS, REAL = 10, 100


class OneFile:
    """The text of the benchmark as the only file there is."""

    def __init__(self, text: str) -> None:
        self.data = text.encode()

    def read(self, path: str) -> bytes:
        return self.data

    def glob(self, pattern: str) -> list[str]:
        return [pattern]


def text(servers: int = SERVERS) -> str:
    out = []
    for v in range(servers):
        out.append(f"virtual_server 10.0.{v}.1 80 {{\n  delay_loop 6\n  lb_algo wrr\n  lb_kind NAT\n  protocol TCP\n")
        out += [
            (
                f"  real_server 10.1.{v}.{r + 1} 80 {{\n    weight 10\n    HTTP_GET {{\n      url {{\n"
                "        path /health\n        status_code 200\n      }\n      connect_timeout 3\n      retry 3\n"
                "      delay_before_retry 3\n    }\n  }\n"
            )
            for r in range(REAL)
        ]
        out.append("}\n")
    return "".join(out)


def read_text(data: str) -> Tree:
    return read("bench.conf", OneFile(data), SCRIPT_WORDS)


def test_read(benchmark: Callable[..., Any]) -> None:
    data = text()
    tree = benchmark(read_text, data)
    assert tree.faults == []
    assert len(tree.statements) == SERVERS


def test_build(benchmark: Callable[..., Any]) -> None:
    tree = read_text(text())
    config, faults = benchmark(build, tree)
    assert faults == ()
    assert sum(len(v.real_servers) for v in config.virtual_servers) == SERVERS * REAL
