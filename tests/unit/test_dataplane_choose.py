"""Which backend a name means: what auto falls back to, and the one line when there is nothing."""

from __future__ import annotations

import sys
from functools import partial
from types import ModuleType

import pytest

from fastha.dataplane import choose
from fastha.errors import SystemFault
from fastha.setns import Place, entered


class Fake:
    def __init__(self, _place: Place) -> None:
        self.name = "fake"


def refuse(line: str) -> type:
    class Refusing:
        def __init__(self, _place: Place) -> None:
            raise SystemFault(line)

    return Refusing


@pytest.fixture
def backends(monkeypatch: pytest.MonkeyPatch):
    """Stand-ins for the two backend modules; no module of the kernel is loaded."""
    monkeypatch.setattr(choose, "load_module", lambda name: None)

    def use(ipvs: type | None, nft: type | None) -> None:
        for name, class_name, cls in (("ipvs", "IpvsBackend", ipvs), ("nft", "NftBackend", nft)):
            module = ModuleType(f"fastha.dataplane.{name}")
            if cls:
                setattr(module, class_name, cls)
            monkeypatch.setitem(sys.modules, module.__name__, module if cls else None)

    return use


class Ipvs(Fake): ...


class Nft(Fake): ...


def test_auto_prefers_ipvs(backends) -> None:
    backends(Ipvs, Nft)
    assert type(choose.open_backend("auto")) is Ipvs


def test_auto_falls_back_to_nft(backends) -> None:
    backends(refuse("ipvs: no"), Nft)
    assert type(choose.open_backend("auto")) is Nft


def test_auto_refuses_in_one_line_that_names_both_reasons(backends) -> None:
    backends(refuse("ipvs: the kernel has none"), refuse("nft: no libnftables"))
    with pytest.raises(SystemFault) as fault:
        choose.open_backend("auto")
    assert str(fault.value) == "no dataplane on this machine: ipvs: the kernel has none; nft: no libnftables"


@pytest.mark.parametrize("name", ["ipvs", "nft"])
def test_an_explicit_name_does_not_fall_back(backends, name: str) -> None:
    backends(refuse("ipvs: no") if name == "ipvs" else Ipvs, refuse("nft: no") if name == "nft" else Nft)
    with pytest.raises(SystemFault, match=f"^{name}: no$"):
        choose.open_backend(name)


def test_a_backend_that_cannot_be_imported_is_a_fault_not_a_traceback(backends) -> None:
    backends(None, Nft)
    assert type(choose.open_backend("auto")) is Nft
    with pytest.raises(SystemFault, match="ipvs: cannot be loaded here"):
        choose.open_backend("ipvs")


def test_none_and_nonsense() -> None:
    assert choose.open_backend("none").name == "none"
    with pytest.raises(SystemFault, match="no dataplane is called 'lvs'; there are: auto, ipvs, nft, none"):
        choose.open_backend("lvs")


def test_a_namespace_that_is_not_there_is_one_clear_line() -> None:
    with pytest.raises(SystemFault, match=r"^no dataplane in another network namespace: .*No such file") as fault:
        choose.open_backend("none", partial(entered, "/run/netns/nowhere"))
    assert "'/run/netns/nowhere'" in str(fault.value)
