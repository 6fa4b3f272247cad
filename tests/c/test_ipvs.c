/* Encode and decode under ASan and UBSan. Every buffer is its own heap block of the exact size, so that one byte read
 * or written beyond it ends the program. Prints the seed; exits 0 if all held.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/ip_vs.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "fha_ipvs.h"

#define FAMILY 29

static uint64_t state;

static uint32_t rnd(void) /* xorshift64*: the same numbers on every machine */
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)((state * 0x2545f4914f6cdd1dULL) >> 32);
}

static void fill(void *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)p)[i] = (uint8_t)rnd();
}

static void *exact(const void *data, size_t len)
{
	void *p = malloc(len);

	assert(p || !len);
	if (len)
		memcpy(p, data, len);
	return p;
}

/* Operations full of random bytes (names without a NUL too) fit FHA_IPVS_MESSAGE_SIZE and any buffer size. */
static void encode_anything(void)
{
	static const uint8_t verbs[] = {IPVS_CMD_NEW_SERVICE, IPVS_CMD_SET_SERVICE, IPVS_CMD_DEL_SERVICE,
	                                IPVS_CMD_NEW_DEST,    IPVS_CMD_SET_DEST,    IPVS_CMD_DEL_DEST};
	struct fha_ipvs_op ops[3];
	size_t used, encoded, i, size = rnd() % (4 * FHA_IPVS_MESSAGE_SIZE);
	uint8_t *buf = malloc(size);
	int rc;

	assert(buf || !size);
	for (i = 0; i < 3; i++) {
		fill(&ops[i], sizeof ops[i]);
		ops[i].verb = verbs[rnd() % sizeof verbs];
		if (rnd() % 2)
			ops[i].service.fwmark = 0;
	}
	rc = fha_ipvs_encode_ops(buf, size, FAMILY, rnd(), ops, 3, &used, &encoded);
	assert(rc == 0 ? encoded >= 1 && encoded <= 3 : rc == -EMSGSIZE && encoded == 0);
	assert(used <= size && used <= encoded * FHA_IPVS_MESSAGE_SIZE);
	assert(encoded == 3 || size - used < FHA_IPVS_MESSAGE_SIZE);
	free(buf);
}

/* What was encoded reads back: a NEW_SERVICE or NEW_DEST has the shape of a dump's row. */
static void round_trip(void)
{
	struct fha_ipvs_op op;
	struct fha_ipvs_service service;
	struct fha_ipvs_dest dest;
	uint8_t buf[FHA_IPVS_MESSAGE_SIZE], *copy;
	size_t used, encoded, count = 0;
	uint32_t seq = rnd();

	memset(&op, 0, sizeof op);
	op.service.family = rnd() % 2 ? AF_INET : AF_INET6;
	op.service.fwmark = rnd() % 2 ? rnd() | 1 : 0;
	op.service.flags = rnd() & FHA_IPVS_OUR_FLAGS;
	op.service.timeout_s = rnd();
	op.service.netmask = (uint16_t)(rnd() % (op.service.family == AF_INET ? 33 : 129));
	if (!op.service.fwmark) {
		op.service.protocol = (uint16_t)rnd();
		op.service.port = (uint16_t)rnd();
		fill(op.service.address, 16);
	}
	snprintf(op.service.scheduler, sizeof op.service.scheduler, "s%x", rnd());
	snprintf(op.service.pe_name, sizeof op.service.pe_name, "p%x", rnd());
	op.verb = IPVS_CMD_NEW_SERVICE;
	assert(!fha_ipvs_encode_ops(buf, sizeof buf, FAMILY, seq, &op, 1, &used, &encoded));
	copy = exact(buf, used);
	assert(fha_ipvs_decode_services(copy, used, seq, &service, NULL, 1, &count) == 0 && count == 1);
	assert(!memcmp(&service, &op.service, sizeof service));
	free(copy);

	op.dest.family = rnd() % 2 ? AF_INET : AF_INET6;
	op.dest.port = (uint16_t)rnd();
	op.dest.forward = rnd() % 8;
	if (op.dest.forward == IP_VS_CONN_F_TUNNEL) {
		op.dest.tun_type = (uint8_t)rnd();
		op.dest.tun_port = (uint16_t)rnd();
		op.dest.tun_flags = (uint16_t)rnd();
	}
	op.dest.weight = (int32_t)rnd();
	op.dest.uthreshold = rnd();
	op.dest.lthreshold = rnd();
	fill(op.dest.address, 16);
	op.verb = IPVS_CMD_NEW_DEST;
	assert(!fha_ipvs_encode_ops(buf, sizeof buf, FAMILY, seq, &op, 1, &used, &encoded));
	copy = exact(buf, used);
	count = 0;
	assert(fha_ipvs_decode_dests(copy, used, seq, &dest, NULL, 1, &count) == 0 && count == 1);
	assert(!memcmp(&dest, &op.dest, sizeof dest));
	free(copy);
}

/* A daemon of any bytes: no buffer size is too small, and what was written reads back. */
static void daemon_round_trip(void)
{
	struct fha_ipvs_daemon daemon, back;
	struct fha_ipvs_timeouts timeouts = {rnd(), rnd(), rnd()}, now;
	size_t used, count = 0, size = rnd() % 160;
	uint8_t *buf = malloc(size);

	assert(buf || !size);
	memset(&daemon, 0, sizeof daemon);
	daemon.state = rnd();
	daemon.sync_id = rnd();
	daemon.maxlen = (uint16_t)rnd();
	daemon.port = (uint16_t)rnd();
	daemon.ttl = (uint8_t)rnd();
	daemon.group_family = rnd() % 2 ? AF_INET : AF_INET6;
	fill(daemon.group, daemon.group_family == AF_INET ? 4 : 16);
	snprintf(daemon.interface, sizeof daemon.interface, "i%x", rnd());
	if (fha_ipvs_encode_daemon(buf, size, FAMILY, 7, IPVS_CMD_NEW_DAEMON, &daemon, &used) == 0) {
		assert(used <= size);
		assert(fha_ipvs_decode_daemons(buf, used, 7, &back, 1, &count) == 0 && count == 1);
		assert(!memcmp(&back, &daemon, sizeof back));
	} else {
		assert(used == 0 && size < 128);
	}
	if (fha_ipvs_encode_timeouts(buf, size, FAMILY, 7, &timeouts, &used) == 0) {
		assert(fha_ipvs_decode_timeouts(buf, used, 7, &now) == 1);
		assert(!memcmp(&now, &timeouts, sizeof now));
	} else {
		assert(size < 44);
	}
	free(buf);
}

/* Real messages, damaged: any answer is fine, any byte beyond the block is not. */
static void decode_garbage(void)
{
	struct fha_ipvs_op op;
	struct fha_ipvs_service services[2];
	struct fha_ipvs_dest dests[2];
	struct fha_ipvs_counters counters[2];
	struct fha_ipvs_daemon daemons[2];
	struct fha_ipvs_timeouts timeouts;
	uint8_t buf[4 * FHA_IPVS_MESSAGE_SIZE], *copy;
	size_t len = 0, used, encoded, count, n;
	int32_t results[4] = {-1, -1, -1, -1};
	uint32_t a, b;
	uint16_t id;

	for (n = 0; n < 3; n++) {
		fill(&op, sizeof op);
		op.verb = rnd() % 2 ? IPVS_CMD_NEW_SERVICE : IPVS_CMD_NEW_DEST;
		op.service.family = op.dest.family = AF_INET;
		fha_ipvs_encode_ops(buf + len, sizeof buf - len, rnd() % 3 ? FAMILY : NLMSG_ERROR, 7, &op, 1, &used,
		                    &encoded);
		len += used;
	}
	for (n = rnd() % 8; n; n--)
		buf[rnd() % len] = (uint8_t)(rnd() % 3 ? rnd() % 24 : rnd());
	if (rnd() % 2)
		len = rnd() % len;
	copy = exact(buf, len);
	count = 0;
	fha_ipvs_decode_services(copy, len, 7, services, rnd() % 2 ? counters : NULL, 2, &count);
	count = 0;
	fha_ipvs_decode_dests(copy, len, 7, dests, rnd() % 2 ? counters : NULL, 2, &count);
	count = 0;
	fha_ipvs_decode_daemons(copy, len, 7, daemons, 2, &count);
	fha_ipvs_decode_timeouts(copy, len, 7, &timeouts);
	count = 0;
	fha_ipvs_decode_acks(copy, len, 7, results, 4, &count);
	assert(count <= 4);
	fha_ipvs_decode_family(copy, len, 7, &id);
	fha_ipvs_decode_info(copy, len, 7, &a, &b);
	free(copy);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;

	printf("seed %llu\n", (unsigned long long)seed);
	state = seed * 2 + 1;
	for (int i = 0; i < 20000; i++) {
		encode_anything();
		round_trip();
		daemon_round_trip();
		decode_garbage();
	}
	return 0;
}
