"""L0: what the operator wants, as frozen, slotted values. Nothing here has an fd, a clock or a log.

Addresses are canonical text (`"10.0.0.1"`, `"2001:db8::1"`); times are int nanoseconds (`_ns`).
Everything here crosses process boundaries by `model.codec`, so fields are plain data only.
"""

from fastha.model.buffers import AdvertBuffers, Buffers, ReceiveBuffer
from fastha.model.checks import (
    BfdCheck,
    Check,
    DnsCheck,
    FileCheck,
    GrpcCheck,
    HttpCheck,
    HttpUrl,
    MiscCheck,
    Networked,
    PingCheck,
    Regex,
    Scheduled,
    SmtpCheck,
    SslCheck,
    TcpCheck,
    Tls,
    UdpCheck,
)
from fastha.model.config import Config, Fifo, FirewallDefs, GlobalDefs, LvsDefs, ScriptDefs, SyncDaemon
from fastha.model.device import Device
from fastha.model.garp import GarpGroup
from fastha.model.group import SyncGroup
from fastha.model.link import LinkDelay
from fastha.model.lvs import GroupMember, RealServer, SorryServer, Tunnel, VirtualServer
from fastha.model.mail import MailDefs
from fastha.model.process import ProcessDefs, Processes
from fastha.model.routes import Encap, Metric, Nexthop, Route, Rule
from fastha.model.script import Script
from fastha.model.statics import Statics, TrackGroup
from fastha.model.track import BfdInstance, TrackFile, TrackProcess, VrrpScript
from fastha.model.vrrp import (
    Auth,
    Garp,
    Hmac,
    HmacKey,
    InstanceNotify,
    Tracker,
    TrackVirtualServer,
    VirtualAddress,
    VrrpInstance,
)

__all__ = [
    "AdvertBuffers",
    "Auth",
    "BfdCheck",
    "BfdInstance",
    "Buffers",
    "Check",
    "Config",
    "Device",
    "DnsCheck",
    "Encap",
    "Fifo",
    "FileCheck",
    "FirewallDefs",
    "Garp",
    "GarpGroup",
    "GlobalDefs",
    "GroupMember",
    "GrpcCheck",
    "Hmac",
    "HmacKey",
    "HttpCheck",
    "HttpUrl",
    "InstanceNotify",
    "LinkDelay",
    "LvsDefs",
    "MailDefs",
    "Metric",
    "MiscCheck",
    "Networked",
    "Nexthop",
    "PingCheck",
    "ProcessDefs",
    "Processes",
    "RealServer",
    "ReceiveBuffer",
    "Regex",
    "Route",
    "Rule",
    "Scheduled",
    "Script",
    "ScriptDefs",
    "SmtpCheck",
    "SorryServer",
    "SslCheck",
    "Statics",
    "SyncDaemon",
    "SyncGroup",
    "TcpCheck",
    "Tls",
    "TrackFile",
    "TrackGroup",
    "TrackProcess",
    "TrackVirtualServer",
    "Tracker",
    "Tunnel",
    "UdpCheck",
    "VirtualAddress",
    "VirtualServer",
    "VrrpInstance",
    "VrrpScript",
]
