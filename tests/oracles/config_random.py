"""Random configurations from the keyword table, good and slightly broken. Pure: a seed gives a text.

What a keyword may say comes from the table's value and range columns; what good and wrong values of a kind look like is
said here, apart from the code that reads them. Names are those of the namespace that keepalived runs in: eth0, eth1.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from fastha.config.keywords import TABLE, Keyword
from fastha.config.keywords.table import CHOICE, Slot

# keepalived would make files or change namespaces, or the word needs a library that a build may lack.
NEVER = {
    "config_save_dir", "tmp_config_directory", "net_namespace", "net_namespace_ipvs", "instance", "use_pid_dir",
    "reload_file", "namespace_with_ipsets", "vrrp_iptables", "vrrp_ipsets", "snmp_socket", "dbus_service_name",
    "notify_fifo", "vrrp_notify_fifo", "lvs_notify_fifo", "linkbeat_use_polling", "native_ipv6",
    "lvs_sync_daemon", "lvs_timeouts",
    # addresses, but not any
    "vrrp_mcast_group4", "mcast_dst_ip",
    # written by the generator itself
    "interface", "virtual_router_id", "virtual_ipaddress", "include_check", "script", "process", "neighbor_ip", "group",
}  # fmt: skip
GOOD: dict[str, tuple[str, ...]] = {
    "BOOL": ("on", "off", "true", "false", "yes", "no"),
    "ADDR": ("10.4.0.1", "192.168.77.1", "172.16.0.9"),
    "GROUP4": ("224.0.0.19",),
    "GROUP6": ("ff02::19",),
    "IF": ("eth0", "eth1"),
    "PORT": ("1", "25", "65535"),
    "CMD": ("/usr/bin/true", '"/usr/bin/true a b"', "'/usr/bin/true' "),
    "HOST": ("127.0.0.1", "10.4.0.25"),
    "COMM": ("kv", "averylongcomm15"),
    "MASK": ("022", "0777", "IXUSR | IRGRP", "IXUSR", "0", "22", "0x1f"),
    "NAME": ("abc", "a_1"),
    "STRING": ("abc", '"a b"', "x.y"),
    "PATH": ("/tmp/fastha-none", '"/tmp/fastha none"'),
    "USER": ("root",),
    "GROUP": ("root",),
    "VMAC": ("", "vm0", "02:00:5e:00:01:07", "vm1 02:00:5e:00:01"),
    "IPVLAN": ("10.4.0.7", "iv0 10.4.0.8 bridge", "10.4.0.9 vepa"),
    "WORD": ("abc",),
}
WRONG: dict[str, tuple[str, ...]] = {
    "BOOL": ("maybe", "ON", "1", "of"),
    "ADDR": ("10.4.0", "10.4.0.256", "foo", "10.4.0.1/24"),
    "GROUP4": ("10.0.0.1", "x"),
    "GROUP6": ("fe80::1", "224.0.0.9", "x"),
    "PORT": ("0", "65536", "x"),
    "COMM": ("a_name_of_sixteen",),
    "MASK": ("999", "IFOO", "1000", "0x", "022 7", "777"),
    "VMAC": ("02:00:zz:00:01:07", "a_name_much_too_long", "vm0 vm1"),
    "IPVLAN": ("10.4.0.7 a_name_much_too_long", "10.4.0.7 iv0 iv1"),
}
NUMBERS = ("N", "s", "ms", "us")
JUNK = ("x", "1.5", "5x", "-", "0x10", "1e3", "\u0663")


class Writer:
    """Writes one configuration. `wrong`: the chance that a thing is wrong."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.wrong = self.random.choice([0, 0, 0.01, 0.04])

    def bad(self) -> bool:
        return self.random.random() < self.wrong

    def one(self, *of: str) -> str:
        return self.random.choice(of)

    # -- words

    def statement(self, keyword: Keyword) -> str:
        words = [keyword.word]
        for slot in keyword.slots:
            if slot.optional and self.random.random() < 0.5:
                if slot.kind == CHOICE:
                    continue
                break
            words += [self.value(slot, keyword) for _ in range(self.random.randint(1, 2) if slot.many else 1)]
        if self.bad():
            match self.random.randrange(4):
                case 0 if keyword.least == 1 and len(words) == 2:
                    words.pop()
                case 1:
                    words[0] = words[0][:-1] + self.one("", "x", "s")
                case _:
                    pass
        return " ".join(words)

    def value(self, slot: Slot, keyword: Keyword) -> str:
        if slot.kind == CHOICE:
            choices = [c for c in slot.choices if c != "N"]
            return self.one("foo", choices[0].swapcase()) if self.bad() else self.one(*choices)
        if slot.kind in NUMBERS:
            return self.number(keyword)
        if slot.kind == "SEC":
            return self.seconds(keyword)
        if self.bad() and slot.kind in WRONG:
            return self.one(*WRONG[slot.kind])
        return self.one(*GOOD.get(slot.kind, ("abc",)))

    def number(self, keyword: Keyword) -> str:
        low = 0 if keyword.low is None else keyword.low
        high = 100_000 if keyword.high is None else keyword.high
        if self.bad():
            return self.one(*JUNK, str(low - 1), *([str(high + 1)] if keyword.high is not None else ()))
        return self.one(str(low), str(high), str(self.random.randint(low, high)), f"{min(low + 3, high)}")

    def seconds(self, keyword: Keyword) -> str:
        low = 0 if keyword.low is None else keyword.low
        high = 100_000_000 if keyword.high is None else keyword.high
        if self.bad():
            return self.one("x", "-1", "1.5x", *([f"{high // 1_000_000 + 1}"] if keyword.high is not None else ()))
        us = self.random.randint(low, min(high, 40_000_000))
        return self.one(f"{us / 1e6:.6f}", f"{us / 1e6:.2f}" if us >= 10_000 and low < 10_000 else f"{us / 1e6:.6f}",
                        str(min(max(1, low // 1_000_000), high // 1_000_000) or 1))  # fmt: skip

    def some(self, block: str, share: float, indent: str, without: frozenset[str] = frozenset()) -> str:
        """Some keywords of a block that open none themselves."""
        keywords = [
            k for w, k in TABLE[block].items()
            if not k.opens and not k.own and not k.since and w not in NEVER and w not in without and not k.alias_of
        ]  # fmt: skip
        chosen = [k for k in keywords if self.random.random() < share]
        self.random.shuffle(chosen)
        return "".join(f"{indent}{self.statement(k)}\n" for k in chosen)

    # -- lists

    def lines(self, make: Callable[[int], str], most: int, indent: str) -> str:
        return "".join(f"{indent}{make(i)}\n" for i in range(self.random.randint(1, most)))

    def address(self, base: str, i: int) -> str:
        out = f"{base}.{i + 1}"
        peer = False
        if self.random.random() < 0.3:
            out += self.one("/24", "/32", "/0") if not self.bad() else self.one("/33", "/x", "/-1")
        elif self.random.random() < 0.1:
            peer, out = True, f"{out} peer 10.6.0.{i + 1}"
        for option, good, wrong in (
            ("dev", ("eth0", "eth1"), ("",)),
            ("scope", ("link", "global", "7", "host"), ("foo", "256", "")),
            ("label", ("eth0:1", "x"), ("averyveryverylong",)),
            ("brd", ("10.5.0.255",), ("x", "fe80::1")),
            ("preferred_lft", ("5", "forever", "0"), ("x", "-1")),
            ("no_track", ("",), ("foo",)),
            ("noprefixroute", ("",), ("foo",)),
            ("-nodad", ("",), ("",)),
        ):
            if self.random.random() < 0.12 and not (peer and option == "brd"):
                out += f" {option} {self.one(*wrong) if self.bad() else self.one(*good)}".rstrip()
        if self.bad():
            out = self.one("10.5.0", "foo", out + " foo", out.replace(".", ",", 1))
        return out

    def route(self, i: int) -> str:
        six = self.random.random() < 0.2
        to = f"2001:db8:{i:x}::/48" if six else f"10.{i + 10}.0.0/16"
        via = f"2001:db8:77::{i + 2:x}" if six else f"192.168.77.{i + 2}"
        out = self.one("", "", "", "unicast ", "blackhole ", "unreachable ", "add ") + to
        options = [
            (f"via {via}", ("via foo", "via 10.0.0", f"via {'10.0.0.1' if six else 'fe80::1'}")),
            ("metric 5", ("metric x", "metric -1", "metric 4294967296")),
            ("table 100", ("table 100 foo",)), ("scope link", ("scope foo", "scope 256")),
            ("mtu lock 1400", ("mtu x", "mtu -1")), ("rtt 50ms", ("rtt x",)), ("tos 4", ("tos 256", "tos x")),
            ("realms 1/2", ("realms x", "realms 1/65536")), ("quickack 1", ("quickack 2",)),
            ("features ecn", ("features foo",)), ("hoplimit 9", ("hoplimit 256",)), ("initcwnd 5", ("initcwnd x",)),
            ("onlink", ("onlin",)), ("ttl-propagate enabled", ("ttl-propagate foo",)), ("congctl lock cubic", ("",)),
            ("encap mpls 100/200", ("encap mpls x", "encap foo")),
            ("encap ip id 5 dst 10.0.0.1 ttl 3", ("encap ip dst x",)), ("advmss 1400", ("advmss x",)),
        ]  # fmt: skip
        for good, wrong in options:
            if self.random.random() < 0.08:
                out += " " + (self.one(*wrong) if self.bad() else good)
        if self.random.random() < 0.9:
            out += " dev eth0"
        return out

    def rule(self, i: int) -> str:
        out = f"from 10.{i + 10}.0.0/16"
        options = [
            ("to 10.1.0.0/16", ("to x", "to fe80::/64", "to 10.0.0.0/33")), ("iif eth0", ("",)),
            ("tos 4", ("tos 256",)), ("fwmark 5/0xff", ("fwmark x", "fwmark 5/x")), ("realms 1/2", ("realms x",)),
            ("suppress_prefixlength 8", ("suppress_prefixlength x",)), ("ipproto tcp", ("ipproto 256",)),
            ("sport 5-9", ("sport 5", "sport x-y")), ("uidrange 1-5", ("uidrange 5",)), ("no_track", ("no_trak",)),
            ("tunnel-id 5", ("tunnel-id x",)), ("oif eth1", ("",)), ("not", ("nott",)),
        ]  # fmt: skip
        for good, wrong in options:
            if self.random.random() < 0.1:
                out += " " + (self.one(*wrong) if self.bad() else good)
        out += self.one(
            " table 100", " lookup 100", " goto 60000", " nop", " blackhole", "" if self.bad() else " prohibit"
        )
        if self.random.random() < 0.8:
            out += f" {self.one('preference', 'priority', 'order')} {'x' if self.bad() else i + 100}"
        return out

    def tracker(self, name: str, most: int = 253) -> str:
        if self.bad():
            name = self.one("nosuch", f"{name} weight", f"{name} weight x", f"{name} foo", f"{name} weight 300")
        elif self.random.random() < 0.4:
            name += f" weight {self.one('5', '-20', str(most), str(-most), '0')}"
            if self.random.random() < 0.3:
                name += " reverse"
        return name

    # -- blocks

    def block(self, head: str, inside: str, indent: str = "") -> str:
        return f"{indent}{head} {{\n{inside}{indent}}}\n"

    def tracked(self) -> tuple[str, dict[str, list[str]]]:
        """Things to track, and their names by the keyword that tracks them."""
        out, names = "", {"track_interface": ["eth1"]}
        if self.random.random() < 0.4:
            out += self.block("vrrp_script S1", "    script /usr/bin/true\n" + self.some("vrrp_script", 0.3, "    "))
            names["track_script"] = ["S1"]
        if self.random.random() < 0.3:
            inside = "    process sleep\n" + self.some("vrrp_track_process", 0.3, "    ")
            out += self.block("vrrp_track_process P1", inside)
            names["track_process"] = ["P1"]
        return out, names

    def instance(self, n: int, names: dict[str, list[str]]) -> str:
        inside = f"    interface {self.one('eth0', 'eth1')}\n    virtual_router_id {n + 1}\n"
        inside += self.some("vrrp_instance", 0.06, "    ")
        vips = self.lines(lambda i: self.address(f"10.5.{n}", i), 3, "        ")
        inside += self.block("virtual_ipaddress", vips, "    ")
        for word, makes, share in (
            ("virtual_ipaddress_excluded", lambda i: self.address(f"10.7.{n}", i), 0.1),
            ("virtual_routes", self.route, 0.25),
            ("virtual_rules", self.rule, 0.2),
            ("unicast_peer", self.peer, 0.2),
        ):
            if self.random.random() < share:
                inside += self.block(word, self.lines(makes, 2, "        "), "    ")
        for word, known in names.items():
            if self.random.random() < 0.4:
                inside += self.block(word, f"        {self.tracker(known[0])}\n", "    ")
        if self.random.random() < 0.15:
            inside += self.block("authentication", f"        auth_type {'FOO' if self.bad() else 'PASS'}\n"
                                 f"        auth_pass {self.one('abc', 'eightchr')}\n", "    ")  # fmt: skip
        return self.block(f"vrrp_instance V{n}", inside)

    def peer(self, i: int) -> str:
        out = f"10.8.0.{i + 2}"
        if self.random.random() < 0.3:
            out += f" min_ttl {self.one('x', '256') if self.bad() else 5}"
        if self.random.random() < 0.3:
            out += f" max_ttl {self.one('x', '256') if self.bad() else 200}"
        return self.one("foo", "10.8.0", f"{out} foo", "fe80::1") if self.bad() else out

    def check(self) -> str:
        """A check of a real server, with what it cannot do without."""
        kind = self.one(*CHECKS)
        inside = "".join(f"            {line}\n" for line in CHECKS[kind].split("; ") if line)
        inside += self.some(kind, 0.12, " " * 12, LEFT_OUT)
        if kind in ("HTTP_GET", "SSL_GET"):
            url = "                path /\n" + self.some("url", 0.15, " " * 16, LEFT_OUT)
            inside += self.block("url", url, " " * 12)
        return self.block(kind, inside, " " * 8)

    def server(self, n: int) -> str:
        inside = "    protocol TCP\n    lb_algo wlc\n    lb_kind NAT\n" + self.some(
            "virtual_server", 0.06, "    ", LEFT_OUT
        )
        for i in range(self.random.randint(1, 2)):
            real = self.some("real_server", 0.08, " " * 8, LEFT_OUT) + self.check()
            inside += self.block(f"real_server 10.3.{n}.{i + 1} 80", real, "    ")
        return self.block(f"virtual_server 10.2.0.{n + 1} 80", inside)

    def globals(self) -> str:
        return self.block("global_defs", self.some("global_defs", 0.06, "    "))

    def others(self, instances: int) -> str:
        out = ""
        if self.random.random() < 0.15:
            out += self.block("static_ipaddress", self.lines(lambda i: self.address("10.9.0", i), 3, "    "))
        if self.random.random() < 0.15:
            out += self.block("static_routes", self.lines(self.route, 3, "    "))
        if self.random.random() < 0.15:
            out += self.block("static_rules", self.lines(self.rule, 3, "    "))
        if instances > 1 and self.random.random() < 0.4:
            members = "".join(f"        V{n}\n" for n in range(instances)) + ("        V9\n" if self.bad() else "")
            inside = self.block("group", members, "    ") + self.some("vrrp_sync_group", 0.1, "    ")
            out += self.block("vrrp_sync_group G", inside)
        if self.random.random() < 0.1:
            inside = "    garp_interval 0.5\n    interface eth0\n" + self.some("garp_group", 0.3, "    ", GARP)
            out += self.block("garp_group", inside)
        if self.random.random() < 0.1:
            delay = self.one("256", "x", "-1") if self.bad() else self.one("1", "0.5 2", "255")
            out += self.block("interface_up_down_delays", f"    eth0 {delay}\n")
        if self.random.random() < 0.1:
            kind = "FOO" if self.bad() else self.one("", "MII", "ETHTOOL", "IOCTL")
            out += self.block("linkbeat_interfaces", f"    eth1 {kind}\n")
        return out

    def text(self) -> str:
        tracked, names = self.tracked()
        count = self.random.choice([0, 1, 1, 2])
        out = self.globals() + tracked + "".join(self.instance(n, names) for n in range(count)) + self.others(count)
        out += "".join(self.server(n) for n in range(self.random.choice([0, 0, 1, 2])))
        lines = out.split("\n")
        if self.bad():  # lose or gain a brace
            braces = [i for i, line in enumerate(lines) if line.strip() == "}"]
            if braces and self.random.random() < 0.5:
                del lines[self.random.choice(braces)]
            elif braces:
                lines.insert(self.random.choice(braces), "}")
        return "\n".join(lines)


# kind of check -> lines it cannot do without, between semicolons
CHECKS = {
    "TCP_CHECK": "", "HTTP_GET": "", "SSL_GET": "", "SMTP_CHECK": "", "DNS_CHECK": "", "UDP_CHECK": "",
    "PING_CHECK": "", "MISC_CHECK": "misc_path /usr/bin/true",
}  # fmt: skip
# Written above, grammars that test_config_keepalived has, or values that only other words make good.
LEFT_OUT = frozenset({
    "path", "digest", "status_code", "regex", "regex_no_match", "regex_options", "regex_stack", "regex_min_offset",
    "regex_max_offset", "misc_path", "payload", "require_reply", "min_reply_length", "max_reply_length", "type",
    "protocol", "lvs_sched", "lvs_method", "ip_family", "ops", "flag-1", "flag-2", "flag-3", "sh-port", "sh-fallback",
    "mh-port", "mh-fallback", "persistence_engine", "persistence_granularity", "sorry_server", "sorry_server_inhibit",
    "sorry_server_lvs_method", "hysteresis", "quorum", "hashed", "bind_port", "bind_if", "http_protocol", "uthreshold",
    "lthreshold", "ha_suspend", "connect_ip", "bindto",
})  # fmt: skip
GARP = frozenset({"garp_interval", "interface"})
