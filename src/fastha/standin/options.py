"""keepalived's command line (keepalived.md 1.15; observed with 2.2.7): its flags -> Options."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import NoReturn

from fastha.lean import dataclass, field
from fastha.standin.signals import SIGNALS

RUN = "/run"
PID_FILE = f"{RUN}/keepalived.pid"
USUAL_PIDS = {
    "parent": PID_FILE, "vrrp": f"{RUN}/vrrp.pid", "checker": f"{RUN}/checkers.pid", "bfd": f"{RUN}/bfd.pid"
}  # fmt: skip
LOG_FILE = "/tmp/keepalived.log"
DEFAULT_FILE = "/etc/keepalived/keepalived.conf"
FACILITIES = {"user": 1, "daemon": 3} | {f"local{n}": 16 + n for n in range(8)} | {str(n): 16 + n for n in range(8)}
# Flag -> why it has no effect here. None: fastha does so anyway.
WITHOUT_EFFECT: dict[str, str | None] = {
    "log_detail": None,
    "release_vips": None,
    "flush_log_file": None,
    "address_monitoring": "changes of addresses concern fastha only where they are its own",
    "snmp": "there is no SNMP agent",
    "snmp_agent_socket": "there is no SNMP agent",
    "all": "a process that has nothing to do is not started",
    "all_config": "say include_check in the configuration",
    "no_mem_check": "it is for keepalived's developers",
    "mem_check_log": "it is for keepalived's developers",
    "debug": "it is for keepalived's developers",
}


@dataclass(frozen=True, slots=True)
class Options:
    """What somebody asked of `fastha-keepalived`."""

    file: str = DEFAULT_FILE
    roles: tuple[str, ...] = ("vrrp", "checker", "bfd")
    foreground: bool = False
    console: bool = False  # log to stderr
    syslog: bool = True
    facility: int = FACILITIES["daemon"]
    log_file: str = ""
    umask: int | None = None
    keep_vrrp: bool = False  # addresses stay at the end
    keep_ipvs: bool = False  # rows stay at the end
    respawn: bool = True
    dump_configuration: bool = False
    pids: dict[str, str] = field(default_factory=dict)  # role, "parent" -> file
    namespace: str = ""
    core: bool = False
    core_pattern: str = ""
    config_id: str = ""
    signal_name: str = ""
    test: bool = False
    test_log: str = ""
    version: bool = False
    genhash: tuple[str, ...] | None = None
    remarks: tuple[str, ...] = ()  # flags without effect, one line each


class Usage(Exception):
    """Not keepalived's command line; one line says why."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Usage(message)


def parser() -> argparse.ArgumentParser:
    """The flags, for `--help` too."""
    p = _Parser(prog="fastha-keepalived", allow_abbrev=True, description="fastha, started as keepalived is.")
    flag, word, optional = {"action": "store_true"}, {"default": ""}, {"default": None}
    for names, kind, text in (
        (("-f", "--use-file"), word | {"dest": "file", "default": DEFAULT_FILE}, "configuration"),
        (("-P", "--vrrp"), flag, "only run VRRP"),
        (("-C", "--check"), flag, "only run health checks"),
        (("-B", "--no_bfd"), flag, "do not run BFD"),
        (("--all",), flag, "without effect"),
        (("-l", "--log-console"), flag, "log to stderr"),
        (("-D", "--log-detail"), flag, "details are logged anyway"),
        (("-S", "--log-facility"), word, "syslog facility: 0 to 7, local0 to local7, user, daemon"),
        (("-g", "--log-file"), optional, "log to a file"),
        (("--flush-log-file",), flag, "each line is written at once anyway"),
        (("-G", "--no-syslog"), flag, "do not log to syslog"),
        (("-u", "--umask"), word, "umask of files"),
        (("-X", "--release-vips"), flag, "addresses are released anyway"),
        (("-V", "--dont-release-vrrp"), flag, "leave addresses at the end"),
        (("-I", "--dont-release-ipvs"), flag, "leave the balancer's table at the end"),
        (("-R", "--dont-respawn"), flag, "end when a child ends"),
        (("-n", "--dont-fork"), flag, "stay in the foreground"),
        (("-d", "--dump-conf"), flag, "log the effective configuration"),
        (("-p", "--pid"), word | {"default": PID_FILE}, "pid file"),
        (("-r", "--vrrp_pid"), word | {"default": USUAL_PIDS["vrrp"]}, "pid file of the VRRP process"),
        (("-c", "--checkers_pid"), word | {"default": USUAL_PIDS["checker"]}, "pid file of the checker process"),
        (("-b", "--bfd_pid"), word | {"default": USUAL_PIDS["bfd"]}, "pid file of the BFD process"),
        (("-a", "--address-monitoring"), flag, "without effect"),
        (("-x", "--snmp"), flag, "without effect"),
        (("-A", "--snmp-agent-socket"), word, "without effect"),
        (("-s", "--namespace"), word, "network namespace to run in"),
        (("-m", "--core-dump"), flag, "allow core dumps"),
        (("-M", "--core-dump-pattern"), optional, "and where they go"),
        (("-e", "--all-config"), flag, "without effect"),
        (("-i", "--config-id"), word, "what @ lines compare with"),
        (("-L", "--mem-check-log"), flag, argparse.SUPPRESS),
        (("--no-mem-check",), flag, argparse.SUPPRESS),
        (("--debug",), optional, argparse.SUPPRESS),
        (("--signum",), word, "print the number of STOP, RELOAD, DATA, STATS, STATS_CLEAR or JSON"),
        (("-t", "--config-test"), optional, "only test the configuration"),
        (("-v", "--version"), flag, "print the version"),
    ):
        p.add_argument(*names, **kind, help=text)
    return p


def parse(argv: Sequence[str]) -> Options:
    """Usage if it is no command line of keepalived."""
    if argv[:1] == ["-T"] or argv[:1] == ["--genhash"]:
        return Options(genhash=tuple(argv[1:]))
    given = parser().parse_args(_attached(argv))
    facility = given.log_facility or "daemon"
    if facility not in FACILITIES:
        raise Usage(f"unknown log facility '{facility}'")
    if given.signum and given.signum not in SIGNALS:
        raise Usage(f"Unknown sigfunc {given.signum}")
    umask = None
    if given.umask:
        if not re.fullmatch(r"0?[0-7]{1,4}|0x[0-9a-fA-F]{1,3}", given.umask):
            raise Usage(f"invalid umask '{given.umask}'")
        umask = int(given.umask, 16 if given.umask[:2] == "0x" else 8) & 0o777
    only = [role for role, on in (("vrrp", given.vrrp), ("checker", given.check)) if on]
    roles = [*(only or ("vrrp", "checker")), "bfd"]
    if given.no_bfd:
        roles.remove("bfd")
    remarks = [
        f"--{flag.replace('_', '-')} has no effect: {why}"
        for flag, why in WITHOUT_EFFECT.items()
        if why and getattr(given, flag) not in (False, None, "")
    ]
    return Options(
        file=given.file,
        roles=tuple(roles),
        foreground=given.dont_fork,
        console=given.log_console,
        syslog=not given.no_syslog,
        facility=FACILITIES[facility],
        log_file=LOG_FILE if given.log_file == "" else given.log_file or "",
        umask=umask,
        keep_vrrp=given.dont_release_vrrp,
        keep_ipvs=given.dont_release_ipvs,
        respawn=not given.dont_respawn,
        dump_configuration=given.dump_conf,
        pids={
            "parent": given.pid,
            "vrrp": given.vrrp_pid,
            "checker": given.checkers_pid,
            "bfd": given.bfd_pid,
        },
        namespace=given.namespace,
        core=given.core_dump or given.core_dump_pattern is not None,
        core_pattern="core" if given.core_dump_pattern == "" else given.core_dump_pattern or "",
        config_id=given.config_id,
        signal_name=given.signum,
        test=given.config_test is not None,
        test_log=given.config_test or "",
        version=given.version,
        remarks=tuple(remarks),
    )


OPTIONAL = {"-t": "--config-test", "-g": "--log-file", "-M": "--core-dump-pattern"}


def _attached(argv: Sequence[str]) -> list[str]:
    """getopt_long's rule: an optional value is attached (`-tFILE`, `--config-test=FILE`), never the next word."""
    out = []
    for word in argv:
        long = OPTIONAL.get(word[:2])
        if long is not None:
            out.append(f"{long}={word[2:]}")
        else:
            out.append(f"{word}=" if word in OPTIONAL.values() or word == "--debug" else word)
    return out
