"""The real daemon with fake children and a configuration in JSON: python daemon.py CONFIG CONTROL [PID_FILE].

Fake children start and answer at once, so the daemon waits for neither as long as for real ones.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from fastha.log import Log
from fastha.model.units import NS_PER_S
from fastha.parent import reading, watchdog

watchdog.START_NS = watchdog.PREPARE_NS = 4 * NS_PER_S
reading.SILENCE_NS = 2 * NS_PER_S

from fastha.parent.daemon import Daemon  # noqa: E402
from fastha.parent.spawn import PROCESSES  # noqa: E402

CHILD, READING = (str(Path(__file__).with_name(name)) for name in ("child.py", "reading.py"))


if __name__ == "__main__":
    table = [replace(p, argv=(CHILD, p.role)) for p in PROCESSES]
    daemon = Daemon(
        sys.argv[1],
        reading=(READING,),
        dataplane="none",
        control_path=sys.argv[2],
        pid_path=sys.argv[3] if len(sys.argv) > 3 else "",
        log=Log("fastha", syslog="", verbose=True),
        processes=table,
    )
    sys.exit(daemon.run())
