"""mh and the number of its slots: from the kernel's configuration, else by asking; and who is refused."""

from __future__ import annotations

import errno
import gzip
from collections.abc import Sequence
from pathlib import Path

import pytest

from fastha.dataplane import ipvs, ipvs_mh
from fastha.dataplane.ipvs_mh import MOST, USUAL, asked_slots, configured_slots, destinations
from fastha.dataplane.none import NoneBackend
from fastha.dataplane.rows import Op, Verb
from fastha.model import RealServer, SorryServer, VirtualServer


def server(count: int, **more: object) -> VirtualServer:
    reals = tuple(RealServer(ip=f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}", port=80, forward="DR") for i in range(count))
    return VirtualServer(ip="192.0.2.1", port=80, scheduler="mh", real_servers=reals, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("index", "slots"), [(8, 251), (12, 4093), (17, 131071), (99, 0)])
def test_the_kernels_configuration(tmp_path: Path, index: int, slots: int) -> None:
    text = f"CONFIG_IP_VS_MH=m\nCONFIG_IP_VS_MH_TAB_INDEX={index}\n".encode()
    assert configured_slots("6.1.0", tmp_path) == 0
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/config-6.1.0").write_bytes(text)
    assert configured_slots("6.1.0", tmp_path) == slots
    assert configured_slots("6.2.0", tmp_path) == 0
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/config.gz").write_bytes(gzip.compress(text))
    assert configured_slots("6.2.0", tmp_path) == slots


# Without the time of day, which would be in the names of the tests.
OTHER, CUT = gzip.compress(b"CONFIG_IP_VS=m\n", mtime=0), gzip.compress(b"x" * 99, mtime=0)[:20]


@pytest.mark.parametrize("junk", [b"", b"no gzip", OTHER, CUT], ids=["empty", "no gzip", "says nothing", "cut short"])
def test_a_configuration_that_says_nothing(tmp_path: Path, junk: bytes) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/config.gz").write_bytes(junk)
    assert configured_slots("6.1.0", tmp_path) == 0


class Kernel(NoneBackend):
    """Memory whose mh has `slots`."""

    def __init__(self, slots: int) -> None:
        super().__init__()
        self.slots = slots
        self.asked = 0

    def apply(self, ops: Sequence[Op]) -> list[int]:
        table = self.dump()
        if ops[0].verb == Verb.SET_SERVICE and len(table[ops[0].key].dests) > self.slots:
            self.asked += 1
            return [errno.EINVAL]
        return super().apply(ops)


def test_asking_leaves_nothing_behind() -> None:
    for slots, answer in ((4093, USUAL), (8191, MOST)):
        kernel = Kernel(slots)
        assert asked_slots(kernel.apply) == answer
        assert kernel.dump() == {}


def test_a_kernel_that_cannot_be_asked() -> None:
    deleted: list[Op] = []

    def apply(ops: Sequence[Op]) -> list[int]:
        deleted.extend(op for op in ops if op.verb == Verb.DEL_SERVICE)
        return [errno.ENOMEM] * len(ops)

    with pytest.raises(OSError, match="cannot find out how much mh takes"):
        asked_slots(apply)
    assert len(deleted) == 1


def test_who_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = object.__new__(ipvs.IpvsBackend)
    kernel = Kernel(USUAL)
    monkeypatch.setattr(ipvs, "configured_slots", lambda: 0)
    monkeypatch.setattr(backend, "_mh_slots", 0, raising=False)
    monkeypatch.setattr(backend, "apply", kernel.apply, raising=False)
    assert backend.refuse(server(4093)) == ""
    assert kernel.asked == 0
    assert backend.refuse(server(4094)) == "mh: this kernel's table has 4093 slots, too few for 4094 destinations"
    assert "too few" in backend.refuse(server(5000))
    assert kernel.asked == 1
    monkeypatch.setattr(ipvs, "configured_slots", lambda: 8191)
    backend._mh_slots = 0
    assert backend.refuse(server(8191)) == ""
    assert "8191 slots" in backend.refuse(server(8192))
    assert kernel.asked == 1
    assert set(ipvs_mh.SLOTS.values()) >= {USUAL, MOST}


def test_a_sorry_server_counts_where_it_stands_beside_the_others() -> None:
    assert destinations(server(3)) == 3
    assert destinations(server(3, sorry_server=SorryServer(ip="10.9.0.1", port=80))) == 3
    assert destinations(server(3, sorry_server=SorryServer(ip="10.9.0.1", port=80, inhibit=True))) == 4
    inhibited = RealServer(ip="10.2.0.1", port=80, inhibit_on_failure=True)
    both = VirtualServer(
        ip="192.0.2.1", port=80, real_servers=(inhibited,), sorry_server=SorryServer(ip="10.9.0.1", port=1)
    )
    assert destinations(both) == 2
