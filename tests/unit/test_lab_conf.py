"""The laboratory's configuration files mean what its plan says."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastha.config.load import load
from fastha.lab import plan
from fastha.lab.conf import keepalived_conf
from fastha.model import TcpCheck, TrackVirtualServer
from fastha.model.units import NS_PER_S


@pytest.mark.parametrize("director", plan.DIRECTORS, ids=lambda d: d.name)
@pytest.mark.parametrize("tracking", [True, False])
def test_fastha_reads_it_without_a_word(tmp_path: Path, director: plan.DirectorPlan, tracking: bool) -> None:
    file = tmp_path / "keepalived.conf"
    file.write_text(keepalived_conf(director, tracking=tracking))
    loaded = load(str(file))
    assert [str(fault) for fault in loaded.faults] == []
    config = loaded.checked()
    service, gateway = config.instances
    assert (service.name, gateway.name) == plan.INSTANCES
    assert [str(a) for i in config.instances for a in i.addresses] == ["10.1.0.100/24", "10.2.0.1/24"]
    for instance in config.instances:
        assert (instance.version, instance.advert_int_ns, instance.priority) == (3, NS_PER_S // 10, director.priority)
        assert instance.preempt
        assert not instance.wants_master
        assert instance.track_virtual_servers == ((TrackVirtualServer(plan.VIRTUAL_SERVER),) if tracking else ())
    (virtual,) = config.virtual_servers
    assert virtual.key == plan.VIRTUAL_SERVER
    assert [(r.key, r.weight) for r in virtual.real_servers] == [(s.key, s.weight) for s in plan.SERVERS]
    kinds = [check.kind for r in virtual.real_servers for check in r.checks]
    assert kinds == [s.check for s in plan.SERVERS]
    assert all(check.delay_ns == NS_PER_S // 2 for r in virtual.real_servers for check in r.checks)
    assert isinstance(virtual.real_servers[2].checks[0], TcpCheck)


def test_directors_differ_in_name_and_priority_only() -> None:
    first, second = (keepalived_conf(director).splitlines() for director in plan.DIRECTORS)
    different = [a for a, b in zip(first, second, strict=True) if a != b]
    words = {line.split()[0] for line in different if not line.startswith("#")}
    assert words == {"router_id", "priority"}
