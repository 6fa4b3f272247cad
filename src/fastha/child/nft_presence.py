"""Is there a table of nftables? (shell) Asked without libnftables, which would be 2 MB of a process for it.

Source: linux/netfilter/nfnetlink.h (struct nfgenmsg), linux/netfilter/nf_tables.h (NFT_MSG_GETTABLE).
"""

from __future__ import annotations

import socket
import struct

from fastha.link import rtnl

NETLINK_NETFILTER = 12
NFT_MSG_NEWTABLE, NFT_MSG_GETTABLE = 10 << 8, (10 << 8) + 1  # NFNL_SUBSYS_NFTABLES << 8 | the message
NFTA_TABLE_NAME = 1
NLM_F_REQUEST = 1
NFPROTO_IPV4, NFPROTO_IPV6 = 2, 10
WAIT = struct.pack("ll", 2, 0)


def has_table(name: str) -> bool:
    """Whether family ip or ip6 has a table of this name, in the network namespace of the caller. A kernel without
    nf_tables has none."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, WAIT)
            return any(_ask(sock, name, family) for family in (NFPROTO_IPV4, NFPROTO_IPV6))
    except OSError:
        return False


def _ask(sock: socket.socket, name: str, family: int) -> bool:
    nfgenmsg = struct.pack("=BxH", family, 0)
    body = nfgenmsg + rtnl.attribute(NFTA_TABLE_NAME, name.encode() + b"\0")
    sock.send(rtnl.message(NFT_MSG_GETTABLE, NLM_F_REQUEST, body))
    # The table, or an error: ENOENT, or EINVAL of a kernel that knows no tables.
    kind: int = struct.unpack_from("=IH", sock.recv(4096))[1]
    return kind == NFT_MSG_NEWTABLE
