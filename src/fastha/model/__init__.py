"""L0: what the operator wants, as frozen, slotted values. Nothing here has an fd, a clock or a log.

Addresses are canonical text (`"10.0.0.1"`, `"2001:db8::1"`); times are int nanoseconds (`_ns`).
Everything here crosses process boundaries by `model.codec`, so fields are plain data only.
"""

from fastha.model.checks import Check, HttpCheck, HttpUrl, TcpCheck
from fastha.model.config import Config, GlobalDefs, LvsDefs, SyncDaemon
from fastha.model.lvs import GroupMember, RealServer, Script, SorryServer, Tunnel, VirtualServer
from fastha.model.vrrp import Auth, Garp, TrackVirtualServer, VirtualAddress, VrrpInstance

__all__ = [
    "Auth",
    "Check",
    "Config",
    "Garp",
    "GlobalDefs",
    "GroupMember",
    "HttpCheck",
    "HttpUrl",
    "LvsDefs",
    "RealServer",
    "Script",
    "SorryServer",
    "SyncDaemon",
    "TcpCheck",
    "TrackVirtualServer",
    "Tunnel",
    "VirtualAddress",
    "VirtualServer",
    "VrrpInstance",
]
