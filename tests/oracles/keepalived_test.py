"""`keepalived -t` on many texts: its exit status and what it complains of, by line.

Exit statuses (2.2.7): 0 clean; 4 the configuration could not be read; 5 it would run, having ignored or corrected
something; 6 scripts would run as root without enable_script_security (hides 5); 2 it gave up at a keyword without its
value; negative: it crashed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from fastha.lab.netns import Namespace

LINE = re.compile(r"\((?:[^()]*: )?Line (\d+)\) (.*)")
NOISE = "SECURITY VIOLATION"
KEEPALIVED = shutil.which("keepalived") or ("/usr/sbin/keepalived" if Path("/usr/sbin/keepalived").exists() else "")
TEST = ("-G", "-t")  # where no syslog listens, each line without -G goes to the console, which stops the machine


@dataclass
class Verdict:
    """`lines`: messages by line number. `rest`: those without."""

    status: int
    lines: dict[int, list[str]] = field(default_factory=dict)
    rest: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return self.status in (0, 6) and not self.lines and not self.rest

    @property
    def crashed(self) -> bool:
        return self.status < 0

    @property
    def runs(self) -> bool:
        return self.status in (0, 5, 6)

    def __str__(self) -> str:
        lines = [f"{n}: {m}" for n, messages in sorted(self.lines.items()) for m in messages]
        return "\n".join([f"status {self.status}", *lines, *self.rest])


class Judges:
    """Two threads, and a namespace that has eth0 and eth1; each verdict is one process."""

    def __init__(self) -> None:
        self.namespace = Namespace.create("conf")
        self.namespace.ip("link add eth0 type veth peer name eth1", "link set eth0 up", "link set eth1 up",
                          "addr add 192.168.77.1/24 dev eth0", "addr add 192.168.78.1/24 dev eth1")  # fmt: skip
        self.pool = ThreadPoolExecutor(2)

    def judge(self, path: Path, *options: str) -> Verdict:
        """What keepalived says of a file."""
        command = [KEEPALIVED, *TEST, *options, "-f", str(path)]
        with self.namespace.entered():
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, check=False)
        verdict = Verdict(done.returncode)
        for message in (done.stdout + done.stderr).splitlines():
            if match := LINE.match(message):
                verdict.lines.setdefault(int(match[1]), []).append(match[2])
            elif message.strip() and NOISE not in message:
                verdict.rest.append(message)
        return verdict

    def close(self) -> None:
        self.pool.shutdown()
        self.namespace.delete()
