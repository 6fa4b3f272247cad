/* Any addresses and any room to the encoder of gratuitous ARP (nothing decodes ARP): it writes what fits, and only that. */

#include "fuzz.h"

#include "generated/arp.c"

#define encode __pyx_f_6fastha_4wire_3arp_garp_encode

enum { FRAME = 42 };

void fuzz_ether(uint8_t *frame, const uint8_t *dst, const uint8_t *src, uint16_t ethertype);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	__pyx_f_6fastha_4wire_5ether_ether_encode = fuzz_ether;
	__pyx_v_6fastha_4wire_3arp_FIXED = "\0\1\x08\0\6\4\0\1";
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t head[] = {0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1};
	size_t room, count;
	uint8_t *out;
	ssize_t written;

	if (size < 8)
		return 0;
	room = (size_t)data[0] << 8 | data[1];
	count = (size - 8) / 4;
	out = malloc(room + 1);
	MUST(out != NULL);
	memset(out, 0xa5, room + 1);
	written = encode(out, room, data + 2, data + 8, count);
	if (written < 0) {
		MUST(room < count * FRAME && out[0] == 0xa5);
		written = 0;
	} else {
		MUST((size_t)written == count * FRAME && (size_t)written <= room);
	}
	for (size_t i = 0; i < (size_t)written / FRAME; i++) {
		const uint8_t *frame = out + i * FRAME, *ip = data + 8 + 4 * i;
		MUST(memcmp(frame, "\xff\xff\xff\xff\xff\xff", 6) == 0 && memcmp(frame + 6, data + 2, 6) == 0);
		MUST(memcmp(frame + 12, head, sizeof head) == 0 && memcmp(frame + 22, data + 2, 6) == 0);
		MUST(memcmp(frame + 28, ip, 4) == 0 && memcmp(frame + 38, ip, 4) == 0);
	}
	MUST(out[written] == 0xa5);
	free(out);
	return 0;
}
