"""libnftables, bound by ctypes (shell). Source: nftables/libnftables.h (libnftables.so.1, nftables 0.9.1 and later).

A context's socket belongs to the network namespace in which it was made.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
from typing import Any

from fastha.errors import SystemFault

LIBRARY = "libnftables.so.1"
OUTPUT_STATELESS, OUTPUT_JSON = 1 << 2, 1 << 4  # NFT_CTX_OUTPUT_*
OUTPUT_NUMERIC_ALL = (1 << 7) | (1 << 8) | (1 << 9) | (1 << 10)
OUTPUT_TERSE = 1 << 11  # without the elements of sets

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
