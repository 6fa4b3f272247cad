cdef extern from "openssl/evp.h" nogil:
    ctypedef struct EVP_MD_CTX:
        pass
    ctypedef struct EVP_MD:
        pass
    ctypedef struct ENGINE:
        pass
    EVP_MD_CTX *EVP_MD_CTX_new()
    void EVP_MD_CTX_free(EVP_MD_CTX *ctx)
    const EVP_MD *EVP_md5()
    int EVP_DigestInit_ex(EVP_MD_CTX *ctx, const EVP_MD *type, ENGINE *impl)
    int EVP_DigestUpdate(EVP_MD_CTX *ctx, const void *data, size_t size)
    int EVP_DigestFinal_ex(EVP_MD_CTX *ctx, unsigned char *digest, unsigned int *size)


cdef void *md5_new() noexcept nogil:
    cdef EVP_MD_CTX *ctx = EVP_MD_CTX_new()
    if ctx != NULL and EVP_DigestInit_ex(ctx, EVP_md5(), NULL) != 1:
        EVP_MD_CTX_free(ctx)
        return NULL
    return ctx


cdef void md5_free(void *md5) noexcept nogil:
    EVP_MD_CTX_free(<EVP_MD_CTX *>md5)


cdef int md5_start(void *md5) noexcept nogil:
    return EVP_DigestInit_ex(<EVP_MD_CTX *>md5, NULL, NULL)     # NULL: the type it has already


cdef int md5_update(void *md5, const void *data, size_t size) noexcept nogil:
    return EVP_DigestUpdate(<EVP_MD_CTX *>md5, data, size)


cdef int md5_end(void *md5, unsigned char *digest) noexcept nogil:
    return EVP_DigestFinal_ex(<EVP_MD_CTX *>md5, digest, NULL)


def md5(bytes data) -> bytes:
    cdef unsigned char digest[16]
    cdef void *ctx = md5_new()
    if ctx == NULL:
        raise OSError("libcrypto has no MD5")
    md5_start(ctx)
    md5_update(ctx, <const char *>data, len(data))
    md5_end(ctx, digest)
    md5_free(ctx)
    return digest[:16]
