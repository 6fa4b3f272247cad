"""Every keyword that the table calls supported changes what is built: tried in a small configuration, one by one.

The value comes from EXAMPLES or from the kind of value that the table gives. A keyword that nothing here can show must
stand in ELSEWHERE with the test that shows its effect.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fastha.config.build import build
from fastha.config.expand import Environment
from fastha.config.keywords import FREE, SCRIPT_WORDS, TABLE, Keyword, Status
from fastha.config.keywords.table import CHOICE, ROOT, Slot
from fastha.config.reader import read
from fastha.errors import Severity
from fastha.model import Config

TESTS = Path(__file__).resolve().parent.parent

# (block, word) -> test file that shows the effect
ELSEWHERE = {
    ("global_defs", "include_check"): "unit/test_config_including.py",
    ("global_defs", "random_seed"): "unit/test_config_including.py",
    ("top level", "virtual_server_group"): "golden/config/groups.conf",
    ("virtual_server", "ip_family"): "golden/config/words.conf",
    ("top level", "SSL"): "golden/config/checks_talk.conf",
    ("vrrp_script", "script"): "golden/config/track_script.conf",
    ("SSL", "password"): "golden/config/checks_talk.conf",
    ("SSL", "ca"): "golden/config/checks_talk.conf",
    ("SSL", "certificate"): "golden/config/checks_talk.conf",
    ("SSL", "key"): "golden/config/checks_talk.conf",
    ("vrrp_sync_group", "group"): "golden/config/sync_groups.conf",
    ("BFD_CHECK", "name"): "golden/config/bfd.conf",
    ("global_defs", "vmac_prefix"): "unit/test_config_vmac.py",
    ("vrrp_instance", "vrf"): "unit/test_config_vmac.py",
    ("SMTP_CHECK", "host"): "golden/config/checks_talk.conf",
    ("track_group", "group"): "netns/test_vrrp_routes.py",
    ("vrrp_instance", "no_virtual_ipaddress"): "unit/test_config_strict.py",
    ("global_defs", "iproute_usr_dir"): "unit/test_config_iproute.py",
    ("global_defs", "iproute_etc_dir"): "unit/test_config_iproute.py",
    ("vrrp_instance", "native_ipv6"): "unit/test_config_strict.py",
    ("global_defs", "vrrp_check_unicast_src"): "unit/test_config_wire.py",
    ("global_defs", "vrrp_mcast_group6"): "unit/test_config_wire.py",
}
# Words that a block has with all its kind, and that mean nothing there: pings have no ports, HTTP_GET speaks no TLS,
# and our expressions need no stack.
NOTHING = {
    ("PING_CHECK", "connect_port"),
    ("PING_CHECK", "bind_port"),
    ("HTTP_GET", "enable_sni"),
    ("HTTP_GET", "sni_name"),
    ("url", "regex_stack"),
    ("ssl_url", "regex_stack"),
}
# What a block cannot do without, {X} being where the keyword goes.
INSIDE = {
    "vrrp_instance": "interface eth0\nvirtual_router_id 7\nvirtual_ipaddress {\n10.0.0.7\n}\n{X}",
    "authentication": "auth_pass first\n{X}",
    "auth_hmac": f"key 1 {32 * 'a'}\nkey 2 {32 * 'b'}\nactive_key 1\n{{X}}",
    "virtual_server": "protocol TCP\n{X}\nreal_server 10.1.1.1 80 {\nHTTP_GET {\nurl {\npath /\n}\n}\n}",
    "real_server": "{X}\nHTTP_GET {\nurl {\npath /\n}\n}",
    "HTTP_GET": "{X}\nurl {\npath /\n}",
    "SSL_GET": "{X}\nurl {\npath /\n}",
    "url": "path /first\n{X}",
    "ssl_url": "path /first\n{X}",
    "GRPC_CHECK": "tls on\n{X}",
    "MISC_CHECK": "misc_path /bin/true\n{X}",
    "FILE_CHECK": "track_file known\n{X}",
    "smtp_host": "connect_ip 10.4.0.8\n{X}",
    "SSL": "password first\n{X}",
    "BFD_CHECK": "name known\n{X}",
    "UDP_CHECK": "{X}",
    "track_file": "file /tmp/first\n{X}",
    "bfd_instance": "neighbor_ip 10.9.9.7\n{X}",
    "vrrp_script": "script /bin/true\n{X}",
    "vrrp_track_process": "process first one\n{X}",
    "static_addresses": "10.7.0.9",
    "routes": "10.7.0.0/16 dev eth0",
    "rules": "from 10.7.0.9 table 9 preference 9",
    "virtual_routes": "10.7.0.0/16 dev eth0",
    "virtual_rules": "from 10.7.0.9 table 9 preference 9",
    "track_group": "group {\naround\n}\n{X}",
    "vrrp_sync_group": "group {\naround\n}\n{X}",
    "garp_group": "interface eth8\n{X}",
    "interfaces": "eth7",
    "interface_delays": "eth7 2 3",
    "addresses": "10.0.0.8",
    "peers": "10.0.0.9",
    "virtual_server_group": "10.4.0.1 80",
    "track_virtual": "10.0.0.1 80",
    "trackers": "known",
    "instances": "around",
    "emails": "a@example.org",
}
HEADS = {
    "vrrp_instance": "vrrp_instance first", "virtual_server": "virtual_server 10.0.0.2 80",
    "real_server": "real_server 10.1.1.2 80", "virtual_server_group": "virtual_server_group known",
    "track_file": "track_file mine", "vrrp_track_file": "vrrp_track_file mine", "bfd_instance": "bfd_instance mine",
    "vrrp_script": "vrrp_script mine", "vrrp_sync_group": "vrrp_sync_group known",
    "vrrp_track_process": "vrrp_track_process mine",
    "track_group": "track_group known",
}  # fmt: skip
# What else the configuration has.
AROUND = """static_ipaddress {
10.7.0.1
}
vrrp_instance around {
interface eth1
virtual_router_id 100
virtual_ipaddress {
10.0.0.100
}
}
virtual_server_group known {
10.4.0.9 80
}
virtual_server group known {
protocol TCP
real_server 10.1.1.8 80 {
}
}
virtual_server 10.0.0.1 80 {
protocol TCP
real_server 10.1.1.9 80 {
TCP_CHECK {
}
SSL_GET {
url {
path /
}
}
}
}
track_file known {
file /tmp/known
}
track_file other {
file /tmp/other
}
bfd_instance known {
neighbor_ip 10.9.9.9
}
vrrp_script known {
script /bin/known
}
vrrp_track_process known {
process known
}
"""
# More lines of the block that a keyword needs to mean anything.
WITH: dict[str | tuple[str, str], str] = {
    ("GRPC_CHECK", "tls_verify"): "tls", ("GRPC_CHECK", "tls_verify_name"): "tls", ("GRPC_CHECK", "tls_ca"): "tls",
    ("GRPC_CHECK", "tls_expiry_days"): "tls", ("GRPC_CHECK", "enable_sni"): "tls",
    ("GRPC_CHECK", "sni_name"): "tls\nenable_sni", ("SSL", "key"): "certificate /first",
    "notify_fifo_script": "notify_fifo /run/a", "lvs_notify_fifo_script": "lvs_notify_fifo /run/b",
    "vrrp_notify_fifo_script": "vrrp_notify_fifo /run/c",
    ("global_defs", "v3_checksum_as_v2"): "vrrp_version 3", ("vrrp_instance", "v3_checksum_as_v2"): "version 3",
    "old_unicast_checksum": "version 3\nunicast_peer {\n10.0.0.9\n}", "unicast_ttl": "unicast_peer {\n10.0.0.9\n}",
    "check_unicast_src": "unicast_peer {\n10.0.0.9\n}",
    "unicast_src_ip": "unicast_peer {\n10.0.0.9\n}", "preempt_delay": "", "sh-port": "lvs_sched sh",
    "sh-fallback": "lvs_sched sh", "mh-port": "lvs_sched mh", "mh-fallback": "lvs_sched mh",
    "flag-1": "lvs_sched sh", "flag-2": "lvs_sched sh", "flag-3": "lvs_sched sh",
    "persistence_granularity": "persistence_timeout 60", "persistence_engine": "persistence_timeout 60",
    "sorry_server_inhibit": "sorry_server 10.3.3.3 80", "sorry_server_lvs_method": "sorry_server 10.3.3.3 80",
    "preempt": "nopreempt", "timer_expired_backup": "nopreempt",
    "nftables_ipvs_priority": "nftables_ipvs", "nftables_ipvs_start_fwmark": "nftables_ipvs",
    "ops": "protocol UDP", "auth_pass": "auth_type PASS", "hysteresis": "quorum 9\nweight 10", "quorum": "weight 10",
    "regex_no_match": "regex abc", "regex_options": "regex abc", "regex_stack": "regex abc",
    "regex_min_offset": "regex abc", "regex_max_offset": "regex abc", "max_reply_length": "require_reply",
    "min_reply_length": "require_reply", "bind_port": "bindto 10.8.8.8", "vrrp": "checker\n", "checker": "vrrp\n",
    "garp_extra_if": "use_vmac", "use_vmac_addr": "virtual_ipaddress_excluded {\n10.0.0.8 dev eth5\n}",
    "accept": "no_accept", "vmac_xmit_base": "use_vmac", "staged_addresses": "use_vmac",
    "smtp_user": "smtp_tls starttls\nsmtp_password x", "smtp_tls_verify": "smtp_tls opportunistic",
    "hoplimit": "", "max_hops": "", "sni_name": "enable_sni", "fall": "", "digest": "", "quorum_max": "quorum 1",
}  # fmt: skip
EXAMPLES: dict[str, tuple[str, ...]] = {
    "state": ("MASTER",), "digest": ("0123456789abcdef0123456789abcdef",), "status_code": ("204", "200-204 404"),
    "persistence_granularity": ("24",), "persistence_engine": ("sip",), "lvs_sched": ("rr",),
    "lvs_method": ("DR", "TUN"),
    "sorry_server_lvs_method": ("TUN",), "lvs_timeouts": ("tcp 77",), "lvs_sync_daemon": ("eth0",),
    "advert_int": ("3",),
    "sorry_server": ("10.3.3.3 80",), "lvs_flush_on_stop": ("", "VS"), "nftables_ipvs": ("",),
    "script_user": ("nobody",),
    "smtp_tls": ("starttls",),
    "persistence_timeout": ("", "77"), "virtual_server": ("10.0.0.77 80",), "real_server": ("10.1.1.77 80",),
    "payload": ("0a0b",), "require_reply": ("", "0a0b"), "type": ("A", "MX"), "name": ("www.example.org", "known"),
    "regex": ("abc",), "regex_options": ("caseless",), "regex_stack": ("1 2",),
    "track_file": ("third", "other"), "vrrp_track_file": ("third",),
    "weight": ("7", "5 reverse"), "init_file": ("5",), "neighbor_ip": ("10.9.9.8",), "max_hops": ("3",),
    "vrrp_instance": ("second",), "track_group": ("other",), "umask": ("022",), "virtual_server_group": ("known",),
    "mcast_dst_ip": ("224.0.0.19",), "vrrp_mcast_group4": ("224.0.0.19",), "old_unicast_checksum": ("",),
"use_ipvlan": ("10.0.0.9/24",), "key": (f"3 {32 * 'c'}",), "active_key": ("2",),
}  # fmt: skip
KINDS: dict[str, tuple[str, ...]] = {
    "BOOL": ("on", "off"), "ADDR": ("10.4.0.9",), "IF": ("eth7",), "PORT": ("77",), "CMD": ('"/bin/true a b"',),
    "STRING": ("other",), "NAME": ("other", "known"), "PATH": ("/other",), "SEC": ("7", "3.5"), "USER": ("nobody",),
}  # fmt: skip


class Text:
    def __init__(self, text: str) -> None:
        self.text = text

    def read(self, path: str) -> bytes:
        return self.text.encode()

    def glob(self, pattern: str) -> list[str]:
        return [pattern]


def built(text: str) -> tuple[Config, list[str]]:
    """The configuration, and its errors."""
    config, faults = build(read("x", Text(text), SCRIPT_WORDS, Environment("x")))
    return config, [str(f) for f in faults if f.severity is Severity.ERROR]


def candidates(keyword: Keyword) -> list[str]:
    """Values to try."""
    word = keyword.alias_of or keyword.word
    if word in EXAMPLES:
        return list(EXAMPLES[word])
    slots = keyword.slots
    if not slots:
        return [""]
    first = values(slots[0], keyword)
    rest = [values(slot, keyword)[0] for slot in slots[1:] if not slot.optional]
    return [*([""] if slots[0].optional else []), *(" ".join([one, *rest]) for one in first)]


def values(slot: Slot, keyword: Keyword) -> list[str]:
    if slot.kind == CHOICE:
        return list(slot.choices)
    if slot.kind in ("N", "s", "ms", "us"):
        low = keyword.low or 0
        return [str(n) for n in (low + 3, low, low + 1) if keyword.high is None or n <= keyword.high]
    return list(KINDS.get(slot.kind, ("other",)))


def around(block: str, inside: str) -> str:
    """A configuration that has `inside` in a block of this kind."""
    if block == ROOT:
        return inside
    openers = [k for words in TABLE.values() for k in words.values() if k.opens == block and not k.alias_of]
    opener = next((k for k in openers if k.status is Status.SUPPORTED), openers[0])
    head = HEADS.get(opener.word, f"{opener.word} NAME" if opener.least else opener.word)
    body = INSIDE.get(block, "{X}").replace("{X}", inside)
    outer = INSIDE.get(opener.block, "{X}") if opener.block != ROOT else "{X}"
    assert "{X}" in outer or opener.block == ROOT
    return around(opener.block, f"{head} {{\n{body}\n}}")


def statement(keyword: Keyword, value: str) -> str:
    if not keyword.opens:
        return f"{keyword.word} {value}"
    head = f"{keyword.word} {value}" if value else HEADS.get(keyword.word, keyword.word)
    more = WITH["auth_pass"] if keyword.opens == "authentication" else ""
    body = INSIDE.get(keyword.opens, "{X}").replace("{X}", more)
    if keyword.word == "global_defs":
        body = "router_id other"
    assert keyword.opens in TABLE or keyword.opens in FREE
    return f"{head} {{\n{body}\n}}"


def reachable() -> set[str]:
    """Blocks that a supported keyword opens, from the top."""
    out = {ROOT}
    todo = [ROOT]
    while todo:
        for keyword in TABLE[todo.pop()].values():
            if keyword.status is Status.SUPPORTED and keyword.opens in TABLE and keyword.opens not in out:
                out.add(keyword.opens)
                todo.append(keyword.opens)
    return out


SUPPORTED = [
    (block, word)
    for block in sorted(reachable())
    for word, k in TABLE[block].items()
    if k.status is Status.SUPPORTED and (block, word) not in NOTHING
]


@pytest.mark.parametrize(("block", "word"), SUPPORTED, ids=lambda x: str(x).replace(" ", "_"))
def test_supported_keyword_has_an_effect(block: str, word: str) -> None:
    keyword = TABLE[block][word]
    key = (block, keyword.alias_of or word)
    if key in ELSEWHERE:
        assert re.search(rf"\b{word}\b", (TESTS / ELSEWHERE[key]).read_text()), key
        return
    more = WITH.get((block, word), WITH.get(keyword.alias_of or word, ""))
    before, _ = built(AROUND + around(block, more))
    tried = []
    for value in candidates(keyword):
        text = AROUND + around(block, f"{more}\n{statement(keyword, value)}".lstrip("\n"))
        after, errors = built(text)
        if not errors and after != before:
            return
        tried.append(f"{value!r}: {errors or 'changes nothing'}")
    pytest.fail(f"{word} in {block} has no effect that shows: {tried}\n{text}")
