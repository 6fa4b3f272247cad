"""`virtual_server` -> VirtualServer."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping

from fastha.config import values
from fastha.config.alike import Alike, said_around
from fastha.config.build_group import Group
from fastha.config.build_mail import Mail
from fastha.config.build_real import RealDraft, build_real_server
from fastha.config.inherit import Timing, read_timing
from fastha.config.item import Item
from fastha.config.lvs_words import FLAGS, SCHEDULERS, Method, method
from fastha.config.near import meant
from fastha.config.placed import Built
from fastha.config.shape import items
from fastha.config.tree import Faults, Marks, Statement, shown
from fastha.lean import dataclass, field, replace
from fastha.model import RealServer, Script, SorryServer, VirtualServer

DEFAULT_PERSISTENCE_S = 360
SCHEDULER_BYTES = 15  # linux/ip_vs.h IP_VS_SCHEDNAME_MAXLEN 16, with its NUL


@dataclass(slots=True)
class _Draft:
    ip: str = ""
    port: int = 0
    fwmark: int = 0
    group: Group | None = None
    group_name: str = ""
    family: str = ""
    protocol: str = ""
    scheduler: str = ""
    flags: dict[str, Item] = field(default_factory=dict)
    method: Method | None = None
    persistence_timeout_s: int = 0
    persistence_prefix: int = 0
    persistence_engine: str = ""
    quorum: int = 1
    hysteresis: int = 0
    omega: bool = False
    panic_percent: int = 0
    removal_limit: int = 0
    ha_suspend: bool = False
    masquerade: bool | None = None
    inhibit: bool = False
    weight: int = 1
    quorum_up: Script | None = None
    quorum_down: Script | None = None
    smtp_alert: bool | None = None
    mail: Mail = field(default_factory=Mail)
    sorry: SorryServer | None = None
    sorry_method: Method | None = None
    timing: Timing = field(default_factory=Timing)
    real: deque[RealDraft] = field(default_factory=deque)
    marks: Marks = field(default_factory=Marks)  # where those are
    said: dict[str, Item] = field(default_factory=dict)

    @property
    def marked(self) -> bool:
        """Only firewall marks: no address, no port, no protocol."""
        return self.group.only_marks if self.group else bool(self.fwmark)

    @property
    def families(self) -> set[str]:
        """The families of its services; one, but for a group."""
        return self.group.families or {self.family} if self.group else {self.family}


def build_virtual_server(
    item: Item,
    groups: Mapping[str, Group],
    masquerade: bool,
    mail: Mail,
    faults: Faults,
    alike: Alike,
    above: Timing | None = None,
) -> Built[VirtualServer] | None:
    """The virtual server of one block; None if it has no identity or no real server. `above`: what holds for the checks
    of all virtual servers."""
    statement = item.statement
    draft = _head(statement, groups, faults)
    if draft is None:
        return None
    draft.timing, draft.mail = replace(above or Timing()), mail
    wrong = len(faults)
    around = said_around(statement)
    for inner in items(statement.block or [], "virtual_server", faults):
        _keyword(inner, draft, faults, alike)
        draft.said.setdefault(inner.name, inner)
    _settle(draft, statement, faults)
    none = not draft.real
    real = _real_servers(draft, around, faults, alike)
    if not real:
        if len(faults) == wrong or none:
            faults.warning(statement.place(), "a virtual_server without real_server is ignored")
        return None
    _fit_quorum(draft, real, statement, faults)
    if draft.panic_percent and draft.panic_percent * len(real) < 100:
        at = draft.said["panic_threshold"].statement.place(1)
        each = 100 // len(real)
        faults.warning(
            at, f"the fall of a single real server is {each} %: every fall would be panic, and none would happen"
        )
    alpha = bool(draft.timing.alpha)
    server = VirtualServer(
        ip=draft.ip, port=0 if draft.group else draft.port, protocol=draft.protocol,
        fwmark=draft.fwmark, family=draft.family, group=draft.group_name,
        members=draft.group.settled(draft.family) if draft.group else (),
        scheduler=draft.scheduler, scheduler_flags=tuple(draft.flags),
        forward=draft.method.forward if draft.method else "NAT", ha_suspend=draft.ha_suspend,
        masquerade=masquerade if draft.masquerade is None else draft.masquerade,
        persistence_timeout_s=draft.persistence_timeout_s, persistence_prefix=draft.persistence_prefix,
        persistence_engine=draft.persistence_engine, quorum=draft.quorum, hysteresis=draft.hysteresis,
        alpha=alpha, omega=draft.omega, quorum_up=draft.quorum_up, quorum_down=draft.quorum_down,
        smtp_alert=mail.alerts(draft.smtp_alert, "server"),
        panic_percent=draft.panic_percent, removal_limit=draft.removal_limit,
        sorry_server=draft.sorry, real_servers=tuple(real),
    )  # fmt: skip
    statement.forget()
    return Built(server, statement.spot())


def _head(statement: Statement, groups: Mapping[str, Group], faults: Faults) -> _Draft | None:
    """ADDR [PORT] | fwmark N [inet|inet6] | group NAME."""
    words = statement.words
    if words[1] == "group":
        return _group(statement, groups, faults)
    if words[1] == "fwmark":
        mark = values.parse_unsigned(words[2]) if len(words) > 2 else None
        if mark is None:
            faults.error(statement.place(2), "fwmark needs a number from 1", "virtual_server fwmark N {")
            return None
        family = words[3] if len(words) > 3 else ""
        if family not in ("", "inet", "inet6"):
            faults.error(statement.place(3), f"'{shown(family)}' is neither inet nor inet6")
        return _Draft(fwmark=mark, family=family)
    ip = values.address(statement, 1, faults)
    port = values.port(statement, 2, faults, low=0) if len(words) > 2 else 0
    if ip is None or port is None:
        return None
    return _Draft(ip=str(ip), port=port, family="inet6" if ip.version == 6 else "inet")


def _group(statement: Statement, groups: Mapping[str, Group], faults: Faults) -> _Draft | None:
    name = statement.words[2] if len(statement.words) > 2 else ""
    group = groups.get(name)
    if group is None:
        about = f"there is no virtual_server_group {shown(name)}" if name else "group needs a name"
        faults.error(statement.place(2), about, meant(name, groups, after=len(faults)))
        return None
    group.used = True
    if not group.members:
        faults.warning(statement.place(2), f"virtual_server_group {shown(name)} has no address and no mark")
        return None
    family = "inet6" if group.families == {"inet6"} else "inet" if group.families else ""
    return _Draft(group=group, group_name=name, port=group.port, family=family)


def _keyword(item: Item, draft: _Draft, faults: Faults, alike: Alike) -> None:
    statement = item.statement
    match item.name:
        case "real_server":
            if (real := alike.draft(statement, faults)) is not None:
                draft.real.append(real)
                draft.marks.add(statement)
        case "protocol":
            draft.protocol = statement.words[1].upper()
            if draft.protocol not in ("TCP", "UDP", "SCTP"):
                faults.error(statement.place(1), f"protocol '{shown(statement.words[1])}' is not TCP, UDP or SCTP")
        case "ip_family":
            _ip_family(statement, draft, faults)
        case "lvs_sched":
            _scheduler(statement, draft, faults)
        case "lvs_method":
            draft.method = method(statement, 1, faults) or draft.method
        case "persistence_timeout":
            bare = len(statement.words) == 1
            draft.persistence_timeout_s = DEFAULT_PERSISTENCE_S if bare else values.number(item, faults) or 0
        case "persistence_granularity":
            draft.persistence_prefix = _granularity(statement, draft, faults)
        case "persistence_engine":
            draft.persistence_engine = statement.words[1]
        case "quorum":
            draft.quorum = values.number(item, faults) or 1
        case "hysteresis":
            draft.hysteresis = values.number(item, faults) or 0
        case "panic_threshold":
            draft.panic_percent = values.number(item, faults) or 0
        case "removal_limit":
            draft.removal_limit = values.number(item, faults) or 0
        case "omega":
            draft.omega = bool(values.boolean(item, faults))
        case "nft_masquerade":
            draft.masquerade = values.boolean(item, faults)
        case "ha_suspend":
            draft.ha_suspend = bool(values.boolean(item, faults))
        case "inhibit_on_failure":
            draft.inhibit = bool(values.boolean(item, faults))
        case "weight":
            draft.weight = values.number(item, faults) or 1
        case "quorum_up":
            draft.quorum_up = values.script(item, faults)
        case "quorum_down":
            draft.quorum_down = values.script(item, faults)
        case "smtp_alert":
            draft.smtp_alert = values.boolean(item, faults)
        case "sorry_server":
            _sorry(statement, draft, faults)
        case "sorry_server_inhibit":
            if draft.sorry is None:
                faults.warning(statement.place(), "sorry_server_inhibit has no effect before sorry_server")
            else:
                draft.sorry = replace(draft.sorry, inhibit=bool(values.boolean(item, faults)))
        case "sorry_server_lvs_method":
            if "sorry_server" not in draft.said:
                faults.warning(statement.place(), "sorry_server_lvs_method has no effect before sorry_server")
            draft.sorry_method = method(statement, 1, faults)
        case name if name in FLAGS:
            draft.flags[name] = item
        case name:
            known = read_timing(item, draft.timing, faults)
            assert known, name


def _ip_family(statement: Statement, draft: _Draft, faults: Faults) -> None:
    family = statement.words[1]
    if family not in ("inet", "inet6"):
        faults.error(statement.place(1), f"'{shown(family)}' is neither inet nor inet6")
    elif draft.family and family != draft.family:
        faults.error(statement.place(1), f"this virtual_server is {draft.family}")
    else:
        draft.family = family


def _scheduler(statement: Statement, draft: _Draft, faults: Faults) -> None:
    name = draft.scheduler = statement.words[1]
    if len(name.encode("utf-8", "replace")) > SCHEDULER_BYTES:
        faults.error(statement.place(1), f"'{shown(name)}' is too long for a scheduler")
    elif name not in SCHEDULERS:
        # Not an error: the kernel may have a scheduler that we have not heard of.
        hint = meant(name, SCHEDULERS) or f"known: {' '.join(SCHEDULERS)}"
        faults.warning(statement.place(1), f"'{shown(name)}' is no scheduler of the kernel's own", hint)


def _granularity(statement: Statement, draft: _Draft, faults: Faults) -> int:
    """A netmask or a prefix length -> prefix length; 0 for the whole address."""
    word = statement.words[1]
    whole = 128 if draft.family == "inet6" else 32
    if values.INTEGER.fullmatch(word) and 1 <= int(word) <= whole:
        return int(word) % whole
    mask = values.parse_address(word)
    if mask is not None and mask.version == 4 and whole == 32:
        inverted = ~int(mask) & 0xFFFFFFFF
        if inverted & (inverted + 1) == 0 and int(mask):
            return (32 - inverted.bit_length()) % 32
    faults.error(statement.place(1), f"'{shown(word)}' is neither a netmask nor a prefix length of 1 to {whole}")
    return 0


def _sorry(statement: Statement, draft: _Draft, faults: Faults) -> None:
    ip = values.address(statement, 1, faults)
    port = values.port(statement, 2, faults) if len(statement.words) > 2 else draft.port
    if ip is not None and port is not None:
        draft.sorry = SorryServer(ip=str(ip), port=port)


def _settle(draft: _Draft, statement: Statement, faults: Faults) -> None:
    """Defaults, and what keywords mean together."""
    place = statement.place()
    if draft.group and not draft.family:
        draft.family = _family_of_servers(draft)
    if draft.marked:
        if draft.protocol:
            faults.warning(draft.said["protocol"].statement.place(), "protocol has no effect on a firewall mark")
        draft.protocol = "TCP"  # means nothing for a fwmark service; one value, so that equal services compare equal
        draft.family = draft.family or _family_of_servers(draft)
    elif not draft.protocol:
        draft.protocol = "UDP"
        faults.warning(place, "no protocol: UDP is used, as in keepalived", "protocol TCP", code="default-protocol")
    if not draft.scheduler:
        draft.scheduler = "wlc"
        faults.warning(place, "no lvs_sched: wlc is used")
    if draft.method is None:
        draft.method = Method("NAT")
        faults.warning(place, "no lvs_method: NAT is used")
    for flag, item in list(draft.flags.items()):
        wants = flag.split("-")[0]
        if wants in ("sh", "mh") and wants != draft.scheduler:
            faults.warning(item.statement.place(), f"{flag} has no effect with scheduler {draft.scheduler}")
            del draft.flags[flag]
        if flag == "ops" and draft.protocol != "UDP" and not draft.marked:
            faults.warning(item.statement.place(), "ops has no effect without protocol UDP")
            del draft.flags[flag]
    if draft.ha_suspend and not draft.ip:
        what = "a group" if draft.group else "a firewall mark"
        faults.warning(
            draft.said["ha_suspend"].statement.place(), f"ha_suspend has no effect on {what}, as in keepalived"
        )
        draft.ha_suspend = False
    if len(draft.families) > 1 and draft.persistence_prefix:
        at = draft.said["persistence_granularity"].statement
        faults.warning(at.place(), f"persistence_granularity counts for the {draft.family} part of the group alone")
    any_port = draft.group.any_port if draft.group else not draft.fwmark and not draft.port
    if any_port and not draft.persistence_timeout_s:
        draft.persistence_timeout_s = DEFAULT_PERSISTENCE_S
        faults.warning(place, f"port 0 needs persistence: persistence_timeout {DEFAULT_PERSISTENCE_S} is used")
    if draft.sorry is not None:
        at = draft.said["sorry_server"].statement
        how = draft.sorry_method or draft.method
        port = _kernel_port(draft, how.forward, draft.sorry.port, at, faults)
        draft.sorry = replace(draft.sorry, forward=how.forward, tunnel=how.tunnel, port=port)
        if _crosses(draft, draft.sorry.ip) and how.forward != "TUN":
            faults.error(at.place(1), f"sorry_server {draft.sorry.ip} and the virtual_server differ in family")


def _crosses(draft: _Draft, ip: str) -> bool:
    """Whether some service of the virtual server is of another family than `ip`: the kernel can do that by TUN only."""
    return draft.families != {"inet6" if ":" in ip else "inet"}


def _kernel_port(draft: _Draft, forward: str, port: int, statement: Statement, faults: Faults) -> int:
    """The port of a server in the kernel's table: only NAT can change that of a packet. Checks keep theirs."""
    if forward == "NAT" or port == draft.port:
        return port
    if draft.group and draft.group.ports == {port}:
        return draft.port  # what the client asked for anyway, but for marks
    instead = f"{draft.port} is used" if draft.port else "no port is used" if draft.marked else "the client's is used"
    faults.warning(
        statement.place(2), f"{forward} cannot change the port: {instead} instead of {port}", code="port-kept"
    )
    return draft.port


def _family_of_servers(draft: _Draft) -> str:
    return "inet6" if draft.real and all(":" in r.ip for r in draft.real) else "inet"


def _real_servers(draft: _Draft, around: Hashable, faults: Faults, alike: Alike) -> list[RealServer]:
    """The real servers with what they inherit; the second of two with one address is dropped, as in keepalived."""
    out: list[RealServer] = []
    seen: dict[int, dict[str, int]] = {}  # port -> address -> index of the first
    if around is not None:
        group = draft.group_name, draft.fwmark, tuple(sorted(draft.families))
        around = alike.shared(around, draft.port, draft.family, group)
    for index in range(len(draft.real)):
        real = draft.real.popleft()  # nobody asks for it again
        built = None if around is None else alike.cast(real, around)
        if built is None:
            wrong = len(faults)
            built = _real_server(real, draft.marks.statement(index), draft, faults)
            if around is not None and len(faults) == wrong:
                alike.learn(real, around, built)
        if (first := seen.setdefault(built.port, {}).setdefault(built.ip, index)) != index:
            faults.warning(
                draft.marks.statement(index).place(1),
                f"real_server {built.key} is there already; the second is ignored", f"line {draft.marks.line(first)}",
                code="real-server-twice",
            )  # fmt: skip
            continue
        out.append(built)
    return out


def _real_server(real: RealDraft, statement: Statement, draft: _Draft, faults: Faults) -> RealServer:
    body = real.body
    how = body.method or draft.method
    assert how is not None
    if _crosses(draft, real.ip) and how.forward != "TUN":
        faults.error(statement.place(1), f"real_server {real.ip} and its virtual_server differ in family")
    port = draft.port if real.port is None else real.port
    return build_real_server(
        real, statement, port, _kernel_port(draft, how.forward, port, statement, faults), how,
        draft.weight if body.weight is None else body.weight,
        draft.inhibit if body.inhibit is None else body.inhibit,
        draft.mail.alerts(body.smtp_alert, "real"), draft.timing, faults,
    )  # fmt: skip


def _fit_quorum(draft: _Draft, real: list[RealServer], statement: Statement, faults: Faults) -> None:
    """A quorum above all weights could never be reached."""
    total = sum(r.weight for r in real)
    if draft.quorum > total:
        reachable = max(total, 1)  # with every weight 0 there is no service, and 0 would always count as up
        if total or "quorum" in draft.said:
            at = draft.said["quorum"].statement.place(1) if "quorum" in draft.said else statement.place()
            faults.warning(
                at, f"quorum {draft.quorum} is above the sum of weights: {reachable} is used", code="quorum-unreachable"
            )
        else:
            faults.warning(
                statement.place(), "every weight is 0: this virtual_server never has quorum", code="weight-zero"
            )
        draft.quorum = reachable
    if draft.hysteresis >= draft.quorum:
        if draft.hysteresis:
            at = draft.said["hysteresis"].statement.place(1)
            faults.warning(at, f"hysteresis must be below quorum: {draft.quorum - 1} is used")
        draft.hysteresis = draft.quorum - 1 if draft.hysteresis else 0
