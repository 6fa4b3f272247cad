"""`fastha-keepalived`: fastha, started as keepalived is (shell). Whoever starts keepalived with its flags, signals it
and reads its files changes one word.

In the background (without -n) the command ends when the configuration has been read and the pid file is there, and
with the daemon's own status if it comes to nothing.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Sequence

import fastha
from fastha.channel.status import Exit
from fastha.errors import FasthaError, SystemFault
from fastha.log import FACILITY, Log
from fastha.standin.options import PID_FILE, Options, Usage, parse, parser
from fastha.standin.signals import SIGNALS

NO_FILE = 6  # exit status: there is no such configuration
TMP = "/tmp"


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if "-h" in words or "--help" in words:
        parser().print_help()
        return 0
    try:
        options = parse(words)
    except Usage as error:
        print(f"fastha-keepalived: {error}", file=sys.stderr)
        return 1
    if options.version:
        print(f"fastha {fastha.__version__}, in the place of keepalived", file=sys.stderr)
        return 0
    if options.signal_name:
        print(int(SIGNALS[options.signal_name]))
        return 0
    if options.genhash is not None:
        from fastha.cli.main import main as command

        return command(["genhash", *options.genhash])
    if options.test:
        return _test(options)
    try:
        return _run(options)
    except FasthaError as error:
        print(f"fastha-keepalived: {error}", file=sys.stderr)
        return int(getattr(error, "status", Exit.FAILED))


def _test(options: Options) -> int:
    from fastha.standin.testing import test

    if not options.test_log:
        return test(options.file, options.config_id, sys.stderr)
    try:
        with open(options.test_log, "w") as out:
            return test(options.file, options.config_id, out)
    except OSError as error:
        print(f"{options.test_log}: {error.strerror or error}", file=sys.stderr)
        return 1


def _run(options: Options) -> int:
    if not os.path.exists(options.file):
        print(f"{options.file}: there is no such configuration", file=sys.stderr)
        return NO_FILE
    if options.namespace:
        from fastha.parent.setting import enter

        enter(options.namespace)  # keepalived.md 1.18
    if options.umask is not None:
        os.umask(options.umask)
    if options.core:
        _allow_cores(options.core_pattern)
    begun = None if options.foreground else _background()
    if isinstance(begun, int):
        return begun
    _aim_log(options)
    status = _daemon(options, begun)
    if begun is not None:
        begun.tell(status)
    return status


def _daemon(options: Options, begun: Begun | None) -> int:
    from fastha.parent.daemon import Daemon
    from fastha.parent.spawn import PROCESSES
    from fastha.standin.pids import PidFiles
    from fastha.standin.place import KeepalivedPlace

    log = Log("fastha")
    for remark in options.remarks:
        log.warning(remark)
    if options.dump_configuration:
        _log_configuration(options, log)
    place = KeepalivedPlace(
        log,
        PidFiles({role: path for role, path in options.pids.items() if role == "parent" or role in options.roles}),
        os.environ.get("TMPDIR") or TMP,
        respawn=options.respawn,
        keep=tuple(r for r, keep in (("vrrp", options.keep_vrrp), ("checker", options.keep_ipvs)) if keep),
        begun=begun.tell_ok if begun is not None else lambda: None,
    )
    reading = ("-m", "fastha.reading", *(("--config-id", options.config_id) if options.config_id else ()))
    processes = [process for process in PROCESSES if process.role in options.roles]
    control = control_path(options)
    return Daemon(options.file, reading=reading, control_path=control, log=log, processes=processes, place=place).run()


def control_path(options: Options) -> str:
    """Where `fastha` finds this daemon. Several keepalived are told apart by their pid files: one with a pid file of
    its own has its control socket beside it."""
    from fastha.parent.protocol import CONTROL_PATH

    pid = options.pids["parent"]
    return CONTROL_PATH if pid == PID_FILE else f"{os.path.abspath(pid)}.control"


def _log_configuration(options: Options, log: Log) -> None:
    from fastha.config.dump import dump
    from fastha.config.load import load

    for line in dump(load(options.file, options.config_id).config).splitlines():
        log.info(line)


def _allow_cores(pattern: str) -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    if pattern:
        try:
            with open("/proc/sys/kernel/core_pattern", "w") as file:
                file.write(pattern)
        except OSError as error:
            raise SystemFault(f"core_pattern: {error.strerror or error}") from None


def _aim_log(options: Options) -> None:
    """Where every process of the daemon writes: they have stderr and the environment from here."""
    os.environ[FACILITY] = str(options.facility) if options.syslog else "none"
    if options.log_file:
        try:
            target = os.open(options.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise SystemFault(f"{options.log_file}: {error.strerror or error}") from None
    elif not options.console:
        target = os.open(os.devnull, os.O_WRONLY)
    else:
        return
    os.dup2(target, 2)
    os.close(target)


class Begun:
    """The end of a pipe on which the background tells the foreground how it began."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def tell_ok(self) -> None:
        self.tell(0)

    def tell(self, status: int) -> None:
        """Only the first word counts."""
        if self._descriptor >= 0:
            try:
                os.write(self._descriptor, bytes([status & 255]))
            except OSError:
                pass  # nobody waits
            os.close(self._descriptor)
            self._descriptor = -1


def _background() -> Begun | int:
    """Fork twice. In the background a Begun; in the foreground the status, once it is known."""
    read, write = os.pipe()
    sys.stdout.flush()
    if pid := os.fork():
        os.close(write)
        os.waitpid(pid, 0)
        word = os.read(read, 1)
        os.close(read)
        return word[0] if word else int(Exit.FAILED)
    os.close(read)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(null, descriptor)
    os.close(null)
    return Begun(write)


def entry() -> None:
    """The console script."""
    sys.exit(main())
