"""Whether somebody else than root could change what root runs (shell: looks at the file system).

keepalived.md 1.10, "Security check": every component of the path is root's and cannot be written by others. Symbolic
links are followed, and what they go through is looked at like the rest (keepalived refuses those among directories).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping

MOST_LINKS = 40  # as the kernel (path_resolution(7))
OTHERS = stat.S_IWGRP | stat.S_IWOTH
Lstat = Callable[[str], os.stat_result]


def program(argv0: str, environment: Mapping[str, str]) -> str:
    """The file that runs for `argv0`; "" if there is none in the PATH."""
    if "/" in argv0:
        return argv0
    import shutil  # half a megabyte, which few children need

    return shutil.which(argv0, path=environment.get("PATH")) or ""


def violation(path: str, lstat: Lstat = os.lstat, readlink: Callable[[str], str] = os.readlink) -> str:
    """Who besides root could change it: `/opt/x is writable by others`; "" if nobody can. OSError if a component cannot
    be looked at."""
    links = 0
    left = [part for part in os.path.abspath(path).split("/") if part]
    here = ""
    if bad := _component("/", lstat("/")):
        return bad
    while left:
        part = left.pop(0)
        if part == "..":
            here = here.rpartition("/")[0]
            continue
        one = f"{here}/{part}"
        info = lstat(one)
        if bad := _component(one, info):
            return bad
        if not stat.S_ISLNK(info.st_mode):
            here = one
            continue
        links += 1
        if links > MOST_LINKS:
            return f"{one} is a loop of links"
        target = readlink(one)
        if target.startswith("/"):
            here = ""
        left[:0] = [p for p in target.split("/") if p not in ("", ".")]
    return ""


def _component(path: str, info: os.stat_result) -> str:
    if info.st_uid != 0:
        return f"{path} belongs to uid {info.st_uid}"
    if not stat.S_ISLNK(info.st_mode) and info.st_mode & OTHERS:
        return f"{path} is writable by {'others' if info.st_mode & stat.S_IWOTH else 'its group'}"
    return ""


def objection(path: str, uid: int) -> str:
    """Why root had better not run `path` (a script that runs as `uid`, or a set-id-root file); "" if all is well."""
    try:
        mode = os.stat(path)
        becomes_root = mode.st_uid == 0 and bool(mode.st_mode & stat.S_ISUID)
        return violation(path) if uid == 0 or becomes_root else ""
    except OSError:
        return ""  # running it says so
