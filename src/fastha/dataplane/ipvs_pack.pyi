"""Operations -> `struct fha_ipvs_op[]` of csrc/fha_ipvs.h, in bulk."""

from typing import Any

from fastha.dataplane.rows import Op

def fill_ops(room: Any, ops: list[Op]) -> None:
    """Write `ops` (a list) over the first structs of `room`, a writable buffer; zeros where an operation says nothing.

    ValueError: too little room, a text that is no address, a name longer than 15 bytes. OverflowError: a number that
    its field does not hold.
    """
