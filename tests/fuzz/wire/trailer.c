/* Any bytes as a VRRP packet with the trailer of auth_hmac, from any source. Signed anew it is right, and bears a change
 * of the checksum and of no other byte; nor is it right from another source. */

#include "fuzz.h"

#include "generated/trailer.c"

typedef struct __pyx_t_6fastha_4wire_7trailer_trailer_t trailer_t;
typedef struct __pyx_t_6fastha_4wire_2ip_ip_t ip_t;

#define decode __pyx_f_6fastha_4wire_7trailer_trailer_decode
#define right __pyx_f_6fastha_4wire_7trailer_trailer_right
#define sign __pyx_f_6fastha_4wire_7trailer_trailer_sign

enum { TRAILER = 28, SIGNED = 12, HEADER = 8, CHOICES = 19 };

static void *sha256;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	__pyx_f_6fastha_4wire_3mac_mac_start = fuzz_mac_start;
	__pyx_f_6fastha_4wire_3mac_mac_update = fuzz_mac_update;
	__pyx_f_6fastha_4wire_3mac_mac_end = fuzz_mac_end;
	__pyx_f_6fastha_4wire_3mac_mac_same = fuzz_mac_same;
	sha256 = fuzz_mac_new("SHA256", (const uint8_t *)"secret", 6);
	MUST(sha256 != NULL);
	return 0;
}

static void look(uint8_t *packet, size_t vrrp, ip_t src, uint8_t width, size_t which)
{
	uint8_t *data = packet + vrrp;
	uint8_t key = data[1];
	uint64_t sequence;
	trailer_t t;
	size_t at = which % (vrrp + TRAILER);

	MUST(decode(data, &t) == (data[0] == 1) && t.digest == data + SIGNED && t.key_id == key);
	sequence = t.sequence;
	if (vrrp < HEADER) {
		MUST(!right(sha256, packet, vrrp, data, src, width));
		return;
	}
	(void)right(sha256, packet, vrrp, data, src, width);
	sign(sha256, packet, vrrp, src, width, key, sequence);
	MUST(decode(data, &t) && t.key_id == key && t.sequence == sequence);
	MUST(right(sha256, packet, vrrp, data, src, width));
	packet[at] ^= 0x10;
	MUST(right(sha256, packet, vrrp, data, src, width) == (at == 6 || at == 7));
	packet[at] ^= 0x10;
	src.low ^= 1;
	MUST(!right(sha256, packet, vrrp, data, src, width));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t width, *copy;
	ip_t src = {0, 0};

	if (size < CHOICES + TRAILER)
		return 0;
	width = data[0] & 1 ? 16 : 4;
	if (width == 16)
		memcpy(&src.high, data + 3, 8);
	memcpy(&src.low, data + 11, width == 16 ? 8 : 4);
	size -= CHOICES;
	copy = malloc(size);
	MUST(copy != NULL);
	memcpy(copy, data + CHOICES, size);
	look(copy, size - TRAILER, src, width, (size_t)data[1] << 8 | data[2]);
	free(copy);
	return 0;
}
