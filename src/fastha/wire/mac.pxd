"""Keyed digests (HMAC, RFC 2104) by libcrypto. A context is made once for each key; using it allocates nothing."""

from libc.stdint cimport uint8_t

# `digest`: "MD5", "SHA256". NULL: no memory, or this libcrypto has no such digest (MD5 under a FIPS policy).
cdef void *mac_new(const char *digest, const uint8_t *key, size_t size) noexcept nogil
cdef void mac_free(void *mac) noexcept nogil                            # NULL is fine
cdef int mac_start(void *mac) noexcept nogil                            # 1: ready for another message
cdef int mac_update(void *mac, const void *data, size_t size) noexcept nogil    # 1
cdef int mac_end(void *mac, uint8_t *out) noexcept nogil                # 1; writes at most MAC_ROOM bytes
cdef bint mac_same(const uint8_t *a, const uint8_t *b, size_t size) noexcept nogil  # in a time that tells nothing

cdef enum:
    MAC_ROOM = 32               # of SHA-256
