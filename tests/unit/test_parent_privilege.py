"""What a configuration needs of the machine."""

from __future__ import annotations

from fastha.model import Config, VirtualServer, VrrpInstance
from fastha.parent.configuration import configured
from fastha.parent.privilege import CAP_NET_ADMIN, CAP_NET_RAW, effective, needed

INSTANCE = VrrpInstance(name="VI_1", interface="eth0", vrid=1)
SERVER = VirtualServer(ip="10.0.0.1", port=80)


def test_needs() -> None:
    assert set(needed(configured(Config()), "auto")) == set()
    assert set(needed(configured(Config(instances=(INSTANCE,))), "none")) == {CAP_NET_ADMIN, CAP_NET_RAW}
    assert set(needed(configured(Config(virtual_servers=(SERVER,))), "none")) == set()
    assert set(needed(configured(Config(virtual_servers=(SERVER,))), "auto")) == {CAP_NET_ADMIN}


def test_effective_capabilities() -> None:
    status = "Name:\tx\nCapInh:\t0000000000000000\nCapEff:\t0000000000003000\nSeccomp:\t0\n"
    assert effective(status) == 1 << CAP_NET_ADMIN | 1 << CAP_NET_RAW
    assert effective("Name:\tx\n") == 0
