"""What tests and prebuilding code see of the checksum; native rooms use checksum.pxd."""

from typing_extensions import Buffer

def checksum(*parts: Buffer) -> int:
    """The Internet checksum (RFC 1071) of the parts one after another, 0..65535 as it is written on the wire.

    ValueError if a part other than the last has an odd length.
    """
