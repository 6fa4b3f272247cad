/* Any addresses and any room to the encoder of neighbour advertisements: it writes what fits, and only that, each with a
 * checksum that is right. */

#include "fuzz.h"

#include "generated/na.c"

#define encode __pyx_f_6fastha_4wire_2na_na_encode

enum { FRAME = 86 };

void fuzz_ether(uint8_t *frame, const uint8_t *dst, const uint8_t *src, uint16_t ethertype);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	__pyx_f_6fastha_4wire_5ether_ether_encode = fuzz_ether;
	__pyx_f_6fastha_4wire_8checksum_sum_words = fuzz_sum_words;
	__pyx_f_6fastha_4wire_8checksum_sum_fold = fuzz_sum_fold;
	return 0;
}

static void look(const uint8_t *frame, const uint8_t *mac, const uint8_t *ip, int router)
{
	static const uint8_t everybody[] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
	static const uint8_t head[] = {0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255};
	uint8_t pseudo[40] = {0};

	MUST(memcmp(frame, "\x33\x33\0\0\0\1", 6) == 0 && memcmp(frame + 6, mac, 6) == 0);
	MUST(memcmp(frame + 12, head, sizeof head) == 0 && memcmp(frame + 22, ip, 16) == 0);
	MUST(memcmp(frame + 38, everybody, 16) == 0 && frame[54] == 136 && frame[55] == 0);
	MUST(frame[58] == (router ? 0xa0 : 0x20) && memcmp(frame + 62, ip, 16) == 0);
	MUST(frame[78] == 2 && frame[79] == 1 && memcmp(frame + 80, mac, 6) == 0);
	memcpy(pseudo, frame + 22, 32);
	pseudo[35] = 32;
	pseudo[39] = 58;
	MUST(fuzz_sum_fold(fuzz_sum_words(frame + 54, 32, fuzz_sum_words(pseudo, sizeof pseudo, 0))) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t room, count;
	uint8_t *out;
	ssize_t written;

	if (size < 9)
		return 0;
	room = (size_t)data[0] << 8 | data[1];
	count = (size - 9) / 16;
	out = malloc(room + 1);
	MUST(out != NULL);
	memset(out, 0xa5, room + 1);
	written = encode(out, room, data + 3, data + 9, count, data[2] & 1);
	if (written < 0) {
		MUST(room < count * FRAME && out[0] == 0xa5);
		written = 0;
	} else {
		MUST((size_t)written == count * FRAME && (size_t)written <= room);
	}
	for (size_t i = 0; i < (size_t)written / FRAME; i++)
		look(out + i * FRAME, data + 3, data + 9 + 16 * i, data[2] & 1);
	MUST(out[written] == 0xa5);
	free(out);
	return 0;
}
