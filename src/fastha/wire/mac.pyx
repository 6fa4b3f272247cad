cdef extern from "openssl/evp.h" nogil:
    ctypedef struct EVP_MAC:
        pass
    ctypedef struct EVP_MAC_CTX:
        pass
    ctypedef struct OSSL_PARAM:
        pass
    EVP_MAC *EVP_MAC_fetch(void *library, const char *name, const char *properties)
    void EVP_MAC_free(EVP_MAC *mac)
    EVP_MAC_CTX *EVP_MAC_CTX_new(EVP_MAC *mac)
    void EVP_MAC_CTX_free(EVP_MAC_CTX *ctx)
    int EVP_MAC_init(EVP_MAC_CTX *ctx, const unsigned char *key, size_t size, const OSSL_PARAM *params)
    int EVP_MAC_update(EVP_MAC_CTX *ctx, const unsigned char *data, size_t size)
    int EVP_MAC_final(EVP_MAC_CTX *ctx, unsigned char *out, size_t *size, size_t room)

cdef extern from "openssl/params.h" nogil:
    OSSL_PARAM OSSL_PARAM_construct_utf8_string(const char *key, char *text, size_t size)
    OSSL_PARAM OSSL_PARAM_construct_end()

cdef extern from "openssl/crypto.h" nogil:
    int CRYPTO_memcmp(const void *a, const void *b, size_t size)


cdef void *mac_new(const char *digest, const uint8_t *key, size_t size) noexcept nogil:
    cdef OSSL_PARAM params[2]
    cdef EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL)
    cdef EVP_MAC_CTX *ctx
    if mac == NULL:
        return NULL
    ctx = EVP_MAC_CTX_new(mac)
    EVP_MAC_free(mac)                       # the context holds it
    params[0] = OSSL_PARAM_construct_utf8_string("digest", <char *>digest, 0)
    params[1] = OSSL_PARAM_construct_end()
    if ctx != NULL and EVP_MAC_init(ctx, key, size, params) != 1:
        EVP_MAC_CTX_free(ctx)
        return NULL
    return ctx


cdef void mac_free(void *mac) noexcept nogil:
    EVP_MAC_CTX_free(<EVP_MAC_CTX *>mac)


cdef int mac_start(void *mac) noexcept nogil:
    return EVP_MAC_init(<EVP_MAC_CTX *>mac, NULL, 0, NULL)      # NULL: the key it has already


cdef int mac_update(void *mac, const void *data, size_t size) noexcept nogil:
    return EVP_MAC_update(<EVP_MAC_CTX *>mac, <const unsigned char *>data, size)


cdef int mac_end(void *mac, uint8_t *out) noexcept nogil:
    cdef size_t written
    return EVP_MAC_final(<EVP_MAC_CTX *>mac, out, &written, MAC_ROOM)


cdef bint mac_same(const uint8_t *a, const uint8_t *b, size_t size) noexcept nogil:
    return CRYPTO_memcmp(a, b, size) == 0
