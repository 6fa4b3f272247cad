"""`authentication` and `auth_hmac`: what is built, and what is refused instead of running without."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastha.config.build import build
from fastha.config.dump import dump
from fastha.config.reader import Environment, read
from fastha.errors import Severity
from fastha.model import Auth, Hmac, HmacKey, VrrpInstance
from unit.test_config_dump import Text

A, B = 32 * "a", 32 * "b"


def built(inside: str, version: int = 3) -> tuple[VrrpInstance | None, list[str], list[str]]:
    """(instance, errors, warnings)."""
    text = f"""vrrp_instance vi {{
interface eth0
virtual_router_id 7
version {version}
advert_int 2
{inside}
virtual_ipaddress {{
10.0.0.7
}}
}}
"""
    config, faults = build(read("conf", Text(text), frozenset(), Environment("x")))
    said: dict[bool, list[str]] = {True: [], False: []}
    for fault in faults:
        said[fault.severity is Severity.ERROR].append(fault.message)
    return (config.instances[0] if config.instances else None), said[True], said[False]


def test_a_block_with_everything() -> None:
    text = f"auth_hmac {{\nkey 1 {A}\nkey 2 hex:{64 * '0a'}\nactive_key 2\nmode permissive\ntime_window 9\n}}"
    instance, errors, warnings = built(text)
    assert (errors, warnings) == ([], [])
    assert instance is not None
    assert instance.hmac == Hmac((HmacKey(1, A.encode().hex()), HmacKey(2, 64 * "0a")), 2, "permissive", 9)


@pytest.mark.parametrize(("more", "window_s"), [("", 6), ("anti_replay monotonic", 0), ("anti_replay time", 6)])
def test_the_window_follows_the_interval(more: str, window_s: int) -> None:
    instance, errors, _ = built(f"auth_hmac {{\nkey 1 {A}\nactive_key 1\n{more}\n}}")
    assert not errors
    assert instance is not None
    assert instance.hmac is not None
    assert instance.hmac.window_s == window_s


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        (f"key 1 {A}", "auth_hmac without active_key"),
        (f"key 1 {A}\nactive_key 2", "active_key 2: there is no such key"),
        ("active_key 1", "auth_hmac without key"),
        (f"key 1 {A}\nkey 1 {B}\nactive_key 1", "key 1 is there already"),
        ("key 1 short\nactive_key 1", "a key has 32 to 64 bytes; this one has 5"),
        (f"key 1 {65 * 'a'}\nactive_key 1", "a key has 32 to 64 bytes; this one has 65"),
        ("key 1 hex:0g\nactive_key 1", "a key behind hex: has two hexadecimal digits for each byte"),
        ("key 1 file:/nowhere/at/all\nactive_key 1", "/nowhere/at/all: No such file or directory"),
    ],
)
def test_what_keepalived_runs_without_is_an_error(inside: str, message: str) -> None:
    _, errors, _ = built(f"auth_hmac {{\n{inside}\n}}")
    assert errors == [message]


def test_a_key_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(f"hex:{32 * '0b'}\n")
    path.chmod(0o600)
    text = f"auth_hmac {{\nkey 7 file:{path}\nactive_key 7\n}}"
    instance, errors, warnings = built(text)
    assert (errors, warnings) == ([], [])
    assert instance is not None
    assert instance.hmac is not None
    assert instance.hmac.keys == (HmacKey(7, 32 * "0b"),)
    path.chmod(0o644)
    assert built(text)[2] == [f"{path}: others than its owner may read this key"]


def test_auth_hmac_replaces_authentication() -> None:
    both = f"auth_hmac {{\nkey 1 {A}\nactive_key 1\n}}\nauthentication {{\nauth_type PASS\nauth_pass x\n}}"
    instance, errors, warnings = built(both, 2)
    assert not errors
    assert warnings == ["authentication has no effect with auth_hmac"]
    assert instance is not None
    assert instance.auth == Auth()
    assert instance.hmac is not None


def test_ah() -> None:
    block = "authentication {\nauth_type AH\nauth_pass secret\n}"
    instance, errors, warnings = built(block, 2)
    assert (errors, warnings) == ([], [])
    assert instance is not None
    assert instance.auth == Auth("ah", "secret")
    instance, _, warnings = built(f"state MASTER\npriority 200\n{block}", 2)
    assert warnings == ["state MASTER has no effect with auth_type AH"]
    assert instance is not None
    assert not instance.wants_master
    assert built("authentication {\nauth_type AH\n}", 2)[1] == ["authentication without auth_pass"]
    assert built(block, 3)[2] == ["VRRP version 3 has no authentication; it is ignored"]


def test_keys_are_hidden_and_what_is_hidden_reads_back() -> None:
    text = f"vrrp_instance vi {{\ninterface eth0\nvirtual_router_id 7\nauth_hmac {{\nkey 1 {A}\nactive_key 1\n}}\n}}\n"
    config, _ = build(read("conf", Text(text), frozenset(), Environment("x")))
    hidden = dump(config, secrets=False)
    assert A.encode().hex() in dump(config)
    assert A.encode().hex() not in hidden
    back, faults = build(read("hidden", Text(hidden), frozenset(), Environment("x")))
    assert not [f for f in faults if f.severity is Severity.ERROR]
    assert back.instances[0].hmac is not None
