"""`fastha run`: the daemon."""

from __future__ import annotations

import argparse
import os

CONFIG_PATH = "/etc/keepalived/keepalived.conf"


def arguments(parser: argparse.ArgumentParser) -> None:
    from fastha.parent.protocol import CONTROL_PATH
    from fastha.parent.state import STATE_PATH

    parser.add_argument("-f", "--file", default=CONFIG_PATH, metavar="FILE", help=f"configuration ({CONFIG_PATH})")
    parser.add_argument(
        "--dataplane",
        choices=("auto", "ipvs", "nft", "none"),
        default="auto",
        help="what balances the load; auto: IPVS where the kernel has it, else nftables",
    )
    parser.add_argument("--control", default=CONTROL_PATH, metavar="PATH", help=f"control socket ({CONTROL_PATH})")
    parser.add_argument(
        "--state",
        default="",
        metavar="PATH",
        help=f"operators' decisions and what else outlives the daemon ({STATE_PATH}; with --control PATH.state)",
    )
    parser.add_argument(
        "--control-group",
        default="",
        metavar="GROUP",
        help="only members of this group, root and the daemon's user may connect to the control socket",
    )
    parser.add_argument(
        "--admin-group",
        default="",
        metavar="GROUP",
        help="members of this group may also change something over the control socket (without: only root)",
    )
    parser.add_argument("--pid-file", default="", metavar="PATH", help="write the process id there while it runs")
    parser.add_argument("-v", "--verbose", action="store_true", help="also log debug lines")


def main(options: argparse.Namespace) -> int:
    from fastha.log import Log
    from fastha.parent.daemon import Daemon

    _own_descriptors()
    log = Log("fastha", verbose=options.verbose)
    return Daemon(
        options.file,
        dataplane=options.dataplane,
        control_path=options.control,
        pid_path=options.pid_file,
        state_path=options.state,
        readers=options.control_group,
        admins=options.admin_group,
        log=log,
    ).run()


def _own_descriptors() -> None:
    """Whoever started us may have closed 0, 1 or 2 (a socket must not become anybody's stderr), and may have left
    others open (they are nothing for our children and scripts)."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            try:
                os.set_inheritable(int(name), False)
            except OSError:
                pass  # the one that read the directory
