"""Shell: a configuration file -> Loaded."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Callable, Set
from importlib import import_module
from random import Random

from fastha.config.build import build
from fastha.config.expand import Environment
from fastha.config.files import RealFiles
from fastha.config.keywords import SCRIPT_WORDS
from fastha.config.reader import Files, read
from fastha.config.tree import Faults, Tree
from fastha.config.warnings_host import Host
from fastha.errors import ConfigError, Fault, Severity
from fastha.lean import dataclass
from fastha.model import Config

DEFAULT_PATH = "/etc/keepalived/keepalived.conf"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a file says. `config` may run only if `ok`; `files` are all files read, in order."""

    config: Config
    faults: tuple[Fault, ...]
    files: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not any(f.severity is Severity.ERROR for f in self.faults)

    def checked(self) -> Config:
        """The configuration; ConfigError with all faults if it must not run."""
        if not self.ok:
            raise ConfigError(self.faults)
        return self.config


def load(
    path: str, config_id: str = "", host: Host | None = None, keepalived: bool = False, native: bool = False
) -> Loaded:
    """Read, build and check `path`; never raises for what is in the files. `config_id`: what @id lines compare with; ""
    means the first label of the host name, as in keepalived. `host`: warn of what this machine does not have, too;
    `keepalived`: and of what keepalived reads differently.

    `native`: this process may load compiled modules, and reading is faster for it. The daemon's parent must not; a
    command or a process that only reads may. The result is the same.
    """
    env = Environment(
        config_id=config_id or socket.gethostname().partition(".")[0],
        variables=os.environ,
        random=Random().randint,
    )
    # A large configuration is a million small objects that all live: collecting garbage meanwhile only costs time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        tree = (native_read() if native else read)(path, RealFiles(), SCRIPT_WORDS, env)
        if keepalived:
            _compare(tree)
        config, faults = build(tree, host)
    finally:
        if collecting:
            gc.enable()
    return Loaded(config, faults, tuple(tree.files))


def _compare(tree: Tree) -> None:
    """Add what keepalived would read differently to the faults of reading."""
    from fastha.config.keepalived import differences, text_differences

    faults = Faults()
    differences(tree.statements, faults)
    for path in dict.fromkeys(tree.files):
        try:
            with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as f:
                text_differences(path, f.read(), faults)
        except OSError:
            continue  # it was there a moment ago
    tree.faults += faults


def native_read() -> Callable[[str, Files, Set[str], Environment], Tree]:
    """The compiled reader; the one in Python where it was not built. Named at run time, so that importing this module
    never loads it."""
    try:
        compiled: Callable[[str, Files, Set[str], Environment], Tree] = import_module("fastha.config.native").read
    except ImportError:
        return read
    return compiled
