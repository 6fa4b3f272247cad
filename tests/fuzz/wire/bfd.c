/* Any bytes as a datagram to the decoder of BFD Control packets; what it takes must survive being encoded and decoded. */

#include "fuzz.h"

#include "generated/bfd.c"

typedef struct __pyx_t_6fastha_4wire_3bfd_bfd_t bfd_t;

#define decode __pyx_f_6fastha_4wire_3bfd_bfd_decode
#define encode __pyx_f_6fastha_4wire_3bfd_bfd_encode

enum { OK = 0, VERDICTS = 8, SIZE = 24, AUTH = 4, MULTIPOINT = 1 };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bfd_t a, b;
	uint8_t again[SIZE];
	int verdict = decode(data, size, &a);

	MUST(verdict >= OK && verdict < VERDICTS);
	if (verdict != OK)
		return 0;
	/* RFC 5880 section 6.8.6, said once more */
	MUST(size >= SIZE && data[0] >> 5 == 1 && data[3] <= size && data[3] >= (a.flags & AUTH ? 26 : SIZE));
	MUST(a.multiplier != 0 && a.mine != 0 && !(a.flags & MULTIPOINT) && (a.yours != 0 || a.state <= 1));
	encode(again, &a);
	MUST(memcmp(again, data, 3) == 0 && again[3] == SIZE && memcmp(again + 4, data + 4, SIZE - 4) == 0);
	again[1] &= (uint8_t)~AUTH;
	a.flags &= (uint8_t)~AUTH;
	MUST(decode(again, SIZE, &b) == OK);
	MUST(a.mine == b.mine && a.yours == b.yours && a.min_tx_us == b.min_tx_us && a.min_rx_us == b.min_rx_us);
	MUST(a.state == b.state && a.diag == b.diag && a.flags == b.flags && a.multiplier == b.multiplier);
	return 0;
}
