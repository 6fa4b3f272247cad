"""What is kept while the daemon runs, whoever is master."""

from __future__ import annotations

from fastha.lean import dataclass
from fastha.model.routes import Belonging, Route, Rule
from fastha.model.vrrp import VirtualAddress


@dataclass(frozen=True, slots=True)
class TrackGroup:
    """Instances (by name) that are in FAULT while something static that names this group is not there."""

    name: str
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Statics:
    """`static_ipaddress` (each with its `dev`), `static_routes`, `static_rules`; there is one at most."""

    addresses: tuple[VirtualAddress, ...] = ()
    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()
    groups: tuple[TrackGroup, ...] = ()

    @property
    def name(self) -> str:
        return "static"

    @property
    def belongings(self) -> tuple[Belonging, ...]:
        """Routes and rules, in the order they are added."""
        return (*self.routes, *self.rules)
