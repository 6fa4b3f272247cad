"""One scrape of 10 000 real servers, from the daemon's answer as bytes to the text a scraper reads, beside
prometheus_client alone. With the counters of IPVS: 140 000 samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from fastha.watch.everything import everything
from fastha.watch.exposition import plain, text
from watch_document import document, rows

ANSWER = orjson.dumps(document(100, 100))
ROWS = rows(100, 100)
GROUP = "scrape of 10 000 real servers"


def _both(accept: str) -> None:
    families = list(everything(orjson.loads(ANSWER), ROWS))
    assert sum(len(family.keys) for family in families) > 120_000
    assert text(families, accept) == plain(families, accept)


@pytest.mark.benchmark(group=GROUP)
def test_fastha(benchmark: Callable[..., Any]) -> None:
    _both("")
    out, _ = benchmark(lambda: text(everything(orjson.loads(ANSWER), ROWS)))
    assert out.count(b"\nfastha_real_server_weight{") == 10_000


@pytest.mark.benchmark(group=GROUP)
def test_prometheus_client_alone(benchmark: Callable[..., Any]) -> None:
    out, _ = benchmark(lambda: plain(everything(orjson.loads(ANSWER), ROWS)))
    assert out.count(b"\nfastha_real_server_weight{") == 10_000
