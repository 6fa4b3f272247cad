"""Shell: a configuration file -> Loaded."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Set
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

from fastha.config.build import build
from fastha.config.expand import Environment
from fastha.config.files import RealFiles
from fastha.config.keywords import SCRIPT_WORDS
from fastha.config.mould import Cast, CastValues
from fastha.config.reader import Files, read
from fastha.config.tree import EnoughFaults, Tree
from fastha.errors import ConfigError, Fault, Severity
from fastha.lean import dataclass
from fastha.model import Config

if TYPE_CHECKING:
    from fastha.config.warnings_host import Host

DEFAULT_PATH = "/etc/keepalived/keepalived.conf"
Look = Callable[[Tree, Environment], object]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a file says. `config` may run only if `ok`; `files` are all files read, in order."""

    config: Config
    faults: tuple[Fault, ...]
    files: tuple[str, ...]

    @property
    def errors(self) -> list[Fault]:
        """Those of `faults` that keep it from running."""
        return [f for f in self.faults if f.severity is Severity.ERROR]

    @property
    def ok(self) -> bool:
        return not self.errors

    def checked(self) -> Config:
        """The configuration; ConfigError with all faults if it must not run."""
        if not self.ok:
            raise ConfigError(self.faults)
        return self.config


def load(
    path: str,
    config_id: str = "",
    native: bool = False,
    host: Host | None = None,
    look: Look | None = None,
    files: Files | None = None,
) -> Loaded:
    """Read, build and check `path`; never raises for what is in the files. `config_id`: what @id lines compare with; ""
    means the first label of the host name, as in keepalived.

    `native`: this process may load compiled modules, and reading is faster for it. The daemon's parent must not; a
    command or a process that only reads may. The result is the same. `host`: also warn of what this machine does not
    have. `look(tree, env)`: adds to the tree's faults before it is built. `files`: where the text comes from, if not
    from the file system as it is.
    """
    env = Environment(
        config_id=config_id or os.uname().nodename.partition(".")[0],
        variables=os.environ,
        random=_random,
    )
    # A large configuration is a million small objects that all live: collecting garbage meanwhile only costs time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        tree = (native_read() if native else read)(path, files or RealFiles(), SCRIPT_WORDS, env)
        if look is not None and tree.complete:
            with suppress(EnoughFaults):
                look(tree, env)
        config, faults = build(tree, host, values=native_values() if native else Cast)
    finally:
        if collecting:
            gc.enable()
    return Loaded(config, faults, tuple(tree.files))


def native_read() -> Callable[[str, Files, Set[str], Environment], Tree]:
    """The compiled reader; the one in Python where it was not built. Named at run time, so that importing this module
    never loads it."""
    try:
        compiled: Callable[[str, Files, Set[str], Environment], Tree] = import_module("fastha.config.native").read
    except ImportError:
        return read
    return compiled


def native_values() -> CastValues:
    """What makes values like others, compiled where it was built."""
    try:
        compiled: CastValues = import_module("fastha.config.cast").Cast
    except ImportError:
        return Cast
    return compiled


def _random(low: int, high: int) -> int:
    from random import SystemRandom  # hardly any configuration asks for it

    return SystemRandom().randint(low, high)
