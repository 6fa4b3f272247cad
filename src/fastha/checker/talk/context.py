"""TLS as configured -> SSLContext: one for all checks that say the same, made anew when a file of it has changed."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace

from fastha.model import Tls
from fastha.model.units import NS_PER_S

LOOK_NS = NS_PER_S  # how often files are looked at, at most
Stamp = tuple[tuple[int, int, int], ...]


def build_context(tls: Tls, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
    """ValueError that names the file if something cannot be read or does not fit together."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # tls.py compares names: with `tls_verify_name`, that is not the name that is sent
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT")  # OpenSSL's own, as keepalived: what a browser shuns may still serve
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if tls.ca:
        _load(tls.ca, "certificates of authorities", lambda: _authorities(context, tls.ca))
    if tls.verify:
        context.verify_mode = ssl.CERT_REQUIRED
        if not tls.ca:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if tls.certificate:
        # Without a callback OpenSSL would ask the terminal for the password of an encrypted key.
        what = f"certificate with key {tls.key}" if tls.key else "certificate and key"
        _load(
            tls.certificate,
            what,
            lambda: context.load_cert_chain(tls.certificate, tls.key or None, lambda: tls.password),
        )
    elif tls.key:
        raise ValueError(f"key {tls.key} without a certificate")
    return context


def _authorities(context: ssl.SSLContext, path: str) -> None:
    if os.path.isdir(path):
        context.load_verify_locations(capath=path)
    else:
        context.load_verify_locations(cafile=path)


def _load(path: str, what: str, load: Callable[[], object]) -> None:
    try:
        load()
    except ssl.SSLError as error:
        raise ValueError(
            f"{path}: cannot be used as {what} ({(error.reason or str(error)).lower().replace('_', ' ')})"
        ) from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {getattr(error, 'strerror', None) or error} ({what})") from None


@dataclass(slots=True)
class _Made:
    context: ssl.SSLContext
    stamp: Stamp
    looked_ns: int
    users: int = 0


class Contexts:
    """The contexts in use. `acquire` and `release` in pairs; `get` in between."""

    def __init__(self, warn: Callable[[str], object] = lambda _text: None) -> None:
        self._made: dict[tuple[Tls, tuple[str, ...]], _Made] = {}
        self._warn = warn

    def __len__(self) -> int:
        return len(self._made)

    def acquire(self, tls: Tls, alpn: tuple[str, ...], now_ns: int) -> None:
        """Make it if nobody has. ValueError as build_context."""
        key = _key(tls, alpn)
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = _Made(build_context(tls, alpn), _stamp(tls), now_ns)
        made.users += 1

    def release(self, tls: Tls, alpn: tuple[str, ...]) -> None:
        key = _key(tls, alpn)
        made = self._made[key]
        made.users -= 1
        if not made.users:
            del self._made[key]

    def get(self, tls: Tls, alpn: tuple[str, ...], now_ns: int) -> ssl.SSLContext:
        """The context to shake hands with now. Files that became unusable are said once, and the old ones used on."""
        made = self._made[_key(tls, alpn)]
        if now_ns - made.looked_ns >= LOOK_NS:
            made.looked_ns = now_ns
            if (stamp := _stamp(tls)) != made.stamp:
                made.stamp = stamp
                try:
                    made.context = build_context(tls, alpn)
                except ValueError as error:
                    self._warn(f"{error}; what was read before is used")
        return made.context


def _key(tls: Tls, alpn: tuple[str, ...]) -> tuple[Tls, tuple[str, ...]]:
    """What a context depends on: names are said with each connection."""
    return replace(tls, sni="", enable_sni=False, verify_name="", expiry_days=0), alpn


def _stamp(tls: Tls) -> Stamp:
    out = []
    for path in (tls.ca, tls.certificate, tls.key):
        try:
            found = os.stat(path) if path else None
        except OSError:
            found = None
        out.append((found.st_mtime_ns, found.st_size, found.st_ino) if found else (0, 0, 0))
    return tuple(out)
