/* The keyed digests of libcrypto, for the decoders that import them. */

#include "fuzz.h"

#include "generated/mac.c"

void *fuzz_mac_new(const char *digest, const uint8_t *key, size_t size)
{
	return __pyx_f_6fastha_4wire_3mac_mac_new(digest, key, size);
}

int fuzz_mac_start(void *mac)
{
	return __pyx_f_6fastha_4wire_3mac_mac_start(mac);
}

int fuzz_mac_update(void *mac, const void *data, size_t size)
{
	return __pyx_f_6fastha_4wire_3mac_mac_update(mac, data, size);
}

int fuzz_mac_end(void *mac, uint8_t *out)
{
	return __pyx_f_6fastha_4wire_3mac_mac_end(mac, out);
}

int fuzz_mac_same(const uint8_t *a, const uint8_t *b, size_t size)
{
	return __pyx_f_6fastha_4wire_3mac_mac_same(a, b, size);
}
