"""`fastha dump`: the effective configuration as keepalived.conf text, of the daemon or of a file."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from fastha.channel.status import Exit
from fastha.cli.running import running
from fastha.cli.screen import json_text, printable
from fastha.config.dump import dump
from fastha.config.dump_words import HIDDEN
from fastha.config.load import load
from fastha.errors import Severity
from fastha.model import Auth, Config, VrrpInstance
from fastha.parent.protocol import CONTROL_PATH

DESCRIPTION = """\
Print the effective configuration: what the running daemon has, or what a file says (-f), with definitions, includes
and inheritance resolved. It reads back as the same configuration. What is not supported yet is not part of it, and is
listed in comments. Passwords are hidden without --secrets; the text then reads back without them.
"""
EPILOG = """\
exit status:
  0  printed                             1  went wrong
  2  the file is refused, or wrong use   3  no daemon answers
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("-f", "--file", help="a file instead of the running daemon")
    parser.add_argument("-i", "--config-id", default="", help="what @id lines are compared with (default: host name)")
    parser.add_argument("--full", action="store_true", help="also what is as it would be without the line")
    parser.add_argument("--secrets", action="store_true", help="show passwords")
    parser.add_argument("--json", action="store_true", help="as plain data instead of keepalived.conf")
    parser.add_argument("--control", default=CONTROL_PATH, metavar="PATH", help=f"control socket ({CONTROL_PATH})")


def main(options: argparse.Namespace) -> int:
    if options.file:
        loaded = load(options.file, options.config_id, native=True)
        if errors := loaded.errors:
            for fault in errors:
                print(printable(str(fault)), file=sys.stderr)
            return Exit.REFUSED
        config = loaded.config
        about = f"{', '.join(loaded.files)} as fastha reads it"
        noted: Iterable[str] = (str(f) for f in loaded.faults if f.severity is Severity.NOT_SUPPORTED)
    else:
        told = running(options.control)
        config, noted = told.config, told.noted
        read_at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(told.loaded))
        about = f"the running configuration, read from {told.file} at {read_at}"
    if options.json:
        sys.stdout.write(as_json(config, list(noted), options.secrets))
    else:
        sys.stdout.write(comments(about, noted) + dump(config, options.full, options.secrets))
    return Exit.OK


def comments(about: str, noted: Iterable[str]) -> str:
    """The lines before the configuration: what it is, and what of the file it lacks."""
    lines = [f"# {about}", *(f"# {line}" for line in noted)]
    return "".join(f"{printable(line)}\n" for line in lines) + "\n"


def as_json(config: Config, noted: list[str], secrets: bool) -> str:
    """`{"config": plain data of the model, "not_supported": [line]}`."""
    data: dict[str, Any] = {"config": config if secrets else masked(config), "not_supported": noted}
    return json_text(data)


def masked(config: Config) -> Config:
    """`config` with its passwords hidden."""
    instances = tuple(map(_instance_masked, config.instances))
    servers = tuple(
        replace(vs, real_servers=tuple(replace(rs, checks=tuple(map(_masked, rs.checks))) for rs in vs.real_servers))
        for vs in config.virtual_servers
    )
    return replace(config, instances=instances, virtual_servers=servers)


def _instance_masked(instance: VrrpInstance) -> VrrpInstance:
    if instance.auth.password:
        instance = replace(instance, auth=Auth(instance.auth.kind, HIDDEN))
    if instance.hmac is not None:
        keys = tuple(replace(key, value=HIDDEN) for key in instance.hmac.keys)
        instance = replace(instance, hmac=replace(instance.hmac, keys=keys))
    return instance


def _masked(check: Any) -> Any:
    tls = getattr(check, "tls", None)
    return replace(check, tls=replace(tls, password=HIDDEN)) if tls is not None and tls.password else check
