/* The checksum module's functions, for the decoders that import them. */

#include "fuzz.h"

#include "generated/checksum.c"

uint64_t fuzz_sum_words(const uint8_t *data, size_t size, uint64_t acc)
{
	return __pyx_f_6fastha_4wire_8checksum_sum_words(data, size, acc);
}

uint16_t fuzz_sum_fold(uint64_t acc)
{
	return __pyx_f_6fastha_4wire_8checksum_sum_fold(acc);
}
