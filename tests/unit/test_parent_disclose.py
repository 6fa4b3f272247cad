"""What the control socket tells of the configuration is the configuration."""

from __future__ import annotations

import orjson

from fastha.model import Config, VirtualServer, codec
from fastha.parent.configuration import Configuration, configured
from fastha.parent.disclose import plain
from random_model import Make
from walk.seeds import walk


def told(configuration: Configuration) -> Config:
    return codec.read(Config, orjson.loads(orjson.dumps(plain(configuration))))


def test_random_configurations_are_told_whole() -> None:
    make = Make(walk("disclose"))
    for _ in range(30):
        make.n = 0
        config = make.config()
        assert told(configured(config)) == config


def test_many_real_servers() -> None:
    make = Make(walk("disclose"))
    real = tuple(make.real(False, "NAT", 80) for _ in range(200))
    config = Config(virtual_servers=(VirtualServer(ip="10.0.0.1", port=80, real_servers=real),))
    assert told(configured(config)) == config


def test_nothing() -> None:
    assert told(Configuration()) == Config()
