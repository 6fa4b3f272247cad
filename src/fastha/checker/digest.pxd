"""MD5 of a reply's body, by libcrypto. A context is made once per check and used again for each reply."""

cdef void *md5_new() noexcept nogil                     # NULL: no memory, or this libcrypto has no MD5
cdef void md5_free(void *md5) noexcept nogil            # NULL is fine
cdef int md5_start(void *md5) noexcept nogil            # 1: ready for a new body; allocates nothing after the first
cdef int md5_update(void *md5, const void *data, size_t size) noexcept nogil    # 1
cdef int md5_end(void *md5, unsigned char *digest) noexcept nogil               # 1; writes 16 bytes
