"""Start one command: own session and process group, clean environment, nothing inherited (shell)."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Callable, Sequence

from fastha.scripts import safety
from fastha.scripts.identity import Defaults, Identity, environment, resolve


class Refused(Exception):
    """It was not run; one line says why."""


def launch(
    argv: Sequence[str],
    user: str,
    group: str,
    supplementary: bool,
    defaults: Defaults,
    *,
    secure: bool = False,
    output: int = subprocess.DEVNULL,
    first: Callable[[], object] | None = None,
) -> subprocess.Popen[bytes]:
    """Run `argv`. `secure`: not as root if others could change its file. `output`: where stdout and stderr go; `first`
    is called in the new process before exec. Refused if it cannot be run."""
    if not argv:
        raise Refused("it is empty")
    try:
        identity = resolve(user, group, supplementary, defaults)
        env = environment(identity)
        path = safety.program(argv[0], env)
        if secure and path and (why := safety.objection(path, identity.uid if identity else os.geteuid())):
            raise Refused(f"{why} (enable_script_security)")
        try:
            return _popen(argv, identity, env, output, first)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            # No "#!" line: keepalived hands such a file to the shell, and so do we.
            argv = ("/bin/sh", *argv)
            return _popen(argv, identity, env, output, first)
    except OSError as error:
        raise Refused(error.strerror or str(error)) from None
    except (LookupError, ValueError, subprocess.SubprocessError) as error:
        raise Refused(str(error).strip("'\"")) from None


def _popen(
    argv: Sequence[str],
    who: Identity | None,
    env: dict[str, str],
    output: int,
    first: Callable[[], object] | None,
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # the processes that use `preexec_fn` have one thread
        argv,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,  # a process group of its own
        cwd="/",
        env=env,
        user=who.uid if who else None,
        group=who.gid if who else None,
        extra_groups=who.groups if who else None,
        preexec_fn=first,
    )


def signal_group(pgid: int, number: signal.Signals) -> None:
    """To every process of a script's group; a group that is gone is none."""
    try:
        os.killpg(pgid, number)
    except (ProcessLookupError, PermissionError):
        pass
