"""The checks of a real server, each kind built by its own file."""

from __future__ import annotations

from collections.abc import Callable

from fastha.config.build_bfd import build_bfd_check
from fastha.config.build_dns import build_dns
from fastha.config.build_file import build_file
from fastha.config.build_grpc import build_grpc
from fastha.config.build_http import build_http
from fastha.config.build_misc import build_misc
from fastha.config.build_ping import build_ping
from fastha.config.build_smtp import build_smtp
from fastha.config.build_ssl import build_ssl
from fastha.config.build_tcp import build_tcp
from fastha.config.build_udp import build_udp
from fastha.config.inherit import Timing
from fastha.config.item import Item
from fastha.config.tree import Faults
from fastha.model import Check

# kind: (its block, the real server's address and port, what it inherits, faults) -> the check, None if it cannot be
BUILDERS: dict[str, Callable[[Item, str, int, Timing, Faults], Check | None]] = {
    "TCP_CHECK": build_tcp,
    "HTTP_GET": build_http,
    "MISC_CHECK": build_misc,
    "FILE_CHECK": build_file,
    "UDP_CHECK": build_udp,
    "DNS_CHECK": build_dns,
    "PING_CHECK": build_ping,
    "BFD_CHECK": build_bfd_check,
    "SSL_GET": build_ssl,
    "SMTP_CHECK": build_smtp,
    "GRPC_CHECK": build_grpc,
}
