"""A vrrp_instance while its block is read. Values."""

from __future__ import annotations

from fastha.config.build_auth import HmacDraft
from fastha.config.build_vmac import Vmac
from fastha.config.build_wire import WireDraft
from fastha.config.item import Item
from fastha.lean import dataclass, field
from fastha.model import Auth, Script, Tracker, TrackVirtualServer, VirtualAddress
from fastha.model.routes import Route, Rule
from fastha.model.units import NS_PER_S
from fastha.model.wire import PeerTtl

NO_AUTH = Auth()  # of nearly all: one object


@dataclass(slots=True)
class Draft:
    """An instance while its block is read; None: not said."""

    interface: str = ""
    vrf: str = ""
    vrid: int | None = None
    state: str = ""
    priority: int | None = None
    version: int | None = None
    advert_int_ns: int = NS_PER_S
    preempt: bool = True
    preempt_delay_ns: int = 0
    down_timer_adverts: int | None = None
    addresses: list[VirtualAddress] = field(default_factory=list)
    excluded: list[VirtualAddress] = field(default_factory=list)
    family: int = 4
    unicast_src: str = ""
    unicast_peers: list[str] = field(default_factory=list)
    bounds: list[PeerTtl] = field(default_factory=list)
    wire: WireDraft = field(default_factory=WireDraft)
    auth: Auth = NO_AUTH
    hmac: HmacDraft | None = None
    garp: dict[str, int] = field(default_factory=dict)
    track: list[TrackVirtualServer] = field(default_factory=list)
    trackers: list[Tracker] = field(default_factory=list)
    notify: dict[str, Script] = field(default_factory=dict)
    says_deleted: bool = False
    notify_priority: bool | None = None
    smtp_alert: bool | None = None
    routes: list[Route] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    promote_secondaries: bool = False
    vmac: Vmac = field(default_factory=Vmac)
    accept: bool | None = None
    strict: bool | None = None
    ipv6: bool = False
    no_addresses: bool = False
    answers: dict[str, bool] = field(default_factory=dict)
    rival_priority: int = 0
    kernel_rx_buf_size: int = 0
    said: dict[str, Item] = field(default_factory=dict)  # keyword -> where it was said last
