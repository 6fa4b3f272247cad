/* Any bytes as an IP packet to the decoder of authentication headers. What it takes has no right digest until it is
 * signed; signed, it bears a change of the fields that routers change, and no other. The first four bytes are the
 * number it is signed with, the next two say which byte changes. */

#include "fuzz.h"

#include "generated/ah.c"

typedef struct __pyx_t_6fastha_4wire_2ah_ah_t ah_t;

#define decode __pyx_f_6fastha_4wire_2ah_ah_decode
#define right __pyx_f_6fastha_4wire_2ah_ah_right
#define sign __pyx_f_6fastha_4wire_2ah_ah_sign

enum { OK = 0, VERDICTS = 4, HEADERS = 44, CHOICES = 6 };

static void *md5;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	__pyx_f_6fastha_4wire_8checksum_sum_words = fuzz_sum_words;
	__pyx_f_6fastha_4wire_8checksum_sum_fold = fuzz_sum_fold;
	__pyx_f_6fastha_4wire_3mac_mac_start = fuzz_mac_start;
	__pyx_f_6fastha_4wire_3mac_mac_update = fuzz_mac_update;
	__pyx_f_6fastha_4wire_3mac_mac_end = fuzz_mac_end;
	__pyx_f_6fastha_4wire_3mac_mac_same = fuzz_mac_same;
	md5 = fuzz_mac_new("MD5", (const uint8_t *)"secret", 6);
	MUST(md5 != NULL);
	return 0;
}

/* RFC 2402 section 3.3.3.1.1: TOS, flags and fragment, checksum; the TTL but for multicast. */
static int mutable(const uint8_t *packet, size_t at)
{
	return at == 1 || at == 6 || at == 7 || at == 10 || at == 11 || (at == 8 && packet[16] >> 4 != 14);
}

static void change(uint8_t *packet, size_t size, size_t at)
{
	ah_t b;
	int verdict;

	packet[at] ^= 0x40;
	verdict = decode(packet, size, &b);
	MUST(verdict >= OK && verdict < VERDICTS);
	if (verdict == OK)
		MUST(right(md5, packet, &b) == mutable(packet, at));
	packet[at] ^= 0x40;
}

static void taken(const uint8_t *packet, size_t total, uint32_t sequence, size_t which)
{
	uint8_t *copy = malloc(total); /* no byte more: what is behind the packet is not read */
	ah_t a, b;

	MUST(copy != NULL);
	memcpy(copy, packet, total);
	MUST(decode(copy, total, &a) == OK);
	MUST(a.payload == copy + HEADERS && a.size == total - HEADERS && a.icv == a.payload - 12);
	sign(md5, copy, sequence);
	MUST(decode(copy, total, &b) == OK && b.sequence == sequence && b.size == a.size);
	MUST(right(md5, copy, &b) && (copy[4] | copy[5]) != 0);
	MUST(fuzz_sum_fold(fuzz_sum_words(copy, 20, 0)) == 0);
	MUST(memcmp(copy + HEADERS, packet + HEADERS, b.size) == 0);
	change(copy, total, which % total);
	change(copy, total, which % HEADERS);
	free(copy);
}

/* What a fuzzer hardly finds by itself: the same with the headers that are asked for. */
static void mended(const uint8_t *packet, size_t size, uint32_t sequence, size_t which)
{
	uint8_t *copy = malloc(size);

	MUST(copy != NULL);
	memcpy(copy, packet, size);
	copy[0] = 0x45;
	copy[2] = (uint8_t)(size >> 8);
	copy[3] = (uint8_t)size;
	memset(copy + 6, 0, 2);
	copy[9] = 51;
	copy[20] = 112;
	copy[21] = 4;
	memcpy(copy + 24, copy + 12, 4);
	taken(copy, size, sequence, which);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *packet = data + CHOICES;
	size_t which;
	ah_t a;
	uint32_t sequence;
	int verdict;

	if (size < CHOICES)
		return 0;
	memcpy(&sequence, data, sizeof sequence);
	which = (size_t)data[4] << 8 | data[5];
	size -= CHOICES;
	verdict = decode(packet, size, &a);
	MUST(verdict >= OK && verdict < VERDICTS);
	if (verdict == OK) {
		MUST(HEADERS + a.size <= size);
		(void)right(md5, packet, &a);
		taken(packet, HEADERS + a.size, sequence, which);
	} else if (size >= HEADERS) {
		mended(packet, size, sequence, which);
	}
	return 0;
}
