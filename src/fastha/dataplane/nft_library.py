"""libnftables and the ruleset's generation (shell): the only two ways this backend talks to the kernel.

Source: nftables/libnftables.h (libnftables.so.1, nftables 0.9.1 and later); linux/netfilter/nf_tables.h.
Both sockets belong to the network namespace in which the object was made.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import socket
import struct
from typing import Any

from fastha.errors import SystemFault

LIBRARY = "libnftables.so.1"
OUTPUT_STATELESS, OUTPUT_JSON = 1 << 2, 1 << 4  # NFT_CTX_OUTPUT_*
OUTPUT_NUMERIC_ALL = (1 << 7) | (1 << 8) | (1 << 9) | (1 << 10)

ERRNO = {os.strerror(code): code for code in errno.errorcode}
REASON = re.compile(r"(?:Error: )?(?:(?:Could not process rule|cache initialization failed): )?([^\n]+)")


class NftError(OSError):
    """The kernel or libnftables refused a command: `errno`, and the first line of what was said."""


def _load() -> ctypes.CDLL:
    try:
        lib = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise SystemFault(f"nft dataplane: cannot load {LIBRARY} (Debian package libnftables1): {error}") from None
    context, text = ctypes.c_void_p, ctypes.c_char_p
    for name, result, arguments in (
        ("nft_ctx_new", context, [ctypes.c_uint32]),
        ("nft_ctx_free", None, [context]),
        ("nft_ctx_set_dry_run", None, [context, ctypes.c_bool]),
        ("nft_ctx_output_set_flags", None, [context, ctypes.c_uint]),
        ("nft_ctx_buffer_output", ctypes.c_int, [context]),
        ("nft_ctx_buffer_error", ctypes.c_int, [context]),
        ("nft_ctx_get_output_buffer", text, [context]),
        ("nft_ctx_get_error_buffer", text, [context]),
        ("nft_run_cmd_from_buffer", ctypes.c_int, [context, text]),
    ):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


class Library:
    """One libnftables context. SystemFault if the library is missing or makes none."""

    def __init__(self) -> None:
        self._lib: Any = _load()
        self._context = self._lib.nft_ctx_new(0)
        if (
            not self._context
            or self._lib.nft_ctx_buffer_output(self._context)
            or self._lib.nft_ctx_buffer_error(self._context)
        ):
            raise SystemFault(f"nft dataplane: {LIBRARY} cannot make a context")

    def run(self, commands: str, *, output: int = 0, check: bool = False) -> str:
        """Run commands as one atomic transaction and return what they print. `check`: the kernel judges but keeps
        nothing. NftError if refused; nothing was changed then."""
        self._lib.nft_ctx_output_set_flags(self._context, output)
        self._lib.nft_ctx_set_dry_run(self._context, check)
        result = self._lib.nft_run_cmd_from_buffer(self._context, commands.encode())
        # Both are fetched every time: fetching is what empties the buffers.
        printed = self._lib.nft_ctx_get_output_buffer(self._context) or b""
        complaint = self._lib.nft_ctx_get_error_buffer(self._context) or b""
        if result:
            raise refusal(complaint.decode(errors="replace"))
        return bytes(printed).decode()

    def close(self) -> None:
        if self._context:
            self._lib.nft_ctx_free(self._context)
            self._context = None


def refusal(complaint: str) -> NftError:
    """libnftables reports errors only as text; find the errno in it (EINVAL if it does not say)."""
    start = max(complaint.find("Error: "), 0)  # a place in the input may stand before it
    found = REASON.match(complaint, start)
    reason = found[1][:200] if found else "libnftables refused without a reason"
    code = next((c for text, c in ERRNO.items() if reason.startswith(text)), errno.EINVAL)
    return NftError(code, reason)


NETLINK_NETFILTER = 12  # linux/netlink.h
NFNL_SUBSYS_NFTABLES, NFT_MSG_GETGEN, NFTA_GEN_ID = 10, 16, 1
NLMSG_ERROR, NLM_F_REQUEST = 2, 1


class Generation:
    """Asks for the ruleset's generation, which the kernel counts up by one for each committed transaction."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        self._socket.settimeout(5)

    def read(self) -> int:
        """OSError: EPERM without CAP_NET_ADMIN, EINVAL or EOPNOTSUPP from a kernel without nf_tables."""
        # nlmsghdr, then nfgenmsg {family, version, res_id}
        self._socket.send(
            struct.pack("=IHHIIBBH", 20, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN, NLM_F_REQUEST, 0, 0, 0, 0, 0)
        )
        answer = self._socket.recv(4096)
        if struct.unpack_from("=H", answer, 4)[0] == NLMSG_ERROR:
            code = -struct.unpack_from("=i", answer, 16)[0]
            raise OSError(code, os.strerror(code))
        offset = 20
        while offset + 4 <= len(answer):
            length, kind = struct.unpack_from("=HH", answer, offset)
            if kind == NFTA_GEN_ID:
                return int(struct.unpack_from("!I", answer, offset + 4)[0])
            offset += max(4, (length + 3) & ~3)
        raise OSError(errno.EPROTO, "nf_tables answered without a generation")

    def close(self) -> None:
        self._socket.close()
