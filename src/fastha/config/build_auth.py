"""`authentication` -> Auth, `auth_hmac` -> Hmac."""

from __future__ import annotations

import os
import stat

from fastha.config import values
from fastha.config.files import RealFiles
from fastha.config.item import Item
from fastha.config.shape import items
from fastha.config.tree import Faults, Statement, shown
from fastha.errors import Severity
from fastha.lean import dataclass, field
from fastha.model import Auth, Hmac, HmacKey
from fastha.model.units import NS_PER_S

AUTH_BYTES = 8  # RFC 2338 section 5.3.10
KEY_BYTES = range(32, 65)
MODES = ("enforce", "permissive", "receive-only")
WINDOW_S = 5  # or three intervals, if those are longer


@dataclass(slots=True)
class HmacDraft:
    """A block while it is read, and right afterwards. `window_s` None: not said."""

    keys: dict[int, str] = field(default_factory=dict)
    active: int = 0
    mode: str = "enforce"
    monotonic: bool = False
    window_s: int | None = None


def build_authentication(statement: Statement, faults: Faults) -> Auth:
    """`Auth()` also after an error."""
    kind = password = ""
    for item in items(statement.block or [], "authentication", faults):
        word, place = item.statement.words[1], item.statement.place(1)
        if item.name == "auth_type":
            kind = word
            if word not in ("PASS", "AH"):
                faults.error(place, f"auth_type '{shown(word)}' is neither PASS nor AH")
        elif item.name == "auth_pass":
            password = word
            if len(word.encode()) > AUTH_BYTES:
                password = word.encode()[:AUTH_BYTES].decode(errors="ignore")
                faults.warning(place, f"only the first {AUTH_BYTES} bytes of auth_pass count", code="auth-pass-long")
    if kind in ("PASS", "AH") and not password:
        # keepalived runs such an instance without authentication; its peers would not believe it, nor it them.
        faults.error(statement.place(), "authentication without auth_pass")
    if password and not kind:
        faults.warning(statement.place(), "auth_pass without auth_type has no effect", "auth_type PASS")
    return Auth(kind.lower(), password) if kind in ("PASS", "AH") and password else Auth()


def build_hmac(statement: Statement, faults: Faults) -> HmacDraft | None:
    """None after an error. Without a key to sign with keepalived runs unauthenticated; here that is an error."""
    draft, before = HmacDraft(), len(faults)
    active = statement
    for item in items(statement.block or [], "auth_hmac", faults):
        match item.name:
            case "key":
                _key(item, draft, faults)
            case "active_key":
                draft.active, active = values.number(item, faults) or 0, item.statement
            case "mode":
                draft.mode = _one_of(item, MODES, faults)
            case "anti_replay":
                draft.monotonic = _one_of(item, ("time", "monotonic"), faults) == "monotonic"
            case name:
                assert name == "time_window", name
                draft.window_s = values.number(item, faults)
    if any(fault.severity is Severity.ERROR for fault in faults[before:]):
        return None
    if not draft.keys:
        faults.error(statement.place(), "auth_hmac without key", "key 1 hex:...")
    elif not draft.active:
        faults.error(statement.place(), "auth_hmac without active_key", f"active_key {min(draft.keys)}")
    elif draft.active not in draft.keys:
        faults.error(active.place(1), f"active_key {draft.active}: there is no such key")
    else:
        if draft.monotonic and draft.window_s is not None:
            faults.warning(statement.place(), "time_window has no effect with anti_replay monotonic")
        return draft
    return None


def settled_hmac(draft: HmacDraft | None, advert_int_ns: int) -> Hmac | None:
    """What holds, once the interval is known."""
    if draft is None:
        return None
    window_s = max(WINDOW_S, -(-3 * advert_int_ns // NS_PER_S)) if draft.window_s is None else draft.window_s
    keys = tuple(HmacKey(number, value) for number, value in sorted(draft.keys.items()))
    return Hmac(keys, draft.active, draft.mode, 0 if draft.monotonic else window_s)


def _one_of(item: Item, known: tuple[str, ...], faults: Faults) -> str:
    word = item.statement.words[1]
    if word not in known:
        faults.error(item.statement.place(1), f"{item.name} '{shown(word)}' is none of {', '.join(known)}")
        return known[0]
    return word


def _key(item: Item, draft: HmacDraft, faults: Faults) -> None:
    statement = item.statement
    number, place = values.number(item, faults), statement.place(2)
    word = statement.words[2].encode(errors="surrogateescape")
    said: bytes | None = word
    if word.startswith(b"file:"):
        said = _file_key(os.fsdecode(word.removeprefix(b"file:")), place, faults)
    if number is None or said is None:
        return
    value = _hex(said.removeprefix(b"hex:")) if said.startswith(b"hex:") else said
    if value is None:
        faults.error(place, "a key behind hex: has two hexadecimal digits for each byte")
    elif len(value) not in KEY_BYTES:
        faults.error(place, f"a key has {KEY_BYTES[0]} to {KEY_BYTES[-1]} bytes; this one has {len(value)}")
    elif number in draft.keys:
        faults.error(statement.place(1), f"key {number} is there already")
    else:
        draft.keys[number] = value.hex()


def _hex(text: bytes) -> bytes | None:
    try:
        return bytes.fromhex(text.decode("ascii"))
    except ValueError:
        return None


def _file_key(path: str, place: tuple[str, int, int], faults: Faults) -> bytes | None:
    """The content of a key file, without the end of its line; None after an error."""
    try:
        data = RealFiles().read(path)
        mode = os.stat(path).st_mode
    except OSError as error:
        faults.error(place, f"{shown(path)}: {error.strerror}")
        return None
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        faults.warning(place, f"{shown(path)}: others than its owner may read this key", "chmod 600")
    data = data.rstrip(b"\r\n")
    if not data:
        faults.error(place, f"{shown(path)}: no key in it")
        return None
    return data
