"""What the page is told: letters, and changes that make the old view the new one."""

from __future__ import annotations

import copy
import random
from typing import Any

import orjson

from fastha.watch.view import delta, past, real_servers, view
from watch_document import document


def merge(old: dict[str, Any], change: dict[str, Any]) -> None:
    """As page.js does it."""
    for key, value in change.items():
        if value is None:
            del old[key]
        elif key == "cells" and isinstance(value, dict):
            letters = list(old[key])
            for at, letter in value["at"].items():
                letters[int(at)] = letter
            old[key] = "".join(letters)
        elif isinstance(value, dict) and isinstance(old.get(key), dict):
            merge(old[key], value)
        else:
            old[key] = value


def test_the_past_is_what_events_tell() -> None:
    told = {
        "source": "vrrp",
        "kind": "state",
        "wall": 5.0,
        "subject": "a",
        "text": "init -> backup: no: reason -> here",
    }
    others = [told | {"kind": "drift"}, told | {"source": "bfd"}]
    assert past([told, *others, told | {"wall": 6.0, "text": "backup -> master: no advert"}]) == [
        ["a", 5.0, "backup"], ["a", 6.0, "master"],
    ]  # fmt: skip


def test_letters() -> None:
    cells = view(document(2, 7))["servers"]
    assert cells["10.0.0.0:80/tcp"]["cells"] == "u?duxuu"
    assert cells["10.0.0.1:80/tcp"]["cells"][3] == "k"


def test_a_daemon_that_does_not_answer() -> None:
    assert view(None)["about"] == {"answers": False}
    assert real_servers(None, "x") == {}


def test_a_master_that_hears_another_one_says_so() -> None:
    assert [one["two_masters"] for one in view(document())["instances"].values()] == [True, False]


def test_changes_make_the_old_one_the_new_one() -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    dice = random.Random(seed)
    status = document(5, 100)
    shown = orjson.loads(orjson.dumps(view(status)))
    for _ in range(60):
        servers = status["checker"]["virtual_servers"]
        for one in list(servers.values()):
            for real in one["real_servers"].values():
                if dice.random() < 0.02:
                    real["health"] = dice.choice(["up", "down", "unknown"])
        step = dice.random()
        if step < 0.2 and servers:
            del servers[dice.choice(list(servers))]
        elif step < 0.4:
            servers[f"10.9.9.{dice.randrange(9)}:80/tcp"] = copy.deepcopy(
                document(1, 100)["checker"]["virtual_servers"].popitem()[1]
            )
        elif step < 0.5:
            status["vrrp"]["instances"].setdefault("VI_1", {"state": "init"})["state"] = dice.choice(
                ["backup", "fault"]
            )
        elif step < 0.55:
            status["vrrp"]["instances"].pop("VI_1", None)
        new = view(status)
        merge(shown, orjson.loads(orjson.dumps(delta(shown, new))))
        assert shown == orjson.loads(orjson.dumps(new))
        assert delta(shown, new) == {}


def test_ten_thousand_real_servers_are_small() -> None:
    status = document(10, 1000)
    before = view(status)
    assert len(orjson.dumps(before)) < 20_000
    status["checker"]["virtual_servers"]["10.0.0.3:80/tcp"]["real_servers"]["10.2.3.0:8000"]["health"] = "down"
    assert len(orjson.dumps(delta(before, view(status)))) < 200
