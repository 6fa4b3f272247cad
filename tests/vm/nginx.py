"""A real nginx in a namespace, for tests that want a real server they did not write."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

CONF = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{ listen {port}; {more} location / {{ return 200 "{name} for $remote_addr\\n"; }} }}
}}
"""


class Server:
    """nginx in `namespace`; it answers every path with "NAME for CLIENT". `kill` and `revive` at will."""

    def __init__(self, folder: Path, namespace: str, name: str, port: int, more: str = "") -> None:
        folder.mkdir(exist_ok=True)
        conf, self._down, self._pid = folder / "nginx.conf", folder / "down", folder / "nginx.pid"
        conf.write_text(CONF.format(folder=folder, name=name, port=port, more=more))
        nginx = f"nginx -p {folder} -c {conf} -e {folder}/error.log"
        # One keeper for the whole life: nginx itself comes and goes beneath it.
        keeper = f"while :; do [ -e {self._down} ] || {nginx}; sleep 0.05; done"
        self._keeper = subprocess.Popen(["ip", "netns", "exec", namespace, "sh", "-c", keeper], start_new_session=True)

    def kill(self) -> None:
        """SIGKILL: it is gone without a word, and stays away."""
        self._down.touch()
        os.kill(int(self._pid.read_text()), signal.SIGKILL)

    def revive(self) -> None:
        self._down.unlink()

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._keeper.pid, signal.SIGKILL)
        self._keeper.wait()
