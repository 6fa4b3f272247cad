def md5(data: bytes) -> bytes:
    """The 16 bytes the probe engine computes for a body. OSError if libcrypto has no MD5."""
