"""Random configurations as values: only what reading a file can give, with every field of every class in use."""

from __future__ import annotations

import random
from dataclasses import fields, is_dataclass, replace
from typing import Any

from fastha import model
from fastha.config.build_checks import BUILDERS
from fastha.config.build_vmac import with_names
from fastha.config.keywords import TABLE, Status
from fastha.config.keywords.table import ROOT
from fastha.config.placed import Built
from fastha.config.reader import read
from fastha.config.tree import Faults
from fastha.model import (
    Auth,
    BfdInstance,
    Check,
    Config,
    Device,
    DnsCheck,
    FirewallDefs,
    Garp,
    GlobalDefs,
    GroupMember,
    GrpcCheck,
    Hmac,
    HmacKey,
    HttpCheck,
    HttpUrl,
    LvsDefs,
    PingCheck,
    ProcessDefs,
    Processes,
    RealServer,
    Regex,
    Script,
    SmtpCheck,
    SorryServer,
    SslCheck,
    SyncDaemon,
    TcpCheck,
    Tls,
    TrackFile,
    TrackVirtualServer,
    Tunnel,
    UdpCheck,
    VirtualAddress,
    VirtualServer,
    VrrpInstance,
)
from fastha.model.lvs import host_port
from fastha.model.wire import PeerTtl, Wire
from random_routes import some_routes, some_rules, some_statics

S = 10**9
MS = 10**6
WORDS = ["a", "web-1", "x.y", "two words", "#1", "a!b", "br{a}ce", "", "é", "back\\slash", "it's"]
ARGS = [*WORDS, 'say "hi"', "$HOME", "${_PWD}", "tab\there", "new\nline", "~SEQ(a,3)", "\x07", "@host", "a'b\"c\\d e"]


def supported(block: str, word: str) -> bool:
    return word in TABLE[block] and TABLE[block][word].status is Status.SUPPORTED


MADE = ("TCP_CHECK", "HTTP_GET", "PING_CHECK", "UDP_CHECK", "DNS_CHECK", "SMTP_CHECK", "SSL_GET", "GRPC_CHECK")


def has(cls: type[Any], name: str) -> bool:
    return any(f.name == name for f in fields(cls))


IPVLANS = {"eth9": "bridge", "eth10": "vepa"}  # interfaces for them, and their modes


class _OneText:
    def read(self, path: str) -> bytes:
        return b"vrrp_instance x {\n}\n"

    def glob(self, pattern: str) -> list[str]:
        return [pattern]


NOWHERE = read("nowhere", _OneText()).statements[0].spot()  # what a value was built of that no text says


class Make:
    """Values from a generator. What this version of the model does not have yet is left out."""

    def __init__(self, r: random.Random) -> None:
        self.r = r
        self.n = 0
        self.material: dict[str, Any] = {"certificate": "", "key": "", "password": "", "ca": [""]}
        self.scripts: list[Any] = []
        self.files: list[TrackFile] = []
        self.processes_wanted: list[model.TrackProcess] = []

    def number(self) -> int:
        """A number that this configuration has not had yet."""
        self.n += 1
        return self.n

    def maybe(self, value: Any, otherwise: Any, share: float = 0.3) -> Any:
        return value if self.r.random() < share else otherwise

    def ns(self, low_us: int = 1) -> int:
        return self.r.choice([low_us, 1, 250_000, 1_000_001, 5_000_000, 60_000_000, 3_999_999]) * 1000

    def word(self) -> str:
        return self.r.choice([w for w in WORDS if w])

    def script(self) -> Script | None:
        if self.r.random() < 0.6:
            return None
        argv = ("/bin/x", *(self.r.choice(ARGS) for _ in range(self.r.randrange(4))))
        script = Script(argv, *self.r.choice([("", ""), ("nobody", ""), ("nobody", "nogroup"), ("", "adm")]))
        if has(Script, "supplementary") and script.user and script.group and self.r.random() < 0.5:
            return replace(script, supplementary=True)
        return script

    # -- balancing

    def scheduling(self, retry_low: int = 0) -> dict[str, Any]:
        delay = self.ns()
        out = {
            "delay_ns": delay,
            "retry": self.r.randint(retry_low, 5),
            "retry_delay_ns": self.ns(0),
            "warmup_ns": self.r.choice([delay, 0, self.ns()]),
            "alpha": self.r.random() < 0.5,
            "log_all_failures": supported("TCP_CHECK", "log_all_failures") and self.r.random() < 0.3,
            "rise": self.r.choice([1, 3]) if supported("TCP_CHECK", "rise") else 1,
        }
        return self.maybe(out, {}, 0.8)

    def connection(self, rs: dict[str, Any], kind: str) -> dict[str, Any]:
        six = ":" in rs["ip"]
        return {
            **self.scheduling(),
            "ip": self.maybe("2001:db8::9" if six else "10.9.9.9", rs["ip"]),
            "port": 0 if kind == "PING_CHECK" else self.maybe(8080, rs["port"] or 99),
            "bind_ip": self.maybe("2001:db8::8" if six else "10.9.9.8", ""),
            "bind_port": self.maybe(4000, 0) if supported(kind, "bind_port") and kind != "PING_CHECK" else 0,
            "bind_if": self.maybe("eth7", "") if supported(kind, "bind_if") else "",
            "fwmark": self.maybe(77, 0) if supported(kind, "fwmark") else 0,
            "timeout_ns": self.ns(),
        }

    def url(self, host: str, ssl: bool = False) -> HttpUrl:
        regex = None
        if self.r.random() < 0.4:
            low = self.maybe(7, 0)
            regex = Regex(
                pattern=self.r.choice(["abc", r"a\d+ (b|c){2}$", 'it\'s "up"', "é#!", "^$"]),
                negated=self.r.random() < 0.5,
                options=self.r.choice([(), ("caseless",), ("dotall", "utf")]),
                min_offset=low,
                max_offset=self.maybe(99, 0),
            )
        return HttpUrl(
            path=self.r.choice(["/", "/a?b=c", "/#x"]),
            status=self.r.choice([((200, 299),), ((200, 204), (301, 301)), ((404, 404),)]),
            digest=self.maybe("0123456789abcdef" * 2, ""),
            virtualhost=self.maybe("www.example.org", host),
            regex=regex,
            tls_compliant=ssl and self.r.random() < 0.5,
        )

    def tls(self) -> Tls:
        return Tls(
            sni=self.maybe("sni.example", ""),
            enable_sni=self.r.random() < 0.5,
            verify=self.r.random() < 0.5,
            verify_name=self.maybe("name.example", ""),
            expiry_days=self.maybe(14, 0),
            ca=self.r.choice(self.material["ca"]),
            certificate=self.material["certificate"],
            key=self.material["key"],
            password=self.material["password"],
        )

    def check(self, rs: dict[str, Any]) -> Check:
        kinds = [k for k in MADE if k in BUILDERS]
        kind = self.r.choice(kinds)
        known = self.connection(rs, kind)
        match kind:
            case "PING_CHECK":
                return PingCheck(**known)
            case "UDP_CHECK":
                mask = self.r.choice(["", "ffff", "f00f", "ff0f"])
                return UdpCheck(
                    **known,
                    payload=self.maybe("00ff7f", ""),
                    require_reply=bool(mask) or self.r.random() < 0.5,
                    reply="".join(c if m == "f" else "0" for c, m in zip("1a2b", mask, strict=False)),
                    mask=mask,
                    min_reply_length=self.maybe(7, 0),
                    max_reply_length=self.maybe(512, 65535),
                )
            case "DNS_CHECK":
                name = self.r.choice([".", "a.example"])
                return DnsCheck(**known, type=self.r.choice(["SOA", "A", "AAAA"]), name=name)
            case "SMTP_CHECK":
                return SmtpCheck(**known, helo_name=self.maybe("mx.example", ""))
            case "HTTP_GET":
                host = host_port(known["ip"], known["port"])
                urls = tuple(self.url(host) for _ in range(self.r.randint(1, 3)))
                protocol = self.r.choice(["1.0", "1.0C", "1.1"])
                fast, reset = self.r.random() < 0.5, self.r.random() < 0.5
                return HttpCheck(**known, urls=urls, http_protocol=protocol, fast_recovery=fast, close_reset=reset)
            case "SSL_GET":
                host = host_port(known["ip"], known["port"])
                return SslCheck(
                    **known,
                    urls=tuple(self.url(host, ssl=True) for _ in range(self.r.randint(1, 3))),
                    http_protocol=self.r.choice(["1.0", "1.0C", "1.1"]),
                    fast_recovery=self.r.random() < 0.5,
                    tls=self.tls(),
                    http2=self.r.random() < 0.5,
                )
            case "GRPC_CHECK":
                tls = self.tls() if self.r.random() < 0.5 else None
                return GrpcCheck(
                    **known, service=self.maybe("shop.Cart", ""), authority=self.maybe("cart.example", ""), tls=tls
                )
        return TcpCheck(**known, close_reset=self.r.random() < 0.5)

    def tunnel(self, forward: str) -> Tunnel:
        if forward != "TUN":
            return Tunnel()
        return self.r.choice([Tunnel(), Tunnel("gue", 6080), Tunnel("gue", 7, "remcsum"), Tunnel("gre", 0, "csum")])

    def real(self, six: bool, forward: str, port: int) -> RealServer:
        how = self.maybe(self.r.choice(["NAT", "DR", "TUN"]), forward)
        ip = f"2001:db8:1::{self.number():x}" if six else f"10.3.{self.number() // 200}.{self.n % 200 + 1}"
        head: dict[str, Any] = {"ip": ip, "port": self.r.choice([port or 80, 8080]) if how == "NAT" else port}
        return RealServer(
            **head,
            weight=self.r.choice([0, 1, 1, 1, 5, 2147483647]),
            forward=how,
            tunnel=self.tunnel(how),
            inhibit_on_failure=self.r.random() < 0.3,
            alpha=self.r.random() < 0.3,
            uthreshold=self.maybe(100, 0),
            lthreshold=self.maybe(50, 0),
            checks=tuple(self.check(head) for _ in range(self.r.choice([0, 1, 1, 2]))),
            notify_up=self.script(),
            notify_down=self.script(),
            smtp_alert=self.r.random() < 0.5,
        )

    def head(self) -> dict[str, Any]:
        """What a virtual server is for."""
        n, six = self.number(), self.r.random() < 0.3
        family = "inet6" if six else "inet"
        match self.r.choice(["address", "address", "mark", "group"]):
            case "mark":
                return {"fwmark": n, "family": family}
            case "group":
                members = [
                    GroupMember(f"10.5.{n}.1", f"10.5.{n}.1", 80),
                    GroupMember(f"10.5.{n}.4", f"10.5.{n}.9", self.r.choice([80, 81])),
                    GroupMember(fwmark=1000 + n, family=family),
                ]
                if six:
                    members = [
                        GroupMember(f"2001:db8:5:{n}::1", f"2001:db8:5:{n}::1f", 80, family="inet6"),
                        GroupMember(fwmark=1000 + n, family=family),
                    ]
                members = self.r.sample(members, self.r.randint(1, len(members)))
                name = self.r.choice(["g", "two words", "é#"]) + str(n)
                return {"group": name, "members": tuple(members), "family": family}
        ip = f"2001:db8:4::{n:x}" if six else f"10.4.0.{n % 250 + 1}"
        return {"ip": ip, "port": self.r.choice([0, 53, 80]), "family": family}

    def server(self) -> VirtualServer:
        head = self.head()
        marked = "fwmark" in head or ("group" in head and all(m.fwmark for m in head["members"]))
        protocol = "TCP" if marked else self.r.choice(["TCP", "UDP", "SCTP"])
        ports = {m.port for m in head.get("members", ())}
        port = head.get("port", ports.pop() if len(ports) == 1 else 0)
        six, forward = head["family"] == "inet6", self.r.choice(["NAT", "DR", "TUN"])
        real = tuple(self.real(six, forward, port) for _ in range(self.r.randint(1, 4)))
        real = tuple({rs.key: rs for rs in real}.values())
        flags = {"sh": ["sh-port", "sh-fallback", "flag-1"], "mh": ["mh-port", "mh-fallback"]}
        scheduler = self.r.choice(["rr", "wlc", "sh", "mh", "own"])
        known = [*flags.get(scheduler, ["flag-1", "flag-3"]), *(["ops"] if protocol == "UDP" or marked else [])]
        quorum = self.r.randint(1, min(max(1, sum(rs.weight for rs in real)), 4294967295))
        how = self.maybe("NAT", forward)
        sorry = SorryServer(
            ip="2001:db8:9::9" if six else "10.9.9.7",
            port=self.maybe(8099, port) if how == "NAT" else port,
            forward=how,
            tunnel=self.tunnel(how),
            inhibit=self.r.random() < 0.5,
        )
        persistent = "port" in head and not head["port"]
        return VirtualServer(
            **head,
            protocol=protocol,
            scheduler=scheduler,
            scheduler_flags=tuple(self.r.sample(known, self.r.randint(0, len(known)))),
            forward=forward,
            masquerade=self.r.random() < 0.8,
            persistence_timeout_s=360 if persistent else self.maybe(100, 0),
            persistence_prefix=self.maybe(24, 0),
            persistence_engine=self.maybe("sip", ""),
            quorum=quorum,
            hysteresis=self.maybe(self.r.randint(0, quorum - 1), 0),
            alpha=self.r.random() < 0.3,
            omega=self.r.random() < 0.3,
            ha_suspend=self.r.random() < 0.3 and "ip" in head,
            quorum_up=self.script(),
            quorum_down=self.script(),
            smtp_alert=self.r.random() < 0.5,
            panic_percent=self.maybe(30, 0) if supported("virtual_server", "panic_threshold") else 0,
            removal_limit=self.maybe(2, 0) if supported("virtual_server", "removal_limit") else 0,
            sorry_server=self.maybe(sorry, None),
            real_servers=real,
        )

    # -- VRRP

    def wire(self, peers: tuple[str, ...], family: int, version: int, sealed: bool) -> Wire:
        """What goes together (config/build_wire.py, wire_of)."""
        six, summed = family == 6, version == 3 and family == 4 and not sealed
        bounds = tuple(
            PeerTtl(ip, self.r.choice([0, 1]), self.r.choice([64, 254])) for ip in peers if self.r.random() < 0.3
        )
        plain = summed and self.r.random() < 0.3
        return Wire(
            ttl=self.maybe(64, 255) if peers else 255,
            source="" if peers else self.maybe("fe80::9" if six else "10.4.0.9", ""),
            group="" if peers else self.maybe("ff02::99" if six else "224.0.0.99", ""),
            listed=bool(peers) and (bool(bounds) or self.r.random() < 0.5),
            bounds=bounds,
            trusting=self.r.random() < 0.5,
            plain_sum=plain,
            old_sum=summed and bool(peers) and not plain and self.r.random() < 0.5,
            lacks_peer=not peers and self.r.random() < 0.3,
            track_source=self.r.random() < 0.3,
            track_primary=self.r.random() < 0.7,
        )

    def garp(self, interval_ns: int) -> Garp:
        return Garp(
            master_delay_ns=self.maybe(self.r.randint(0, 4294) * S, 5 * S),
            master_repeat=self.maybe(2, 5),
            master_refresh_ns=self.maybe(60 * S, 0),
            master_refresh_repeat=self.maybe(3, 1),
            lower_prio_delay_ns=self.maybe(0, 5 * S),
            lower_prio_repeat=self.maybe(0, 5),
            interval_ns=interval_ns,
            gna_interval_ns=2 * interval_ns,
            **self.maybe({"extra_ns": 60 * S, "extra_all": self.r.random() < 0.5}, {}),
        )

    def garp_groups(self) -> tuple[model.GarpGroup, ...]:
        intervals = [0, 1_000_000, 250_000_000]
        return tuple(
            model.GarpGroup((f"eth2{i}", *self.maybe((f"eth3{i}",), ())), *self.r.choices(intervals, k=2))
            for i in range(self.r.randint(0, 2))
        )

    def buffers(self) -> model.Buffers:
        sizes = (model.ReceiveBuffer(self.maybe(1 << 20, 0), self.r.random() < 0.5) for _ in range(5))
        policy = self.r.choice(["", "mtu", "advert", "size"])
        adverts = model.AdvertBuffers(policy, 9000 if policy == "size" else 0, self.maybe(7, 3))
        return model.Buffers(*sizes, adverts)

    def link_delays(self) -> tuple[model.LinkDelay, ...]:
        times = [0, 1_000, 500_000_000, 255 * S]
        return tuple(
            model.LinkDelay(name, *self.r.choices(times, k=2)) for name in ("eth0", "eth5") if self.r.random() < 0.3
        )

    def bfds(self) -> list[BfdInstance]:
        out = []
        for _ in range(self.r.randint(0, 3) if supported(ROOT, "bfd_instance") else 0):
            n, six = self.number(), self.r.random() < 0.3
            vrrp = self.r.random() < 0.7
            weight = self.r.choice([0, 20, -20])
            out.append(
                BfdInstance(
                    name=f"b{n}",
                    neighbor_ip=f"2001:db8:6::{n:x}" if six else f"10.8.{n}.1",
                    source_ip=self.maybe("2001:db8:6::ffff" if six else "10.8.0.1", ""),
                    min_rx_ns=self.r.choice([10, 33]) * MS + self.maybe(500_000, 0),
                    min_tx_ns=self.r.choice([10, 300]) * MS,
                    idle_tx_ns=self.r.choice([1000, 2500]) * MS,
                    multiplier=self.r.choice([1, 5]),
                    ttl=self.r.choice([64, 255]),
                    max_hops=self.r.choice([0, 3, 255]),
                    multihop=self.r.random() < 0.3,
                    passive=self.r.random() < 0.3,
                    weight=weight,
                    reverse=self.r.random() < 0.3,
                    vrrp=vrrp,
                    checker=not vrrp or self.r.random() < 0.5,
                )
            )
        return out

    def track_files(self) -> list[TrackFile]:
        out = []
        for _ in range(self.r.randint(0, 2) if supported(ROOT, "track_file") else 0):
            n, init = self.number(), self.r.choice([None, 0, -7])
            weight, reverse = self.r.choice([0, 2, -254]), self.r.random() < 0.3
            overwrite = init is not None and self.r.random() < 0.5
            out.append(TrackFile(f"{self.word()}{n}", f"/run/{self.word()}{n}", weight, reverse, init, overwrite))
        return out

    def vrrp_scripts(self) -> list[Any]:
        out = []
        for _ in range(self.r.randint(0, 2)):
            interval = self.r.choice([1, 5, 4000]) * S
            out.append(
                model.VrrpScript(
                    name=f"{self.word()}{self.number()}",
                    script=self.script() or Script(("/bin/true",)),
                    interval_ns=interval,
                    timeout_ns=self.maybe(3 * S + 500 * MS, interval),
                    rise=self.maybe(3, 1),
                    fall=self.maybe(2, 1),
                    weight=self.r.choice([0, 253, -20]),
                    reverse=self.r.random() < 0.3,
                    init_fail=self.r.random() < 0.3,
                )
            )
        return out

    def processes_tracked(self) -> list[model.TrackProcess]:
        out = []
        for _ in range(self.r.randint(0, 2)):
            argv = self.r.choice([("nginx",), ("/usr/sbin/postgres", "-D", "a b"), ("sshd", "")])
            most = self.r.choice([None, None, 0, 3, 65535])
            out.append(
                model.TrackProcess(
                    name=f"{self.word()}{self.number()}",
                    argv=argv,
                    match=self.r.choice(["", "exact", "initial", "partial"]),
                    full_command=self.r.random() < 0.3,
                    quorum=0 if most == 0 else self.r.choice([1, 2, 3]),
                    quorum_max=most,
                    terminate_delay_ns=self.maybe(1_500_000_000, 0),
                    fork_delay_ns=self.maybe(250 * MS, 0),
                    weight=self.r.choice([0, 254, -20]),
                    reverse=self.r.random() < 0.3,
                )
            )
        return out

    def trackers(self, bfds: list[BfdInstance]) -> dict[str, Any]:
        """The field `track` of an instance."""
        if not has(VrrpInstance, "track"):
            return {}
        names = [("script", s.name) for s in self.scripts] + [("file", f.name) for f in self.files]
        names += [("process", p.name) for p in self.processes_wanted]
        names += [("bfd", b.name) for b in bfds if b.vrrp] + [("interface", name) for name in ("eth5", "eth6")]
        some = self.r.sample(names, self.r.randint(0, len(names)))
        tracker = model.Tracker  # type: ignore[attr-defined]
        return {"track": tuple(tracker(k, n, self.r.choice([0, 5, -5]), self.r.random() < 0.3) for k, n in some)}

    def sync_groups(self, instances: list[VrrpInstance]) -> dict[str, Any]:
        """The field `sync_groups` of a configuration; its members' trackers become what a group lets them be."""
        members = self.r.sample(range(len(instances)), self.r.randint(0, len(instances)))
        if not members:
            return {}
        weights = self.r.random() < 0.5
        for i in members:
            track = tuple(t for t in instances[i].track if weights or not t.weight or t.kind == "interface")
            instances[i] = replace(instances[i], track=track)
        names = tuple(instances[i].name for i in members)
        notify = replace(self.notifications()["notify"], deleted=None, rx_lower=None, says_deleted=False)
        return {"sync_groups": (model.SyncGroup(self.word(), names, weights, notify, self.r.random() < 0.5),)}

    def notifications(self) -> dict[str, Any]:
        """The field `notify` of an instance."""
        if not has(VrrpInstance, "notify"):
            return {}
        cls = model.InstanceNotify  # type: ignore[attr-defined]
        scripts = {f.name: self.script() for f in fields(cls) if f.name != "says_deleted"}
        return {"notify": cls(**scripts, says_deleted=scripts["deleted"] is None and self.r.random() < 0.5)}

    def mail(self) -> model.MailDefs:
        tls = self.r.choice(["off", "opportunistic", "starttls", "implicit"])
        user = self.r.choice(["", "ops", "o p s"]) if tls in ("starttls", "implicit") else ""
        password = self.r.choice([("open sesame", ""), ("", "/etc/pass word")]) if user else ("", "")
        return model.MailDefs(
            to=self.r.choice([(), ("root",), ("a@example.com", "Ops <ops@example.com>")]),
            sender=self.maybe("director@example.com", ""),
            server=self.r.choice(["127.0.0.1", "2001:db8::25", "mail.example.com"]),
            port=self.r.choice([25, 465, 587]),
            helo=self.maybe("director.example.com", ""),
            timeout_ns=self.maybe(3 * S, 30 * S),
            faults=self.r.random() < 0.5,
            every_check=self.r.random() < 0.5,
            tls=tls,
            verify=tls != "off" and self.r.random() < 0.5,
            verify_name=self.maybe("mx.example.com", ""),
            ca=self.maybe("/etc/c a.pem", ""),
            user=user,
            password=password[0],
            password_file=password[1],
        )

    def notify(self) -> dict[str, Any]:
        """The fields `scripts` and `fifos` of GlobalDefs, and the owner that goes with them."""
        user, group = self.maybe("nobody", ""), self.maybe("nogroup", "")
        out: dict[str, Any] = {"script_user": user, "script_group": group}
        if not hasattr(model, "ScriptDefs"):
            return out
        out["scripts"] = model.ScriptDefs(
            supplementary=self.r.random() < 0.3,
            user_supplementary=bool(user and group) and self.r.random() < 0.5,
            secure=self.r.random() < 0.3,
            startup=self.script(),
            startup_timeout_ns=self.r.choice([10, 30]) * S,
            shutdown=self.script(),
            shutdown_timeout_ns=self.r.choice([10, 30]) * S,
        )
        out["fifos"] = tuple(
            model.Fifo(
                what,
                f"/run/{self.word()} {what}",
                *self.r.choice([("", ""), ("nobody", ""), ("nobody", "adm")]),
                self.script(),
            )  # type: ignore[attr-defined]
            for what in self.r.sample(["all", "lvs", "vrrp"], self.r.randint(0, 3))
        )
        return out

    def hmac(self) -> Hmac:
        numbers = sorted(self.r.sample(range(1, 256), self.r.randint(1, 3)))
        keys = tuple(HmacKey(number, self.r.randbytes(self.r.choice([32, 40, 64])).hex()) for number in numbers)
        mode = self.r.choice(["enforce", "permissive", "receive-only"])
        return Hmac(keys, self.r.choice(numbers), mode, self.r.choice([0, 1, 5, 300]))

    def instance(self, interval_ns: int, servers: list[VirtualServer], bfds: list[BfdInstance]) -> VrrpInstance:
        n, family = self.number(), self.r.choice([4, 4, 6])
        version = self.r.choice([2, 3]) if family == 4 else 3
        net, low, peer = (f"10.7.{n}.", 24, "10.0.0.") if family == 4 else (f"2001:db8:{n:x}::", 64, "fe80::1:")
        interface = self.r.choice(["eth0", "eth1.7", *IPVLANS])
        priority = self.r.choice([1, 100, 254, 255])
        wants_master = self.r.random() < 0.4
        preempt = wants_master or priority == 255 or self.r.random() < 0.7
        peers = self.maybe((f"{peer}2", f"{peer}3"), ())
        if peers and self.r.random() < 0.3:
            interface = "vrf0"
        tracked = self.r.sample(servers, self.r.randint(0, len(servers)))
        hmac = self.maybe(self.hmac(), None)
        excluded = self.maybe((VirtualAddress(f"10.8.{n}.1"), VirtualAddress(f"2001:db8:8:{n:x}::1", 128)), ())
        addresses = tuple(
            VirtualAddress(
                f"{net}{i + 1}",
                self.maybe(low, 32 if family == 4 else 128),
                self.maybe("eth2", ""),
                self.maybe("eth2:1", "") if family == 4 else "",
                self.maybe(self.r.choice([7, 200, 253]), 0),
                self.maybe("10.7.255.255", "") if family == 4 else "",
                self.maybe(f"10.77.{n}.{i + 1}", "") if family == 4 else "",
                self.maybe(("noprefixroute",), ()),
                self.maybe(self.r.choice([0, 600, (1 << 32) - 1]), -1),
                self.r.random() < 0.8,
                vmac=self.r.random() < 0.3,
            )
            for i in range(self.r.randint(1, 3))
        )
        addresses = addresses if self.r.random() < 0.8 else ()
        whole = family == 4 and not excluded and not any(a.dev or a.vmac for a in addresses)
        instance = VrrpInstance(
            name=f"{self.word()}{n}",
            interface=interface,
            vrid=n,
            priority=priority,
            version=version,
            advert_int_ns=self.r.choice([1, 2, 10]) * S if version == 2 else self.r.choice([1, 10, 4095]) * S // 100,
            wants_master=wants_master,
            preempt=preempt,
            preempt_delay_ns=0 if wants_master or priority == 255 or not preempt else self.maybe(1_500_000_000, 0),
            addresses=addresses,
            excluded=excluded,
            family=family,
            unicast_src=self.maybe(f"{peer}1", "") if peers else "",
            unicast_peers=peers,
            auth=Auth(self.r.choice(["pass", "pass" if wants_master else "ah"]), self.r.choice(["secret", "a b", "#x"]))
            if version == 2 and hmac is None and self.r.random() < 0.5
            else Auth(),
            hmac=hmac,
            garp=self.garp(interval_ns),
            down_timer_adverts=self.maybe(self.r.randint(1, 100), 3),
            **self.trackers(bfds),
            **self.notifications(),
            notify_priority=self.r.random() < 0.3,
            smtp_alert=self.r.random() < 0.5,
            vrf=bool(peers) and interface == "vrf0",
            accept=self.r.random() < 0.5,
            wire=self.wire(peers, family, version, hmac is not None),
            routes=some_routes(self.r),
            rules=some_rules(self.r),
            promote_secondaries=self.r.random() < 0.3,
            kernel_rx_buf_size=self.maybe(4096, 0),
            lower_prio_no_advert=self.r.random() < 0.3,
            higher_prio_send_advert=self.r.random() < 0.3,
            owner_ignore_adverts=self.r.random() < 0.3,
            timer_expired_priority=0 if preempt else self.r.choice([0, 1, 254]),
            vmac=self.maybe(self.vmac(n, interface, family, whole), None) if interface != "vrf0" else None,
            track_virtual_servers=tuple(TrackVirtualServer(s.key, self.r.choice([0, 0, -20, 253])) for s in tracked),
        )
        return strict(instance) if addresses and self.r.random() < 0.2 else instance

    def named(self, instances: list[VrrpInstance], prefix: str) -> list[VrrpInstance]:
        """With the VMACs of their addresses, as reading names them. What bears ipvlans bears none."""
        plain = []
        for i in instances:
            if i.interface in IPVLANS:
                i = replace(i, addresses=tuple(replace(a, vmac=a.vmac and bool(a.dev)) for a in i.addresses))
            plain.append(Built(i, NOWHERE))
        faults = Faults()
        named = [built.value for built in with_names(plain, "vrrp", prefix, faults)]
        assert not faults, faults
        return named

    def vmac(self, n: int, base: str, family: int, whole: bool) -> Device:
        if base in IPVLANS:
            return Device(
                name=f"iv{n}",
                base=base,
                mac="",
                group=self.r.choice([-1, 7]),
                ipv6=family == 6,
                ipvlan=IPVLANS[base],
                own=f"10.70.0.{n % 250}/24" if family == 4 else self.maybe(f"fe80::{n:x}/64", ""),
            )
        return Device(
            name=f"vm{n}",
            base=base,
            mac=self.r.choice([f"00:00:5e:00:0{2 if family == 6 else 1}:{n:02x}", "02:00:00:00:00:07"]),
            group=self.r.choice([-1, 0, 7]),
            xmit_base=self.r.random() < 0.5,
            staged=whole and self.r.random() < 0.5,
            ipv6=family == 6,
        )

    def lvs(self, instances: list[VrrpInstance]) -> LvsDefs:
        daemon = SyncDaemon(
            interface=self.r.choice(["eth3", "bond0"]),
            instance=self.r.choice([i.name for i in instances]) if instances and self.r.random() < 0.5 else "",
            sync_id=self.r.choice([0, 255]),
            maxlen=self.maybe(1400, 0),
            port=self.maybe(8848, 0),
            ttl=self.maybe(3, 0),
            group=self.maybe("224.0.0.81", ""),
        )
        table = self.maybe("marks", "")
        return LvsDefs(
            timeout_tcp_s=self.maybe(900, 0),
            timeout_tcpfin_s=self.maybe(30, 0),
            timeout_udp_s=self.maybe(300, 0),
            flush=self.r.random() < 0.3,
            flush_on_stop=self.r.choice(["", "all", "VS"]),
            sync_daemon=self.maybe(daemon, None),
            marks_table=table,
            marks_priority=self.maybe(-150, -1) if table else -1,
            marks_start=self.maybe(5000, 1000) if table else 1000,
        )

    def process(self) -> ProcessDefs:
        return ProcessDefs(
            name=self.maybe("my own", ""),
            nice=self.maybe(self.r.choice([-20, 19]), 0),
            no_swap=self.r.random() < 0.3,
            rt_priority=self.maybe(50, 0),
            rttime_us=self.maybe(10_000, 0),
            cpus=self.maybe((3, 1), ()),
        )

    def processes(self) -> Processes:
        return Processes(
            name=self.maybe("parent", ""),
            names=self.r.random() < 0.3,
            vrrp=self.process(),
            checker=self.process(),
            bfd=self.process(),
            auto_priority=self.maybe(self.r.choice([-1, 99]), 0),
            auto_delay_us=self.maybe(5, 1_000_000),
            umask=self.maybe(self.r.choice([0, 0o27]), -1),
            child_wait_s=self.maybe(9, 5),
            namespace=self.maybe("blue", ""),
            ipvs_namespace=self.r.choice([None, None, "", "red"]),
            instance=self.maybe("one", ""),
            pid_dir=self.r.random() < 0.3,
        )

    def config(self) -> Config:
        pem, key, password = self.r.choice([("", "", ""), ("/c.pem", "", ""), ("/c d.pem", "/k", "open sesame")])
        ca = self.r.choice([[""], ["/ca.pem"], ["/ca.pem", "/other.pem"]])  # with "", a check would have that of SSL
        self.material = {"certificate": pem, "key": key, "password": password, "ca": ca}
        servers = [self.server() for _ in range(self.r.randint(0, 4))]
        interval_ns = self.maybe(1_000_000, 0)
        bfds = self.bfds()
        self.scripts, self.files = self.vrrp_scripts(), self.track_files()
        self.processes_wanted = self.processes_tracked()
        instances = [self.instance(interval_ns, servers, bfds) for _ in range(self.r.randint(0, 3))]
        prefix = self.maybe("av", "vrrp")
        instances = self.named(instances, prefix)
        sync_groups = self.sync_groups(instances)
        return Config(
            **sync_groups,
            globals=GlobalDefs(
                router_id=self.maybe(self.word(), ""),
                processes=self.processes(),
                address_lease_s=self.maybe(9, 0),
                firewall=FirewallDefs(
                    table=self.maybe("other_table", "keepalived"),
                    priority=self.maybe(-50, -1),
                    counters=self.r.random() < 0.5,
                    local_igmp=self.r.random() < 0.5,
                ),
                **self.notify(),
                lvs=self.lvs(instances),
                reload_time_file=self.maybe("/etc/fastha/reload at", ""),
                reload_repeat=self.r.random() < 0.5,
                reload_file=self.maybe("/run/reload", ""),
                states_on_reload=self.r.random() < 0.5,
                startup_delay_ns=self.maybe(1_500_000_000, 0),
                delay_after_boot_ns=self.maybe(60 * S, 0),
                log_unknown_vrids=self.r.random() < 0.5,
                json_version=self.r.choice([1, 2]),
                state_dump_file=self.maybe("/var/tmp/state dumps/", ""),
                data_use_instance=self.r.random() < 0.5,
                rs_init_notifies=self.r.random() < 0.5,
                buffers=self.buffers(),
                mail=self.mail(),
                vmac_addr_prefix=prefix,
                garp_groups=self.garp_groups(),
                link_delays=self.link_delays(),
            ),
            instances=tuple(instances),
            virtual_servers=tuple(servers),
            track_files=tuple(self.files),
            vrrp_scripts=tuple(self.scripts),
            processes=tuple(self.processes_wanted),
            bfds=tuple(bfds),
            statics=some_statics(self.r, tuple(i.name for i in instances)),
        )


def strict(instance: VrrpInstance) -> VrrpInstance:
    """What strict_mode makes of it."""
    owner = instance.priority == 255
    hmac, vmac = instance.hmac, instance.vmac
    if vmac is not None and not vmac.ipvlan:
        vmac = replace(vmac, mac=f"00:00:5e:00:0{2 if vmac.ipv6 else 1}:{instance.vrid:02x}", xmit_base=False)
    return replace(
        instance,
        strict_mode=True,
        wants_master=owner,
        preempt_delay_ns=0,
        auth=Auth(),
        hmac=None if hmac is None else replace(hmac, mode="enforce"),
        vmac=vmac,
        garp=replace(instance.garp, lower_prio_delay_ns=0, lower_prio_repeat=0),
        down_timer_adverts=3,
        lower_prio_no_advert=True,
        higher_prio_send_advert=False,
        accept=owner or (instance.accept and instance.version == 3),
    )


def unused(values: list[Any], cls: type[Any]) -> set[str]:
    """Fields of `cls` that have one and the same value in all of `values`."""
    return {f.name for f in fields(cls) if len({repr(getattr(v, f.name)) for v in values}) < 2}


def differences(a: Any, b: Any, path: str = "") -> list[str]:
    """Where two values differ, leaf by leaf."""
    if is_dataclass(a) and type(a) is type(b):
        return [d for f in fields(a) for d in differences(getattr(a, f.name), getattr(b, f.name), f"{path}.{f.name}")]
    if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
        return [d for i, (x, y) in enumerate(zip(a, b, strict=True)) for d in differences(x, y, f"{path}[{i}]")]
    return [] if a == b else [f"{path}: {a!r} != {b!r}"]
