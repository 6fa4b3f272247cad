"""Our verdict on virtual servers against `keepalived -t`: generated configurations, good and broken.

keepalived ends with 0 for a clean file (6 if scripts would run as root), 5 when it would run but ignores or corrects
something, anything else (a crash included) when it would not. fastha has three answers too: no fault, only warnings,
errors. The rules: what keepalived finds clean is never an error here; what it complains of is never clean here; what it
refuses is an error here. EXPLAINED lists where we differ on purpose.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fastha.config.load import Loaded, load
from oracles.keepalived_test import KEEPALIVED, TEST

CONFIGS = 240
SEED = 20240607

# (pattern in our faults or in keepalived's messages, why the verdicts differ)
EXPLAINED_STRICTER = [  # keepalived is content, we report an error
    (
        r"ours: .*cannot be the address of a router",
        "keepalived would put 0.0.0.0 or a multicast address on an interface",
    ),
    (r"ours: .*connect_ip|ours: .*no port", "a check of port 0 can never succeed"),
    (r"ours: .*differ in family", "keepalived finds a sorry server of another family only when it runs"),
    (r"ours: .*neither a netmask", "a netmask with holes: the kernel hashes it, nobody means it"),
    (r"ours: .*: alpha: 'maybe' is neither on nor off", "keepalived does not look at what follows it"),
    (r"ours: .*cannot hold blanks", "such a request line is not HTTP"),
]
EXPLAINED_LAXER = [  # keepalived complains, we do not
    (r"theirs: .*script", "whether a script exists and who may change it is looked at when it runs"),
    (
        r"theirs: .*Address family of virtual server and real server 10",
        "keepalived does not learn the family of a fwmark service whose first server is TUN",
    ),
    (
        r"theirs: .*bindto address 10.8.8.1 does not match address family of connect_ip",
        "keepalived compares it with the server's address if connect_ip comes after it",
    ),
    (r"theirs: .*Warning - quorum .* reducing quorum to 0", "we keep a quorum of 1: a service without weight is down"),
]


def load_text(text: str, directory: Path, name: str) -> Loaded:
    path = directory / name
    path.write_text(text)
    return load(str(path))


# -- generated configurations: keyword -> values; those after None are wrong or odd

INSTANCE = {
    "state": ["MASTER", "BACKUP", None, "FAULT", "master", ""],
    "priority": ["1", "100", "254", "255", "+7", "007", None, "0", "256", "abc", "1.5", "0x10", ""],
    "advert_int": ["1", "2", "10", None, "0.5", "1.5", "0", "256", "0.001", "x", "-1"],
    "version": ["2", "3", None, "4", "two"],
    "nopreempt": [""],
    "preempt": [""],
    "preempt_delay": ["0", "5", "1.5", "1000", None, "1001", "-1", "x"],
    "garp_master_delay": ["0", "7", "4294", None, "4295", "1.5", "x"],
    "garp_master_repeat": ["1", "9", None, "0", "-1"],
    "garp_master_refresh": ["0", "60", None, "x"],
    "garp_lower_prio_repeat": ["0", "3", None, "x"],
    "down_timer_adverts": ["1", "100", None, "0", "101"],
    "unicast_src_ip": ["192.168.77.1", None, "192.168.77", "fe80::1"],
    "unicast_peer": ["{\n192.168.77.2\n}",
                     "{\n192.168.77.2\n192.168.77.3\n}", None, "{\n}", "{\nfoo\n}", "{\nfe80::1\n}"],
    "authentication": ["{\nauth_type PASS\nauth_pass abc\n}", "{\nauth_pass \"a b\"\nauth_type PASS\n}", None,
                       "{\nauth_type PASS\n}", "{\nauth_type FOO\nauth_pass a\n}",
                       "{\nauth_type PASS\nauth_pass 123456789\n}"],
    "prioritty": [None, "5"],
    "virtual_server": [None, "10.0.0.1 80 {\n}"],
}  # fmt: skip
ADDRESS = ["{ip}", "{ip}/24", "{ip}/32 dev eth0", "{ip} label eth0:1", "{ip} scope link", "{ip}/0 scope 7", None,
           "{ip}/33", "{ip} scope foo", "{ip} label averyveryverylong", "{ip} foo", "{ip} dev", "10.0.0", "x", "{ip}/x",
           "0.0.0.0"]  # fmt: skip
TIMING = {
    "delay_loop": ["1", "1.5", "60", None, "0", "x", "-1"],
    "retry": ["1", "5", None, "x", "-1"],
    "delay_before_retry": ["0", "1.5", None, "x"],
    "warmup": ["0", "5", None, "x"],
    "connect_timeout": ["1", "0.5", None, "0", "x"],
}
SERVER = {
    **TIMING,
    "persistence_timeout": ["", "1", "360", None, "0", "x", "2678401"],
    "persistence_granularity": ["255.255.255.0", "24", None, "x", "255.0.255.0", "200"],
    "quorum": ["1", None, "0", "x", "1000"],
    "hysteresis": ["0", None, "5", "x"],
    "alpha": ["", "on", "no", None, "maybe"],
    "omega": ["", "off"],
    "inhibit_on_failure": ["", "yes"],
    "sorry_server": ["10.9.9.9 80", "10.9.9.9", None, "foo 80", "10.9.9.9 99999"],
    "sh-port": [None, ""],
    "ops": [None, ""],
    "weight": ["1", "7", None, "0", "x"],
    "virtualhost": ["www.example.org", '"a.b"', None],
    "quorum_up": ['"/bin/true a b"', "/bin/true"],
    "lb_algo": ["rr", "wrr", "sh", "mh", None, "foo"],
    "lb_kind": ["NAT", "TUN", None, "nat", "foo"],
    "lvs_method": [
        "TUN type ipip",
        "TUN type gue port 6080",
        "TUN type gre csum",
        "TUN type gue port 6080 remcsum",
        "TUN type gue csum port 7",
        "TUN nocsum",
        None,
        "TUN type gue",
        "TUN type gre remcsum",
        "TUN csum",
        "TUN type foo",
        "TUN type",
        "TUN port 5",
        "TUN type gue port 0",
        "TUN type gre port 5",
        "DR csum",
    ],
    "qourum": [None, "1"],
}
REAL = {
    **TIMING,
    "weight": ["1", "100", "2147483647", None, "-1", "x", "2147483648"],
    "uthreshold": ["0", "5", None, "x"],
    "lthreshold": ["0", "5", None, "-1"],
    "inhibit_on_failure": ["", "no"],
    "alpha": ["", "yes", None, "maybe"],
    "virtualhost": ["www.example.org"],
    "notify_up": ['"/bin/true a"', "'/bin/true' root"],
    "lvs_method": ["NAT", "TUN", "TUN type gre", None, "foo", "TUN type gue"],
    "wieght": [None, "1"],
}
MEMBER = ["10.{n}.0.1 80", "10.{n}.0.2-9 80", "10.{n}.0.20-10.{n}.1.5 80", "10.{n}.2.0/29 80", "10.{n}.3.1/32 80",
          "fwmark 1{n}", None, "10.{n}.4.1/29 80", "10.{n}.4.9-3 80", "10.{n}.4.1-256 80", "10.{n}.4.1-0a 80",
          "10.{n}.4.1-5-7 80", "10.{n}.4.1 http", "10.{n}.4.1 70000", "10.{n}.4.1 80-90", "fwmark x", "fwmark 1{n} foo",
          "10.{n}.4.0/33 80", "10.{n}.4.1-2001:db8::1 80", "foo 80", "10.{n}.4.1"]  # fmt: skip
MEMBER6 = ["2001:db8:{n}::1 80", "2001:db8:{n}::2-f 80", "2001:db8:{n}::10-2001:db8:{n}::1f 80",
           "2001:db8:{n}:1::/122 80", None, "2001:db8:{n}::1-10000 80", "2001:db8:{n}::1-g 80",
           "2001:db8:{n}:2::1/64 80"]  # fmt: skip
GLOBAL = {
    "lvs_timeouts": ["tcp 900", "tcp 7200 tcpfin 30 udp 300", "udp 0", None, "", "tcp", "foo 5", "tcp 2678401",
                     "tcp -1", "tcp x udp 5"],
    "lvs_flush": [""],
    "lvs_flush_on_stop": ["", "VS", None, "vs", "foo"],
    "lvs_sync_daemon": ["eth0", "eth0 id 5", "eth0 maxlen 1400 port 8848 ttl 3 group 224.0.0.81", None, "eth0 id 256",
                        "eth0 maxlen 0", "eth0 port 0", "eth0 ttl 256", "eth0 group 10.0.0.1", "eth0 group", "",
                        "eth0 id x", "eth0 id 3 VI_1"],
    "nftables_ipvs": ["", "marks"],
    "nftables_ipvs_priority": ["5", "-150", None, "x"],
    "nftables_ipvs_start_fwmark": ["5000", "4294967295", None, "0"],
}  # fmt: skip
TCP = {
    **TIMING,
    "retry": ["0", "5", None, "x", "-1"],
    "connect_ip": ["10.8.8.8", None, "foo"],
    "connect_port": ["1", "65535", None, "0", "65536", "x"],
    "bindto": ["10.8.8.1", None, "foo", "2001:db8::1"],
    "bind_port": ["4000", None, "0", "x"],
    "alpha": ["", "no", None, "maybe"],
    "conect_ip": [None, "10.8.8.8"],
}
URL = {
    "path": ["/", "/a?b=c", '"/x"'],
    "digest": ["0123456789abcdef0123456789abcdef", "0123456789ABCDEF0123456789abcdef", None, "abc"],
    "status_code": ["200", "200-299", "200 404", "200-204 301-302 500", None, "20", "600", "300-200", "200,404", "x"],
    "virtualhost": ["www.example.org"],
    "pth": [None, "/"],
}
HTTP = {**TCP, "http_protocol": ["1.0", "1.1", "1.0C", None, "2"], "fast_recovery": ["", "on"], "virtualhost": ["a.b"]}


class Generator:
    """Configurations from a seed; `wrong` is the chance that one keyword takes a wrong value."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.wrong = self.random.choice([0, 0, 0.02, 0.06])

    def value(self, values: list[str | None]) -> str | None:
        cut = values.index(None) if None in values else len(values)
        right, wrong = values[:cut], values[cut + 1 :]
        if wrong and self.random.random() < self.wrong:
            return self.random.choice(wrong)
        return self.random.choice(right) if right else None

    def some(self, table: dict[str, list[str | None]], share: float, indent: str) -> str:
        words = [w for w in self.random.sample(list(table), len(table)) if self.random.random() < share]
        values = [(w, self.value(table[w])) for w in words]
        return "".join(f"{indent}{word} {value}\n" for word, value in values if value is not None)

    def instance(self, n: int) -> str:
        addresses = "".join(
            f"        {(self.value(ADDRESS) or '').format(ip=f'10.1.{n}.{i + 1}')}\n"
            for i in range(self.random.randint(1, 3))
        )
        return (
            f"vrrp_instance I{n} {{\n    interface eth{self.random.randint(0, 1)}\n    virtual_router_id {n + 1}\n"
            f"{self.some(INSTANCE, 0.25, '    ')}    virtual_ipaddress {{\n{addresses}    }}\n}}\n"
        )

    def check(self) -> str:
        if self.random.random() < 0.5:
            return f"        TCP_CHECK {{\n{self.some(TCP, 0.3, ' ' * 12)}        }}\n"
        urls = "".join(
            f"            url {{\n                path /\n{self.some(URL, 0.4, ' ' * 16)}            }}\n"
            for _ in range(self.random.randint(1, 2))
        )
        return f"        HTTP_GET {{\n{urls}{self.some(HTTP, 0.3, ' ' * 12)}        }}\n"

    def server(self, n: int) -> str:
        head = self.random.choice([f"10.2.0.{n + 1} 80", f"10.2.0.{n + 1} 443", f"fwmark {n + 1}"])
        real = "".join(
            f"    real_server 10.3.{n}.{i + 1} {head.split()[1] if '.' in head else 80} {{\n"
            f"{self.some(REAL, 0.25, ' ' * 8)}{self.check()}    }}\n"
            for i in range(self.random.randint(1, 3))
        )
        protocol = "" if head.startswith("fwmark") else "    protocol TCP\n"
        return (
            f"virtual_server {head} {{\n{protocol}    lb_algo wlc\n    lb_kind NAT\n"
            f"{self.some(SERVER, 0.25, '    ')}{real}}}\n"
        )

    def group(self, n: int) -> str:
        """A group with one or two virtual servers. NAT and the family of its members, for what crosses families is
        told apart by the kernel alone."""
        six = self.random.random() < 0.3
        members = [self.value(MEMBER6 if six else MEMBER) for _ in range(self.random.randint(1, 4))]
        lines = [m.format(n=n + 20) for m in dict.fromkeys(members) if m is not None]
        if all(m.startswith("fwmark") for m in lines):
            lines.append(f"10.{n + 20}.9.9 80")
        out = f"virtual_server_group G{n} {{\n" + "".join(f"    {m}\n" for m in lines) + "}\n"
        real = f"2001:db8:f::{n}" if six else f"10.3.0.{n + 1}"
        for protocol in self.random.sample(["TCP", "UDP"], self.random.randint(1, 2)):
            table = {w: v for w, v in SERVER.items() if w not in ("lb_kind", "lvs_method", "sorry_server", "ops")}
            out += (
                f"virtual_server group G{n} {{\n    protocol {protocol}\n    lb_algo wlc\n    lb_kind NAT\n"
                f"{self.some(table, 0.15, '    ')}    real_server {real} 80 {{\n{self.check()}    }}\n}}\n"
            )
            if "fwmark" in out:
                break  # a mark has no protocol: a second one would be the same service
        return out

    def text(self) -> str:
        out = f"global_defs {{\n    router_id x\n{self.some(GLOBAL, 0.15, '    ')}}}\n"
        out += "".join(self.group(n) for n in range(self.random.choice([0, 0, 1, 2])))
        out += "".join(self.instance(n) for n in range(self.random.randint(0, 2)))
        out += "".join(self.server(n) for n in range(self.random.randint(0, 2)))
        lines = out.split("\n")
        if self.random.random() < self.wrong:  # lose or gain a brace
            braces = [i for i, line in enumerate(lines) if line.strip() in ("}",)]
            if self.random.random() < 0.5:
                del lines[self.random.choice(braces)]
            else:
                lines.insert(self.random.choice(braces), "}")
        return "\n".join(lines)


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    """A network namespace with eth0 and eth1: keepalived refuses interfaces that are not there."""
    name = f"fastha-conf-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        add = ["ip", "-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", "eth1"]
        subprocess.run(add, check=True)
        for dev in ("eth0", "eth1", "lo"):
            subprocess.run(["ip", "-n", name, "link", "set", dev, "up"], check=True)
        subprocess.run(["ip", "-n", name, "addr", "add", "192.168.77.1/24", "dev", "eth0"], check=True)
        subprocess.run(["ip", "-n", name, "addr", "add", "192.168.78.1/24", "dev", "eth1"], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def explained(stricter: bool, loaded: Loaded, messages: str) -> bool:
    ours = [f"ours: {f}" for f in loaded.faults]
    theirs = [f"theirs: {line}" for line in messages.splitlines()]
    rules = EXPLAINED_STRICTER if stricter else EXPLAINED_LAXER
    return any(re.search(pattern, line) for pattern, _ in rules for line in ours + theirs)


def disagreement(loaded: Loaded, status: int, messages: str) -> str:
    """Which rule the two verdicts break; "" if none."""
    if status == 0 and not loaded.ok and not explained(True, loaded, messages):
        return "keepalived finds nothing, we refuse it"
    if status == 5 and not loaded.faults and not explained(False, loaded, messages):
        return "keepalived complains, we find nothing"
    if status not in (0, 5) and loaded.ok and not explained(False, loaded, messages):
        return "keepalived refuses it, we take it"
    return ""


@pytest.mark.interop
@pytest.mark.root
@pytest.mark.skipif(not KEEPALIVED, reason="keepalived is not installed")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a network namespace")
def test_verdicts_agree_with_keepalived(namespace: str, tmp_path: Path) -> None:
    seed = int(os.environ.get("FASTHA_SEED", SEED))
    count = int(os.environ.get("FASTHA_CONFIGS", CONFIGS))
    print(f"seed {seed}, {count} configurations")

    def judge(n: int) -> tuple[int, Loaded, str]:
        loaded = load_text(Generator(seed + n).text(), tmp_path, f"{n}.conf")
        command = ["ip", "netns", "exec", namespace, KEEPALIVED, *TEST, "-f", str(tmp_path / f"{n}.conf")]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, check=False)
        messages = "\n".join(m for m in (done.stdout + done.stderr).splitlines() if m and "SECURITY VIOLATION" not in m)
        status = done.returncode
        if status == 6:  # hides whether there was something else
            status = 5 if messages else 0
        return status, loaded, messages

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(judge, range(count)))
    problems = []
    seen = {"clean": 0, "complained": 0, "refused": 0}
    for n, (status, loaded, messages) in enumerate(results):
        seen["clean" if status == 0 else "complained" if status == 5 else "refused"] += 1
        if rule := disagreement(loaded, status, messages):
            ours = "\n".join(str(f).replace(str(tmp_path) + "/", "") for f in loaded.faults)
            problems.append(f"{rule} (FASTHA_SEED={seed + n}, status {status})\n-- ours\n{ours}\n-- theirs\n{messages}")
    print(seen)
    assert not problems, f"{len(problems)} of {count} disagree\n\n" + "\n\n".join(problems[:8])
    # The generator must exercise both sides.
    assert seen["clean"] > count // 10
    assert seen["complained"] > count // 10
