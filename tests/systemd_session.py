"""What an operator does with the service under systemd, and what has to come of it: steps, in order, in one machine.

tests/netns/test_systemd.py plays them on this kernel, tests/netns/test_package.py with what the Debian package
installed, tests/vm/inside/systemd.py on a kernel with IPVS.
"""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

from booted import Booted

CONF = """
global_defs {
    enable_script_security
    script_user root
}
vrrp_instance VI_1 {
    interface lan
    virtual_router_id 51
    priority %d
    version 3
    advert_int 0.3
    virtual_ipaddress {
        10.1.0.100/24
    }
    notify /etc/keepalived/notify.sh
}
virtual_server 10.1.0.100 80 {
    protocol TCP
    lb_algo rr
    lb_kind NAT
    delay_loop 1
    real_server 10.1.0.1 22 {
        MISC_CHECK {
            misc_path /etc/keepalived/misc.sh
            misc_timeout 20
            user nobody
            warmup 0
        }
    }
}
"""
NOTIFY = '#!/bin/sh\necho "$2 $3" >> /var/lib/notified\n'
MISC = "#!/bin/sh\nid -un > /run/misc/user\n"
RULE = "10.1.0.1:22"


class Session:
    def __init__(self, machine: Booted, *, ipvs: bool) -> None:
        self.machine, self.ipvs = machine, ipvs
        machine.run("ip", "link", "add", "lan", "type", "veth", "peer", "name", "wire")
        machine.run("ip", "link", "set", "wire", "up")
        machine.run("ip", "link", "set", "lan", "up")
        machine.run("ip", "addr", "add", "10.1.0.1/24", "dev", "lan")
        machine.write("/etc/keepalived/notify.sh", NOTIFY, 0o755)
        machine.write("/etc/keepalived/misc.sh", MISC, 0o755)
        machine.run("install", "-d", "-o", "nobody", "/run/misc")
        self.configure(150)

    def configure(self, priority: int) -> None:
        self.machine.write("/etc/keepalived/keepalived.conf", CONF % priority)

    # what is so

    def status(self) -> dict[str, Any]:
        done = self.machine.done("fastha", "status", "--json")
        return dict(json.loads(done.stdout)) if done.returncode == 0 else {}

    def instance(self) -> dict[str, Any]:
        return dict(self.status().get("vrrp", {}).get("instances", {}).get("VI_1", {}))

    def real_server(self) -> dict[str, Any]:
        found = self.status().get("checker", {}).get("virtual_servers", {}).get("10.1.0.100:80/tcp", {})
        return dict(found.get("real_servers", {}).get(RULE, {}))

    def has_address(self) -> bool:
        return "10.1.0.100/" in self.machine.run("ip", "-4", "addr", "show", "dev", "lan")

    def table(self) -> str:
        """What balances, as the kernel's own tool prints it."""
        return self.machine.run("ipvsadm", "-S", "-n") if self.ipvs else self.machine.run("nft", "list", "ruleset")

    def balances(self) -> bool:
        return "10.1.0.100" in self.table() and ("10.1.0.1:22" if self.ipvs else "10.1.0.1 . 22") in self.table()

    def children(self) -> dict[str, int]:
        children = self.status().get("daemon", {}).get("children", {})
        return {name: child["pid"] for name, child in children.items() if child.get("pid")}

    def main_pid(self, unit: str = "fastha") -> int:
        return int(self.machine.shown(unit, "MainPID"))

    # the steps

    def starts(self) -> None:
        """`systemctl start` comes back when READY has been said; the confined daemon does what it is for."""
        self.machine.run("systemctl", "start", "fastha")
        self.is_at_work()

    def is_at_work(self) -> None:
        assert self.machine.shown("fastha", "ActiveState") == "active"
        assert self.machine.shown("fastha", "Type") == "notify"
        self.machine.until(self.has_address, "the virtual address is on the interface")
        self.machine.until(self.balances, "the real server is in the table")
        self.machine.until(
            lambda: "VI_1 MASTER" in self.machine.file("/var/lib/notified").read_text(), "the notify script has run"
        )
        self.machine.until(lambda: self.real_server().get("checks", 0) > 0, "MISC_CHECK has run")
        assert self.real_server()["health"] == "up"
        assert self.machine.file("/run/misc/user").read_text() == "nobody\n"
        self.machine.until(
            lambda: self.machine.shown("fastha", "StatusText").startswith("1 master"), "systemd knows the status"
        )

    def reloads(self) -> None:
        before = self.main_pid()
        self.configure(140)
        self.machine.run("systemctl", "reload", "fastha")
        assert self.instance()["priority_base"] == 140  # it waits until the new one runs
        self.machine.write("/etc/keepalived/keepalived.conf", "vrrp_instance VI_1 {\n  no_such_word\n}\n")
        assert self.machine.done("systemctl", "reload", "fastha").returncode != 0
        assert self.machine.shown("fastha", "ActiveState") == "active"
        assert self.instance()["priority_base"] == 140
        self.configure(140)
        self.machine.run("systemctl", "reload", "fastha")
        assert self.main_pid() == before
        assert self.has_address()

    def a_stopped_child_is_replaced(self) -> None:
        """By the parent: systemd sees nothing of it."""
        main, stuck = self.main_pid(), self.children()["vrrp"]
        os.kill(self.machine.outside(stuck), signal.SIGSTOP)
        self.machine.until(lambda: self.children().get("vrrp", stuck) != stuck, "there is another vrrp child")
        self.machine.until(lambda: self.instance().get("state") == "master", "it is master")
        assert (self.main_pid(), self.machine.shown("fastha", "NRestarts")) == (main, "0")

    def a_stopped_parent_is_replaced(self) -> None:
        """By systemd, after WatchdogSec."""
        main = self.main_pid()
        start = time.monotonic()
        os.kill(self.machine.outside(main), signal.SIGSTOP)
        self.machine.until(
            lambda: self.main_pid() not in (0, main) and self.machine.shown("fastha", "ActiveState") == "active",
            "systemd has started another one", 90,
        )  # fmt: skip
        assert time.monotonic() - start > 5
        assert self.machine.shown("fastha", "NRestarts") == "1"
        self.machine.until(self.has_address, "the address is there again")
        self.machine.until(self.balances, "the table is there again")

    def the_journal_has_fields(self) -> None:
        def lines(*match: str) -> list[dict[str, Any]]:
            text = self.machine.run("journalctl", "-o", "json", "--no-pager", *match)
            return [json.loads(line) for line in text.splitlines()]

        master = [line for line in lines("FASTHA_SUBJECT=VI_1") if "master" in line["MESSAGE"].lower()]
        assert master
        for line in master:
            assert line["SYSLOG_IDENTIFIER"] == "fastha-vrrp"
            assert line["_SYSTEMD_UNIT"] == "fastha.service"
            assert line["FASTHA_KIND"]
            assert line["PRIORITY"] in "3456"
        assert any("vrrp started" in line["MESSAGE"] for line in lines("-t", "fastha"))

    def others_watch(self) -> None:
        """The units of metrics and page, as the user that serves."""
        assert self.machine.done("getent", "passwd", "fastha-watch").returncode == 0
        for unit, url, word in (
            ("fastha-metrics", "http://127.0.0.1:9650/metrics", 'keepalived_vrrp_state{iname="VI_1"'),
            ("fastha-page", "http://127.0.0.1:9651/", "<html"),
        ):
            self.machine.run("systemctl", "start", unit)
            self.machine.until(
                lambda url=url, word=word: word in self.machine.done("curl", "-s", url).stdout, f"{unit} answers"
            )
            owner = os.stat(f"/proc/{self.machine.outside(self.main_pid(unit))}").st_uid
            assert str(owner) == self.machine.run("id", "-u", "fastha-watch").strip()
        if self.ipvs:
            self.machine.until(self.balances, "the real server is in the table")
            scrape = self.machine.run("curl", "-s", "http://127.0.0.1:9650/metrics")
            lines = [line for line in scrape.splitlines() if line.startswith(("keepalived_lvs", "fastha_scrape"))]
            assert any(line.startswith("keepalived_lvs_rs_conn{") for line in lines), lines
        self.machine.run("systemctl", "stop", "fastha-metrics", "fastha-page")

    def stops(self) -> None:
        start = time.monotonic()
        self.machine.run("systemctl", "stop", "fastha")
        assert time.monotonic() - start < 20
        assert not self.has_address()
        assert "10.1.0.100" not in self.table()
        assert self.machine.shown("fastha", "Result") == "success"
        assert self.machine.shown("fastha", "ExecMainStatus") == "0"

    def refuses_a_bad_file(self) -> None:
        """It fails at once, and is not started again and again."""
        self.machine.write("/etc/keepalived/keepalived.conf", "vrrp_instance VI_1 {\n  no_such_word\n}\n")
        assert self.machine.done("systemctl", "start", "fastha").returncode != 0
        self.machine.until(lambda: self.machine.shown("fastha", "ActiveState") == "failed", "it has failed for good")
        assert self.machine.shown("fastha", "ExecMainStatus") == "2"
        assert "no_such_word" in self.machine.run("journalctl", "-u", "fastha", "--no-pager")
        self.machine.run("systemctl", "reset-failed", "fastha")

    def in_keepaliveds_place(self) -> None:
        """Debian's unit of keepalived with one word changed, as docs/migration.md has it."""
        self.configure(150)
        self.machine.file("/var/lib/notified").unlink()
        self.machine.write(
            "/etc/systemd/system/keepalived.service.d/fastha.conf",
            "[Service]\nExecStart=\nExecStart=/usr/bin/fastha-keepalived --dont-fork $DAEMON_ARGS\n",
        )
        self.machine.run("systemctl", "daemon-reload")
        self.machine.run("systemctl", "start", "keepalived")
        main = self.main_pid("keepalived")
        assert self.machine.file("/run/keepalived.pid").read_text().strip() == str(main)
        self.machine.until(self.has_address, "the virtual address is on the interface")
        self.machine.until(self.balances, "the real server is in the table")
        self.machine.until(self.machine.file("/var/lib/notified").exists, "the notify script has run")
        self.configure(130)
        self.machine.run("systemctl", "reload", "keepalived")
        self.machine.until(lambda: self.instance().get("priority_base") == 130, "HUP has reloaded it")
        assert self.main_pid("keepalived") == main
        self.machine.run("systemctl", "start", "fastha")  # the units are in conflict: one of them runs
        assert self.machine.shown("keepalived", "ActiveState") == "inactive"
        assert self.machine.shown("keepalived", "Result") == "success"
        self.machine.until(self.has_address, "the virtual address is there again")
        self.machine.run("systemctl", "stop", "fastha")
        assert not self.has_address()
