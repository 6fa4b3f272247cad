/* The ether module's function, for the encoder that imports it. */

#include "fuzz.h"

#include "generated/ether.c"

void fuzz_ether(uint8_t *frame, const uint8_t *dst, const uint8_t *src, uint16_t ethertype)
{
	__pyx_f_6fastha_4wire_5ether_ether_encode(frame, dst, src, ethertype);
}
