"""model.codec: dumps and loads are inverse for a configuration that uses every class."""

from __future__ import annotations

import pytest

from fastha.model import (
    Auth,
    Config,
    GlobalDefs,
    HttpCheck,
    HttpUrl,
    RealServer,
    Script,
    SorryServer,
    TcpCheck,
    TrackVirtualServer,
    VirtualAddress,
    VirtualServer,
    VrrpInstance,
)
from fastha.model.codec import dumps, loads
from fastha.model.config import diff

FULL = Config(
    globals=GlobalDefs(router_id="r1"),
    instances=(
        VrrpInstance(
            name="V",
            interface="eth0",
            vrid=1,
            addresses=(VirtualAddress("10.0.0.1", 24, dev="eth1"),),
            auth=Auth("pass", "secret"),
            track_virtual_servers=(TrackVirtualServer("10.0.0.1:80/tcp", 5),),
        ),
    ),
    virtual_servers=(
        VirtualServer(
            ip="10.0.0.1",
            port=80,
            sorry_server=SorryServer(ip="10.0.0.9", port=80),
            real_servers=(
                RealServer(
                    ip="10.0.0.2",
                    port=80,
                    notify_up=Script(("/bin/true", "x")),
                    checks=(
                        TcpCheck(ip="10.0.0.2", port=80),
                        HttpCheck(ip="10.0.0.2", port=80, urls=(HttpUrl(path="/a", status=((200, 204), (301, 301))),)),
                    ),
                ),
            ),
        ),
    ),
)


def test_round_trip() -> None:
    assert loads(Config, dumps(FULL)) == FULL


def test_missing_and_unknown_fields_raise() -> None:
    with pytest.raises(KeyError):
        loads(VrrpInstance, b'{"name": "x"}')
    with pytest.raises(KeyError):
        loads(Auth, b'{"kind": "none", "colour": 1}')


def test_diff_by_identity() -> None:
    d = diff([("a", 1), ("b", 2), ("c", 3)], [("b", 2), ("c", 4), ("d", 5)])
    assert (d.added, d.removed, d.changed, d.unchanged) == ((5,), (1,), ((3, 4),), (2,))
    assert not diff([("a", 1)], [("a", 1)])
