/* A kernel's IPVS behind the system calls of csrc/fha_ipvs_socket.c, which the linker turns to it (--wrap), and the
 * faults it can make. Answers are heap blocks of their exact size: what is not freed or read beyond is found.
 */
#ifndef FAKE_KERNEL_H
#define FAKE_KERNEL_H

#include "fha_ipvs.h"

#define FAKE_DESTS 50 /* destinations have the ports 1 .. FAKE_DESTS */

enum fault {
	FAULT_NONE,
	/* what a call returns */
	FAULT_EINTR,   /* goes by itself when tried again */
	FAULT_ENOBUFS, /* an overrun: answers are lost */
	FAULT_ENOMEM,
	FAULT_SHORT, /* a send takes less, a receive ends in the middle, unsaid */
	/* of receiving alone */
	FAULT_TRUNCATED, /* ends in the middle, with MSG_TRUNC */
	FAULT_NEVER,     /* this answer and all that wait are gone */
	FAULT_SEQUENCE,  /* the answer has another number */
	FAULT_STALE,     /* one with another number comes first; harmless */
	FAULT_FOREIGN,   /* one of another process comes first; harmless */
	FAULT_EMPTY,     /* a datagram of no bytes comes first; harmless */
	FAULT_KINDS
};

extern struct fake {
	/* faults: the `at`-th call from now on has `kind`; or each call has one in `odds` */
	enum fault kind;
	unsigned at;
	unsigned odds;
	unsigned calls;
	unsigned fired;
	int silent_stop; /* DEL_DAEMON ends with -EINTR inside: no answer */
	/* what the kernel holds */
	uint8_t there[FAKE_DESTS + 1];
	int32_t said[FAKE_DESTS +
	             1]; /* the errno of the last NEW_DEST, whether its answer arrived or not; -1: none came */
	int has_service;
	struct fha_ipvs_timeouts timeouts;
	struct fha_ipvs_daemon daemon; /* state 0: none runs */
	int open_sockets;
} fake;

uint32_t fake_random(void);
void fake_seed(uint64_t seed);
/* How many answers wait; of closed sockets there are none. */
unsigned fake_waiting(void);

#endif
