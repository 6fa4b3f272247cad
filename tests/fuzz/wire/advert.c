/* Any bytes as an IP packet to the advert decoder; what it takes must survive being encoded and decoded again. */

#include "fuzz.h"

#include "generated/advert.c"

typedef struct __pyx_t_6fastha_4wire_6advert_advert_t advert_t;

#define decode __pyx_f_6fastha_4wire_6advert_advert_decode
#define encode __pyx_f_6fastha_4wire_6advert_advert_encode
#define set_priority __pyx_f_6fastha_4wire_6advert_advert_set_priority

enum { OK = 0, CHECKSUM = 7, VERDICTS = 8, MAX = 1056 };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	__pyx_f_6fastha_4wire_8checksum_sum_words = fuzz_sum_words;
	__pyx_f_6fastha_4wire_8checksum_sum_fold = fuzz_sum_fold;
	return 0;
}

static void taken(const uint8_t *packet, size_t size, advert_t *a)
{
	uint8_t again[MAX];
	advert_t b;
	int written;

	MUST(a->addresses >= packet && a->addresses + 4 * (size_t)a->count <= packet + size);
	MUST(a->auth == NULL || (a->auth >= packet && a->auth + 8 <= packet + size));
	MUST(a->version == 2 || (a->version == 3 && a->count > 0 && a->auth == NULL));
	written = encode(again, sizeof again, a);
	MUST(written > 0);
	MUST(encode(again, (size_t)written - 1, a) == -1);
	MUST(decode(again, (size_t)written, 0, &b) == OK);
	MUST(a->src == b.src && a->dst == b.dst && a->ttl == b.ttl && a->version == b.version && a->vrid == b.vrid);
	MUST(a->priority == b.priority && a->adver_cs == b.adver_cs && a->count == b.count);
	MUST(memcmp(a->addresses, b.addresses, 4 * (size_t)a->count) == 0);
	MUST(a->version == 3 || memcmp(a->auth, b.auth, 8) == 0);
	set_priority(again, (uint8_t)~a->priority);
	MUST(decode(again, (size_t)written, 0, &b) == OK && b.priority == (uint8_t)~a->priority);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	advert_t a;
	int verdict;

	if (size == 0)
		return 0;
	verdict = decode(data + 1, size - 1, data[0] & 1, &a);
	MUST(verdict >= OK && verdict < VERDICTS);
	if (verdict == OK)
		taken(data + 1, size - 1, &a);
	if (verdict == CHECKSUM) { /* what a fuzzer hardly finds by itself: the same with the right checksum */
		size_t header = (size_t)(data[1] & 15) * 4, total = (size_t)data[3] << 8 | data[4];
		uint8_t *copy = malloc(size - 1);
		uint64_t acc = 0;
		uint16_t folded;

		MUST(copy != NULL);
		memcpy(copy, data + 1, size - 1);
		memset(copy + header + 6, 0, 2);
		if (copy[header] >> 4 == 3) {
			uint8_t pseudo[12] = {0};
			memcpy(pseudo, copy + 12, 8);
			pseudo[9] = 112;
			pseudo[10] = (uint8_t)((total - header) >> 8);
			pseudo[11] = (uint8_t)(total - header);
			acc = fuzz_sum_words(pseudo, sizeof pseudo, 0);
		}
		folded = fuzz_sum_fold(fuzz_sum_words(copy + header, total - header, acc));
		memcpy(copy + header + 6, &folded, 2);
		MUST(decode(copy, size - 1, data[0] & 1, &a) == OK);
		taken(copy, size - 1, &a);
		free(copy);
	}
	return 0;
}
