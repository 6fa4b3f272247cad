/* Every n-th system call fails in every way, for n = 1, 2, 3 ... until a whole story passes without meeting the fault;
 * then faults at random. Whatever happens: nothing is called done that the kernel did not do, no row of a complete dump
 * is missing or wrong, no descriptor and no memory is lost, and after opening again everything succeeds.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/ip_vs.h>
#include <sys/socket.h>

#include "fake_kernel.h"

#define ALLOWED_TRIES 200
#define WINDOW 20 /* so that the operations are several sends */

static struct fha_ipvs_socket *s; /* a heap block: writing beyond a buffer at its end is found */
static struct fha_ipvs_op *ops;
static int32_t *results;

static int harmless(enum fault kind)
{
	return kind == FAULT_EINTR || kind == FAULT_STALE || kind == FAULT_FOREIGN || kind == FAULT_EMPTY;
}

/* Open if closed. Not 0: try again. */
static int ready(void)
{
	int rc = s->fd >= 0 ? 0 : fha_ipvs_open(s);

	assert(rc <= 0);
	s->window = WINDOW;
	assert(rc ? s->fd == -1 && fake.open_sockets == 0 : fake.open_sockets == 1 && s->version == 0x010201);
	return rc;
}

/* As the caller does: after a failure the socket is of no use. */
static int failed(int rc)
{
	assert(rc <= 0);
	if (rc)
		fha_ipvs_close(s);
	return rc;
}

static int step_apply(void)
{
	int rc;

	for (unsigned port = 1; port <= FAKE_DESTS; port++)
		fake.said[port] = -1;
	memset(results, 0x55, FAKE_DESTS * sizeof *results);
	rc = fha_ipvs_apply(s, ops, FAKE_DESTS, results);
	for (unsigned i = 0; i < FAKE_DESTS; i++) {
		int32_t said = fake.said[i + 1];

		assert(results[i] == FHA_IPVS_UNKNOWN ? rc != 0 : results[i] == said);
		assert(results[i] != 0 || fake.there[i + 1]);
	}
	return failed(rc);
}

static int step_dump(void)
{
	struct fha_ipvs_dest *dests = calloc(FAKE_DESTS, sizeof *dests);
	struct fha_ipvs_counters *counters = calloc(FAKE_DESTS, sizeof *counters);
	struct fha_ipvs_service services[1];
	size_t count, n = 0;
	int rc = fha_ipvs_dump_services(s, services, NULL, 1, &count);

	assert(dests && counters);
	assert(rc || count == (size_t)fake.has_service);
	if (!failed(rc) && !(rc = fha_ipvs_dump_dests(s, services, dests, counters, FAKE_DESTS, &count))) {
		for (unsigned port = 1; port <= FAKE_DESTS; port++)
			if (fake.there[port])
				assert(n < count && dests[n++].port == port);
		assert(n == count);
	}
	free(dests);
	free(counters);
	return failed(rc);
}

static int step_small_dump(void)
{
	struct fha_ipvs_service service = {.family = AF_INET, .protocol = 6};
	struct fha_ipvs_dest *dests = calloc(3, sizeof *dests);
	size_t count, there = 0;
	int rc = fha_ipvs_dump_dests(s, &service, dests, NULL, 3, &count);

	assert(dests);
	for (unsigned port = 1; port <= FAKE_DESTS; port++)
		there += fake.there[port];
	assert(rc || count == there);
	free(dests);
	return failed(rc);
}

static int step_timeouts(void)
{
	struct fha_ipvs_timeouts wanted = {fake_random(), fake_random(), fake_random()}, now;
	int rc = fha_ipvs_set_timeouts(s, &wanted);

	assert(rc || !memcmp(&wanted, &fake.timeouts, sizeof wanted));
	if (failed(rc))
		return rc;
	memset(&now, 0x55, sizeof now);
	rc = fha_ipvs_get_timeouts(s, &now);
	assert(rc || !memcmp(&now, &fake.timeouts, sizeof now));
	return failed(rc);
}

static int step_daemon(void)
{
	struct fha_ipvs_daemon wanted = {.state = IP_VS_STATE_MASTER, .sync_id = 7, .interface = "eth0"}, now[2];
	size_t count;
	int rc = fha_ipvs_start_daemon(s, &wanted);

	if (rc == -EEXIST) {
		assert(fake.daemon.state);
		rc = 0;
	}
	assert(rc || (fake.daemon.state == IP_VS_STATE_MASTER && fake.daemon.sync_id == 7));
	if (failed(rc))
		return rc;
	rc = fha_ipvs_dump_daemons(s, now, 2, &count);
	assert(rc || (count == 1 && !memcmp(now, &fake.daemon, sizeof *now)));
	return failed(rc);
}

static int step_stop(void)
{
	int silent = fake.silent_stop, rc = fha_ipvs_stop_daemon(s, IP_VS_STATE_MASTER);

	assert(rc || (!fake.daemon.state && !silent)); /* without an answer it is never called done */
	if (rc == -ESRCH || (rc == -EINTR && silent)) {
		assert(!fake.daemon.state);
		rc = 0;
	}
	return failed(rc);
}

static int step_flush(void)
{
	int rc = fha_ipvs_flush(s);

	assert(rc || !fake.has_service);
	return failed(rc);
}

typedef int step(void);
static step *const story[] = {step_apply,  step_apply, step_dump,  step_small_dump, step_timeouts,
                              step_daemon, step_stop,  step_flush, step_dump};

/* How many steps had to be tried again. */
static unsigned tell(void)
{
	unsigned again = 0;

	memset(fake.there, 0, sizeof fake.there);
	fake.there[3] = fake.there[45] = fake.has_service = 1; /* two EEXIST for the first step */
	fake.daemon.state = 0;
	for (size_t i = 0; i < sizeof story / sizeof *story; i++) {
		unsigned tries = 0;

		while (ready() || story[i]()) {
			again++;
			assert(++tries < ALLOWED_TRIES);
		}
		assert(fake_waiting() == 0); /* every answer was read: none can be taken for another's */
	}
	fha_ipvs_close(s);
	assert(fake.open_sockets == 0);
	return again;
}

static void every_call_in_every_way(void)
{
	for (unsigned kind = FAULT_NONE + 1; kind < FAULT_KINDS; kind++) {
		for (fake.at = 1;; fake.at++) {
			unsigned again;

			fake.kind = kind;
			fake.silent_stop = fake.at % 2;
			fake.calls = fake.fired = 0;
			again = tell();
			if (fake.fired && harmless(kind) && fake.at > 8)
				assert(again == 0); /* opening may fail with EINTR: its caller tries again */
			if (fake.calls < fake.at)
				break;
		}
		printf("kind %u: %u calls\n", kind, fake.at - 1);
		assert(fake.at > 2 * FAKE_DESTS);
	}
}

static void at_random(void)
{
	unsigned again = 0, fired = 0;

	fake.odds = 50;
	for (int round = 0; round < 2000; round++) {
		fake.silent_stop = round % 2;
		fake.fired = 0;
		again += tell();
		fired += fake.fired;
	}
	printf("at random: %u faults, %u steps tried again\n", fired, again);
	assert(again > 100);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("seed %llu\n", (unsigned long long)seed);
	fake_seed(seed);
	s = malloc(sizeof *s);
	ops = calloc(FAKE_DESTS, sizeof *ops);
	results = calloc(FAKE_DESTS, sizeof *results);
	assert(s && ops && results);
	s->fd = -1;
	for (unsigned i = 0; i < FAKE_DESTS; i++) {
		ops[i].verb = IPVS_CMD_NEW_DEST;
		ops[i].service.family = ops[i].dest.family = AF_INET;
		ops[i].service.protocol = 6;
		ops[i].dest.port = (uint16_t)(i + 1);
	}
	assert(tell() == 0); /* without faults nothing is tried twice */
	every_call_in_every_way();
	at_random();
	free(s);
	free(ops);
	free(results);
	return 0;
}
