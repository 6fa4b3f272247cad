"""As whom a script runs: names of the configuration -> user, groups, environment (shell: asks the user database)."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass

from fastha.outside import OUTER

DEFAULT_USER = "keepalived_script"  # as keepalived: used if it exists and nothing else is configured
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Left out of a script's environment: what changes how its interpreter or libraries behave, and what is
# between systemd and us alone. keepalived removes IFS, LD_PRELOAD and LD_LIBRARY_PATH.
_DROPPED_PREFIXES = ("LD_", "PYTHON", "BASH_", "NOTIFY_", "WATCHDOG_", "LISTEN_", "JOURNAL_", "GCONV_", "MALLOC_")
_DROPPED = ("IFS", "ENV", "CDPATH", "SHELLOPTS", "PS4", "VIRTUAL_ENV", "TMPDIR", OUTER)


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for scripts that say nothing: `script_user` ("": DEFAULT_USER if there is one, else ourselves), and
    `supplementary`: all groups of the user, for every script (set_supplementary_groups)."""

    user: str = ""
    group: str = ""
    supplementary: bool = False
    user_supplementary: bool = False  # script_user USER :GROUP


@dataclass(frozen=True, slots=True)
class Identity:
    """`groups`: the supplementary ones. `name`, `home`: for the environment."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str
    home: str


def resolve(user: str, group: str, supplementary: bool, defaults: Defaults) -> Identity | None:
    """Whom a script runs as; None: as ourselves, nothing is changed. LookupError if there is no such user or group."""
    if not user:
        user, group = defaults.user, group or defaults.group
        supplementary = supplementary or defaults.user_supplementary
    if not user and os.geteuid() == 0 and _exists(DEFAULT_USER):
        user = DEFAULT_USER
    if not user and not group:
        return None
    entry = _passwd(user or str(os.geteuid()))
    gid = _gid(group) if group else entry.pw_gid
    if (entry.pw_uid, gid) == (os.geteuid(), os.getegid()) and not supplementary and not defaults.supplementary:
        return None
    wide = supplementary or defaults.supplementary
    # keepalived.md 1.10: setgid, supplementary groups (optional), setuid
    groups = tuple(os.getgrouplist(entry.pw_name, gid)) if wide else ()
    return Identity(entry.pw_uid, gid, groups, entry.pw_name, entry.pw_dir)


def environment(identity: Identity | None = None) -> dict[str, str]:
    """Our environment without what could bend a script; PATH is always there."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_DROPPED_PREFIXES) and name not in _DROPPED
    }
    own = {} if identity is None else {"HOME": identity.home, "USER": identity.name, "LOGNAME": identity.name}
    return {"PATH": PATH} | kept | own


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _passwd(user: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
    except KeyError:
        if user == str(os.geteuid()):  # we run as somebody without a name
            return pwd.struct_passwd((user, "x", os.geteuid(), os.getegid(), "", "/", "/bin/sh"))
        raise LookupError(f"there is no user {user}") from None


def _gid(group: str) -> int:
    if group.isdigit():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise LookupError(f"there is no group {group}") from None
