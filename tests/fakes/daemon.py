"""The real daemon with fake children and a configuration in JSON: python daemon.py CONFIG CONTROL [PID_FILE].

Fake children start and answer at once, so the daemon waits for neither as long as for real ones.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from fastha.errors import Fault, Severity
from fastha.log import Log
from fastha.model import Config
from fastha.model.codec import read
from fastha.model.units import NS_PER_S
from fastha.parent import watchdog

watchdog.START_NS = watchdog.PREPARE_NS = 4 * NS_PER_S

from fastha.parent.daemon import Daemon  # noqa: E402
from fastha.parent.spawn import PROCESSES  # noqa: E402

CHILD = str(Path(__file__).with_name("child.py"))


@dataclass(frozen=True)
class Loaded:
    config: Config | None
    faults: tuple[Fault, ...]
    files: tuple[str, ...]
    ok: bool


def load(path: str) -> Loaded:
    try:
        return Loaded(read(Config, json.loads(Path(path).read_text())), (), (path,), True)
    except json.JSONDecodeError as error:
        fault = Fault(Severity.ERROR, path, error.lineno, error.colno, error.msg)
        return Loaded(None, (fault,), (path,), False)


if __name__ == "__main__":
    table = [replace(p, argv=(CHILD, p.role)) for p in PROCESSES]
    daemon = Daemon(
        sys.argv[1],
        load,
        dataplane="none",
        control_path=sys.argv[2],
        pid_path=sys.argv[3] if len(sys.argv) > 3 else "",
        log=Log("fastha", syslog="", verbose=True),
        processes=table,
    )
    sys.exit(daemon.run())
