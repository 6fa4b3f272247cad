"""Several namespaces joined by cables and switches, with one owner who removes them all."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from fastha.lab import owner
from fastha.lab.netns import Namespace
from fastha.lab.signals import signals_ignored


class Network:
    """A context manager that makes namespaces and connections between them, and deletes all of them on leaving.

    Bridges live in a namespace of their own (`switch`), so that the host's interfaces stay as they are::

        with Network() as net:
            a, b = net.namespace("a"), net.namespace("b")
            net.cable(a, "eth0", b, "eth0")                       # a veth pair
            net.attach("lan", a, "eth1", "10.1.0.1/24")           # a port of the switch called lan
    """

    def __init__(self) -> None:
        self.namespaces: list[Namespace] = []
        self._switch: Namespace | None = None
        self._bridges: set[str] = set()
        self._ports = 0
        self._folder: Path | None = None

    def namespace(self, label: str) -> Namespace:
        made = Namespace(owner.make_name(label))
        self.namespaces.append(made)  # before it exists: an interrupt between the two leaves nothing
        made.add()
        return made

    @property
    def folder(self) -> Path:
        """A temporary folder that lives as long as the network."""
        if self._folder is None:
            self._folder = Path(tempfile.gettempdir(), owner.make_name("files"))
            self._folder.mkdir(mode=0o700)
        return self._folder

    def cable(self, a: Namespace, a_port: str, b: Namespace, b_port: str) -> None:
        """Join two namespaces directly; both ends are up."""
        for port in (a_port, b_port):
            _check_port(port)
        a.ip(f"link add {a_port} type veth peer name {b_port} netns {b.name}", f"link set {a_port} up")
        b.ip(f"link set {b_port} up")

    def attach(self, bridge: str, namespace: Namespace, port: str, *addresses: str, mac: str = "") -> str:
        """Plug a namespace into a bridge (made at first use), set addresses ("10.1.0.1/24"); returns the switch's port.

        `unplug` and `plug` take that port's name.
        """
        switch = self._bridge(bridge)
        _check_port(port)
        self._ports += 1
        switch_port = f"port{self._ports}"
        namespace.ip(
            f"link add {port} {f'address {mac} ' if mac else ''}type veth peer name {switch_port} netns {switch.name}",
            *(f"addr add {address} dev {port}{'' if ':' in address else ' brd +'}" for address in addresses),
            f"link set {port} up",
        )
        switch.ip(f"link set {switch_port} master {bridge} up")
        return switch_port

    def remove(self, namespace: Namespace) -> None:
        """Delete one namespace now; its cables go with it."""
        namespace.delete()
        self.namespaces.remove(namespace)

    def unplug(self, *switch_ports: str) -> None:
        """Pull cables: both ends lose their carrier."""
        self.switch.ip(*(f"link set {port} down" for port in switch_ports))

    def plug(self, *switch_ports: str) -> None:
        self.switch.ip(*(f"link set {port} up" for port in switch_ports))

    @property
    def switch(self) -> Namespace:
        if self._switch is None:
            self._switch = self.namespace("switch")
        return self._switch

    def _bridge(self, bridge: str) -> Namespace:
        _check_port(bridge)
        switch = self.switch
        if bridge not in self._bridges:
            # No learning delay (a port forwards at once) and no IGMP snooping: multicast goes to every port.
            switch.ip(
                f"link add {bridge} type bridge forward_delay 0 stp_state 0 mcast_snooping 0", f"link set {bridge} up"
            )
            self._bridges.add(bridge)
        return switch

    def close(self) -> None:
        """Remove everything, in spite of errors on the way: the first one is raised at the end."""
        errors = []
        for namespace in reversed(self.namespaces):
            try:
                namespace.delete()
            except Exception as error:
                errors.append(error)
        self.namespaces.clear()
        self._switch = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
        if errors:
            raise errors[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with signals_ignored():  # an impatient second Ctrl-C must not stop the tidying
            self.close()


def _check_port(name: str) -> None:
    if not 0 < len(name) <= 15:  # IFNAMSIZ is 16 with the final zero, linux/if.h
        raise ValueError(f"interface name must have 1 to 15 characters: {name!r}")
