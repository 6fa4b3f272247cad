/* Any bytes as an IP packet (or, of IPv6, as payload with addresses and hop limit beside it) to the advert decoders; what
 * they take must survive being encoded and decoded again. The first byte says how: 1 the TTL is looked at, 2 IPv6,
 * 4 a trailer may follow. */

#include "fuzz.h"

#include "generated/advert.c"

typedef struct __pyx_t_6fastha_4wire_6advert_advert_t advert_t;

#define decode __pyx_f_6fastha_4wire_6advert_advert_decode
#define decode6 __pyx_f_6fastha_4wire_6advert_advert_decode6
#define decode_payload __pyx_f_6fastha_4wire_6advert_advert_decode_payload
#define sum_is __pyx_f_6fastha_4wire_6advert_advert_sum_is
#define encode __pyx_f_6fastha_4wire_6advert_advert_encode
#define set_priority __pyx_f_6fastha_4wire_6advert_advert_set_priority

enum { OK = 0, CHECKSUM = 7, VERDICTS = 8, MAX = 4128, ENDS6 = 33, TRAILER = 28 };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	__pyx_f_6fastha_4wire_8checksum_sum_words = fuzz_sum_words;
	__pyx_f_6fastha_4wire_8checksum_sum_fold = fuzz_sum_fold;
	return 0;
}

static int same(__typeof__(((advert_t *)0)->src) a, __typeof__(a) b)
{
	return a.high == b.high && a.low == b.low;
}

static int decode_again(const uint8_t *packet, size_t size, advert_t *a)
{
	if (packet[0] >> 4 == 6) /* its encoder writes the header too, its decoder never sees it */
		return decode6(packet + 40, size - 40, packet + 8, packet + 24, packet[7], 0, a);
	return decode(packet, size, 0, a);
}

static void taken(const uint8_t *packet, size_t size, advert_t *a)
{
	uint8_t again[MAX];
	advert_t b;
	int written;

	MUST(a->width == 4 || a->width == 16);
	MUST(a->addresses >= packet && a->addresses + a->width * (size_t)a->count <= packet + size);
	MUST(a->auth == NULL || (a->auth >= packet && a->auth + 8 <= packet + size));
	MUST((a->version == 2 && a->width == 4) || (a->version == 3 && a->auth == NULL));
	MUST(a->version == 2 || sum_is(a, 0, a->dst));
	written = encode(again, sizeof again, a);
	MUST(written > 0);
	MUST(encode(again, (size_t)written - 1, a) == -1);
	MUST(decode_again(again, (size_t)written, &b) == OK);
	MUST(same(a->src, b.src) && same(a->dst, b.dst) && a->width == b.width);
	MUST(a->ttl == b.ttl && a->version == b.version && a->vrid == b.vrid);
	MUST(a->priority == b.priority && a->adver_cs == b.adver_cs && a->count == b.count);
	MUST(memcmp(a->addresses, b.addresses, a->width * (size_t)a->count) == 0);
	MUST(a->version == 3 || memcmp(a->auth, b.auth, 8) == 0);
	set_priority(again, (uint8_t)~a->priority);
	MUST(decode_again(again, (size_t)written, &b) == OK && b.priority == (uint8_t)~a->priority);
	if (a->version == 3) {
		a->plain = 1;
		MUST(encode(again, sizeof again, a) == written);
		(void)decode_again(again, (size_t)written, &b);
		MUST(sum_is(&b, 1, b.dst));
		a->plain = 0;
	}
}

/* What a fuzzer hardly finds by itself: the same with the right checksum. `vrrp` lies in `copy`. */
static void mend(uint8_t *vrrp, size_t size, const uint8_t *ends, size_t width)
{
	uint8_t pseudo[36];
	uint64_t acc = 0;
	uint16_t folded;

	memset(vrrp + 6, 0, 2);
	if (vrrp[0] >> 4 == 3) {
		memcpy(pseudo, ends, 2 * width);
		pseudo[2 * width] = 0;
		pseudo[2 * width + 1] = 112;
		pseudo[2 * width + 2] = (uint8_t)(size >> 8);
		pseudo[2 * width + 3] = (uint8_t)size;
		acc = fuzz_sum_words(pseudo, 2 * width + 4, 0);
	}
	folded = fuzz_sum_fold(fuzz_sum_words(vrrp, size, acc));
	memcpy(vrrp + 6, &folded, 2);
}

static void try_six(const uint8_t *data, size_t size, int check)
{
	advert_t a;
	int verdict;
	const uint8_t *payload = data + ENDS6;
	uint8_t *copy;

	if (size < ENDS6)
		return;
	size -= ENDS6;
	verdict = decode6(payload, size, data, data + 16, data[32], check, &a);
	MUST(verdict >= OK && verdict < VERDICTS);
	if (verdict == OK)
		taken(payload, size, &a);
	if (verdict == CHECKSUM) {
		copy = malloc(size);
		MUST(copy != NULL);
		memcpy(copy, payload, size);
		mend(copy, size, data, 16);
		MUST(decode6(copy, size, data, data + 16, data[32], check, &a) == OK);
		taken(copy, size, &a);
		free(copy);
	}
}

static void try_four(const uint8_t *data, size_t size, int check)
{
	advert_t a;
	int verdict = decode(data, size, check, &a);
	uint8_t *copy;

	MUST(verdict >= OK && verdict < VERDICTS);
	if (verdict == OK)
		taken(data, size, &a);
	if (verdict == CHECKSUM) {
		size_t header = (size_t)(data[0] & 15) * 4, total = (size_t)data[2] << 8 | data[3];

		copy = malloc(size);
		MUST(copy != NULL);
		memcpy(copy, data, size);
		mend(copy + header, total - header, copy + 12, 4);
		MUST(decode(copy, size, check, &a) == OK);
		taken(copy, size, &a);
		free(copy);
	}
}

/* The payload alone, of either family: a trailer is found where it is, and changes nothing of what is before it. */
static void try_signed(const uint8_t *vrrp, size_t size, int check, uint8_t width)
{
	advert_t a = {0}, b = {0};
	int verdict;

	a.width = b.width = width;
	a.ttl = b.ttl = 255;
	verdict = decode_payload(vrrp, size, check, 1, &a);
	MUST(verdict >= OK && verdict < VERDICTS);
	if (verdict != OK && verdict != CHECKSUM)
		return;
	MUST(a.trailer == NULL ? a.size == size : a.size + TRAILER == size && a.trailer == vrrp + a.size);
	MUST(decode_payload(vrrp, a.size, check, 0, &b) == verdict && b.trailer == NULL && b.size == a.size);
	MUST(a.trailer == NULL || decode_payload(vrrp, size, check, 0, &b) != OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 4)
		try_signed(data + 1, size - 1, data[0] & 1, data[0] & 2 ? 16 : 4);
	else if (data[0] & 2)
		try_six(data + 1, size - 1, data[0] & 1);
	else
		try_four(data + 1, size - 1, data[0] & 1);
	return 0;
}
