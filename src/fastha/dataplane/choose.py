"""Which backend `--dataplane NAME` means on this machine. Shell: it may load the kernel's module."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
from contextlib import ExitStack

from fastha.dataplane.backend import Backend
from fastha.dataplane.none import NoneBackend
from fastha.errors import SystemFault
from fastha.setns import Place, here

NAMES = ("auto", "ipvs", "nft", "none")
MODPROBE_TIMEOUT_S = 10


def open_backend(name: str, place: Place = here) -> Backend:
    """An open backend of the network namespace at `place`. `auto`: ipvs where the kernel has it, else nft. SystemFault
    (one line) if there is none."""
    with ExitStack() as stack:
        try:
            stack.enter_context(place())
        except OSError as error:
            raise SystemFault(f"no dataplane in another network namespace: {error}") from None
        return _chosen(name, place)


def _chosen(name: str, place: Place) -> Backend:
    if name == "none":
        return NoneBackend()
    if name == "ipvs":
        return _open_ipvs(place)
    if name == "nft":
        return _open_nft(place)
    if name != "auto":
        raise SystemFault(f"no dataplane is called {name!r}; there are: {', '.join(NAMES)}")
    try:
        return _open_ipvs(place)
    except SystemFault as ipvs:
        try:
            return _open_nft(place)
        except SystemFault as nft:
            raise SystemFault(f"no dataplane on this machine: {ipvs}; {nft}") from nft


def _open_ipvs(place: Place) -> Backend:
    if os.geteuid() == 0:
        load_module("ip_vs")
    return _open("ipvs", "fastha.dataplane.ipvs", "IpvsBackend", place)


def _open_nft(place: Place) -> Backend:
    return _open("nft", "fastha.dataplane.nft", "NftBackend", place)


def _open(name: str, module: str, class_name: str, place: Place) -> Backend:
    """Imported late: a machine without libnftables, say, still runs the other backends."""
    try:
        factory = getattr(importlib.import_module(module), class_name)
    except ImportError as fault:
        raise SystemFault(f"{name}: cannot be loaded here ({fault})") from fault
    backend: Backend = factory(place)
    return backend


def load_module(name: str) -> None:
    """Ask for a kernel module, quietly: whether the kernel has it is seen when it is used."""
    modprobe = shutil.which("modprobe", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if modprobe is None:
        return
    try:
        subprocess.run(
            [modprobe, "-q", name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=MODPROBE_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        pass
