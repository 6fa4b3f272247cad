"""Pieces of text that several dumps share. Pure."""

from __future__ import annotations

from fastha.model import Script, VirtualAddress
from fastha.model.units import NS_PER_S

SCOPES = {0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}  # rtnetlink(7), rtm_scope


def address(one: VirtualAddress, interface: str, present: bool) -> str:
    """`10.9.0.100/24 dev eth0 scope global label eth0:1 set`; a whole address has no length."""
    whole = 128 if ":" in one.ip else 32
    length = "" if one.prefixlen == whole else f"/{one.prefixlen}"
    scope = SCOPES.get(one.scope, str(one.scope))
    label = f" label {one.label}" if one.label else ""
    return f"{one.ip}{length} dev {one.dev or interface} scope {scope}{label}{' set' if present else ''}"


def command(script: Script) -> str:
    """`'/bin/notify' 'master'`."""
    return " ".join(f"'{word}'" for word in script.argv)


def seconds(ns: int) -> int | float:
    """Without a fraction if there is none."""
    return ns // NS_PER_S if ns % NS_PER_S == 0 else ns / NS_PER_S
