"""Shell: a configuration file -> Loaded, with everything that can be said about it. For `fastha check`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fastha.config import warnings_peers
from fastha.config.expand import Environment
from fastha.config.files import RealFiles
from fastha.config.keywords import SCRIPT_WORDS
from fastha.config.load import Loaded, load, native_read
from fastha.config.tree import Faults, Tree
from fastha.lean import replace

if TYPE_CHECKING:
    from fastha.config.warnings_host import Host


def examine(path: str, config_id: str = "", host: Host | None = None, keepalived: bool = False) -> Loaded:
    """As `load`, and: what the file says to other directors that share it; with `host`, what this machine does not
    have; with `keepalived`, what that would read differently."""

    files = _Kept()

    def look(tree: Tree, env: Environment) -> None:
        faults = Faults()
        texts = {name: files.data[name].decode("utf-8", "surrogateescape") for name in dict.fromkeys(tree.files)}
        _peers(path, texts.values(), env, faults)
        if keepalived:
            from fastha.config.keepalived import differences, text_differences

            differences(tree.statements, faults)
            for name, text in texts.items():
                text_differences(name, text, faults)
        tree.faults += faults

    return load(path, config_id, native=True, host=host, look=look, files=files)


class _Kept(RealFiles):
    """Keeps what was read: it is looked at again as text."""

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}

    def read(self, path: str) -> bytes:
        data = self.data[path] = super().read(path)
        return data


def _peers(path: str, texts: Iterable[str], env: Environment, faults: Faults) -> None:
    """Read it once for each director that it names."""
    names = warnings_peers.directors(texts)
    if names:
        read = native_read()
        trees = {n: read(path, RealFiles(), SCRIPT_WORDS, replace(env, config_id=n)) for n in names}
        warnings_peers.advise({name: warnings_peers.instances_of(tree) for name, tree in trees.items()}, faults)
