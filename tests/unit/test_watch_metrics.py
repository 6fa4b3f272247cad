"""What is exported: the bytes are prometheus_client's, the names are sound, alerts and dashboard use what exists."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

import need
from fastha.watch.everything import everything
from fastha.watch.exposition import plain, text
from fastha.watch.vrrp import two_masters
from watch_document import NOW, document, rows

ROOT = Path(__file__).resolve().parent.parent.parent
PROMETHEUS = ROOT / "examples" / "prometheus"
OPEN = "application/openmetrics-text; version=1.0.0"
ALL = list(everything(document(), rows()))


def samples(families: Any = ALL) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """{(name, labels): value}, read back by prometheus_client."""
    found = {}
    for metric in prometheus(text(families)[0].decode()):
        for one in metric.samples:
            key = (one.name, frozenset(one.labels.items()))
            assert key not in found, f"{key} twice"
            found[key] = one.value
    return found


def value(name: str, **labels: str) -> float:
    return samples()[name, frozenset(labels.items())]


@pytest.mark.parametrize("accept", ["", OPEN, "text/plain;version=1.0.0"])
@pytest.mark.parametrize(("virtual", "real"), [(2, 3), (3, 200)])
def test_the_bytes_are_those_of_prometheus_client(accept: str, virtual: int, real: int) -> None:
    families = list(everything(document(virtual, real), rows(virtual, real)))
    assert text(families, accept) == plain(families, accept)


def test_openmetrics_is_read_by_its_parser() -> None:
    families = list(everything(document(3, 200), rows(3, 200)))
    read = {metric.name for metric in open_metrics(text(families, OPEN)[0].decode())}
    assert read == {family.name for family in families if family.keys}


def test_labels_that_need_escaping_come_back() -> None:
    status = document(1, 100)
    one = status["checker"]["virtual_servers"].popitem()[1]
    status["checker"]["virtual_servers"]['a"b\\c\nd{0}'] = one
    families = list(everything(status, None))
    assert text(families) == plain(families)
    assert ("fastha_virtual_server_up", frozenset({("virtual_server", 'a"b\\c\nd{0}')})) in samples(families)


def test_values() -> None:
    assert value("keepalived_up") == 1
    instance = {"iname": "VI_1", "intf": "eth0", "vrid": "51"}
    assert value("keepalived_vrrp_state", **instance, ip_address="10.0.0.9/24") == 2
    assert value("keepalived_advertisements_sent_total", **instance, state="MASTER") == 700
    assert value("keepalived_release_master_total", **instance, state="MASTER") == 1
    assert value("keepalived_packet_length_errors_total", **instance, state="MASTER") == 3
    late = [
        value("fastha_vrrp_advert_lateness_seconds_bucket", vrrp_instance="VI_1", le=le) for le in ("0.0001", "+Inf")
    ]
    assert late == [690, 700]
    assert value("fastha_child_loop_lag_seconds_bucket", role="vrrp", le="0.001") == 990
    assert value("fastha_child_up", role="checker") == 0
    assert ("fastha_child_up", frozenset({("role", "bfd")})) not in samples()
    assert value("fastha_virtual_server_panic", virtual_server="10.0.0.1:80/tcp") == 1
    assert value("fastha_virtual_server_real_servers", virtual_server="10.0.0.0:80/tcp", health="down") == 1
    real = {"virtual_server": "10.0.0.0:80/tcp", "real_server": "10.2.0.2:8000"}
    assert value("fastha_real_server_up", **real) == 0
    assert value("fastha_real_server_in_table", **real) == 0
    assert value("fastha_check_up", **real, check="TCP_CHECK", number="1") == 0
    assert value("fastha_check_up", **real | {"real_server": "10.2.0.0:8000"}, check="HTTP_GET", number="1") == 1
    assert value("fastha_real_server_response_seconds", **real | {"real_server": "10.2.0.0:8000"}) == 0.001234567
    assert value("keepalived_lvs_rs_in_bytes", addr="10.2.0.2:8000", proto="6", vip="10.0.0.0:80") == 2_000_000
    assert value("keepalived_lvs_vip_conn", addr="10.0.0.0:80", proto="6") == 30
    assert value("fastha_dataplane_drift_total") == 1
    assert value("fastha_probes_ended_total", ending="refused") == 7


def test_a_daemon_that_is_away_is_down_and_nothing_else() -> None:
    assert samples(list(everything(None, None))) == {("keepalived_up", frozenset()): 0.0}


def test_an_empty_daemon_can_be_asked() -> None:
    assert ("keepalived_up", frozenset()) in samples(list(everything({"v": 1, "ok": True}, [])))


MASTER = {"state": "master", "since": NOW - 100, "advert_int_ns": 10**9}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, None),
        ({"peers": []}, False),
        ({"peers": [{"priority": 100, "heard": NOW - 1}]}, True),
        ({"peers": [{"priority": 100, "heard": NOW - 1}], "state": "backup"}, False),
        ({"peers": [{"priority": 0, "heard": NOW - 1}]}, False),  # it resigned
        ({"peers": [{"priority": 100, "heard": NOW - 60}]}, False),  # long ago
        ({"peers": [{"priority": 100, "heard": NOW - 1}], "since": NOW - 2}, False),  # under way when we took over
    ],
)
def test_two_masters(more: dict[str, Any], expected: bool | None) -> None:
    assert two_masters(MASTER | more, NOW) is expected


@pytest.mark.interop
def test_promtool_finds_nothing_to_say() -> None:
    promtool = need.tool("promtool")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text(ALL)[0], capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.interop
def test_promtool_takes_the_alerts() -> None:
    promtool = need.tool("promtool")
    done = subprocess.run(
        [promtool, "check", "rules", PROMETHEUS / "fastha.rules.yml"], capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "11 rules found" in done.stdout


NAME = re.compile(r"\b(?:fastha|keepalived)_[a-z_]+")


def test_alerts_and_dashboard_use_names_that_exist() -> None:
    exported = {name for name, _ in samples()}
    dashboard = json.loads((PROMETHEUS / "fastha-dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(expressions) > 15
    rules = (PROMETHEUS / "fastha.rules.yml").read_text()
    expressions += re.findall(r"expr: (?:>\n)?((?:.+\n)+?)\s+(?:for|labels):", rules)
    used = {name for expression in expressions for name in NAME.findall(expression)}
    assert len(used) >= 25
    assert used - exported == set()


@pytest.mark.interop
def test_promtool_takes_the_expressions_of_the_dashboard(tmp_path: Path) -> None:
    promtool = need.tool("promtool")
    dashboard = json.loads((PROMETHEUS / "fastha-dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    rules = {"groups": [{"name": "g", "rules": [{"record": f"r:{i}", "expr": e} for i, e in enumerate(expressions)]}]}
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps(rules))  # JSON is YAML
    done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
