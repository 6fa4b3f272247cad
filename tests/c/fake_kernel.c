#include "fake_kernel.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/genetlink.h>
#include <linux/ip_vs.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/types.h>

#define FAMILY 29
#define FD 1000
#define ROWS_IN_DATAGRAM 20

struct fake fake;

struct answer {
	struct answer *next;
	size_t len;
	uint8_t data[];
};

static struct answer *first, **last = &first;
static uint64_t state = 1;

uint32_t fake_random(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)((state * 0x2545f4914f6cdd1dULL) >> 32);
}

void fake_seed(uint64_t seed)
{
	state = seed * 2 + 1;
}

unsigned fake_waiting(void)
{
	unsigned n = 0;

	for (struct answer *a = first; a; a = a->next)
		n++;
	return n;
}

static void drop_first(void)
{
	struct answer *a = first;

	first = a->next;
	if (!first)
		last = &first;
	free(a);
}

static void queue(const void *data, size_t len)
{
	struct answer *a = malloc(sizeof *a + len);

	assert(a);
	a->next = NULL;
	a->len = len;
	memcpy(a->data, data, len);
	*last = a;
	last = &a->next;
}

/* The fault of this call: NONE mostly. */
static enum fault next_fault(int receiving)
{
	enum fault kind = fake.kind;

	fake.calls++;
	if (fake.odds)
		kind = fake_random() % fake.odds ? FAULT_NONE : 1 + fake_random() % (FAULT_KINDS - 1);
	else if (fake.calls != fake.at)
		return FAULT_NONE;
	if (!receiving && kind > FAULT_SHORT)
		return FAULT_NONE;
	fake.fired += kind != FAULT_NONE;
	return kind;
}

static void say(uint16_t type, uint32_t seq, int32_t code)
{
	struct {
		struct nlmsghdr head;
		struct nlmsgerr body;
	} m;
	size_t len = type == NLMSG_DONE ? NLMSG_HDRLEN + sizeof code : sizeof m;

	memset(&m, 0, sizeof m);
	m.head.nlmsg_len = (uint32_t)len;
	m.head.nlmsg_type = type;
	m.head.nlmsg_seq = seq;
	m.body.error = code;
	queue(&m, len);
}

/* A request that our encoder wrote has the shape of the kernel's answer but for its flags; so it is one. */
static void answer_rows(uint32_t seq, const struct fha_ipvs_op *op, unsigned n)
{
	uint8_t buf[ROWS_IN_DATAGRAM * FHA_IPVS_MESSAGE_SIZE];
	size_t len = 0, used, encoded;

	for (unsigned i = 0; i < n; i++) {
		assert(!fha_ipvs_encode_ops(buf + len, sizeof buf - len, FAMILY, seq, op + i, 1, &used, &encoded));
		len += used;
	}
	queue(buf, len);
}

static void dump_dests(uint32_t seq)
{
	struct fha_ipvs_op ops[ROWS_IN_DATAGRAM];
	unsigned n = 0;

	memset(ops, 0, sizeof ops);
	for (unsigned port = 1; port <= FAKE_DESTS; port++) {
		if (!fake.there[port])
			continue;
		ops[n].verb = IPVS_CMD_NEW_DEST;
		ops[n].service.family = ops[n].dest.family = AF_INET;
		ops[n++].dest.port = (uint16_t)port;
		if (n == ROWS_IN_DATAGRAM) {
			answer_rows(seq, ops, n);
			n = 0;
		}
	}
	if (n)
		answer_rows(seq, ops, n);
	say(NLMSG_DONE, seq, 0);
}

static void dump_services(uint32_t seq)
{
	struct fha_ipvs_op op = {.verb = IPVS_CMD_NEW_SERVICE, .service = {.family = AF_INET, .protocol = 6}};

	if (fake.has_service)
		answer_rows(seq, &op, 1);
	say(NLMSG_DONE, seq, 0);
}

static void dump_daemons(uint32_t seq)
{
	uint8_t buf[256];
	size_t used;

	if (fake.daemon.state) {
		assert(!fha_ipvs_encode_daemon(buf, sizeof buf, FAMILY, seq, IPVS_CMD_NEW_DAEMON, &fake.daemon, &used));
		queue(buf, used);
	}
	say(NLMSG_DONE, seq, 0);
}

/* One attribute of a number behind a generic header. */
static void answer_number(uint16_t type, uint32_t seq, uint16_t attr, const void *value, uint16_t size)
{
	uint8_t buf[28] = {0};
	struct nlmsghdr head = {.nlmsg_len = sizeof buf, .nlmsg_type = type, .nlmsg_seq = seq};
	struct nlattr a = {.nla_len = (uint16_t)(NLA_HDRLEN + size), .nla_type = attr};

	memcpy(buf, &head, sizeof head);
	memcpy(buf + 20, &a, sizeof a);
	memcpy(buf + 24, value, size);
	queue(buf, sizeof buf);
}

static void new_dest(const uint8_t *m, uint32_t seq)
{
	struct fha_ipvs_dest dest;
	size_t count = 0;
	struct nlmsghdr head;

	memcpy(&head, m, sizeof head);
	assert(!fha_ipvs_decode_dests(m, head.nlmsg_len, seq, &dest, NULL, 1, &count) && count == 1);
	assert(dest.port >= 1 && dest.port <= FAKE_DESTS);
	fake.said[dest.port] = fake.there[dest.port] ? EEXIST : 0;
	fake.there[dest.port] = 1;
	say(NLMSG_ERROR, seq, -fake.said[dest.port]);
}

static void daemon_verb(const uint8_t *m, uint32_t seq, uint8_t cmd)
{
	struct fha_ipvs_daemon asked;
	struct nlmsghdr head;
	size_t count = 0;

	memcpy(&head, m, sizeof head);
	assert(!fha_ipvs_decode_daemons(m, head.nlmsg_len, seq, &asked, 1, &count) && count == 1);
	if (cmd == IPVS_CMD_NEW_DAEMON) {
		int code = fake.daemon.state ? -EEXIST : 0;

		if (!code)
			fake.daemon = asked;
		say(NLMSG_ERROR, seq, code);
		return;
	}
	if (!fake.daemon.state)
		say(NLMSG_ERROR, seq, -ESRCH);
	else if (!fake.silent_stop)
		say(NLMSG_ERROR, seq, 0);
	fake.daemon.state = 0;
}

static void serve(const uint8_t *m, const struct nlmsghdr *head)
{
	struct genlmsghdr generic;
	uint32_t seq = head->nlmsg_seq, number = 0x010201;
	uint16_t family = FAMILY;
	uint8_t buf[64];
	size_t used;

	memcpy(&generic, m + NLMSG_HDRLEN, sizeof generic);
	if (head->nlmsg_type == GENL_ID_CTRL) {
		answer_number(GENL_ID_CTRL, seq, CTRL_ATTR_FAMILY_ID, &family, sizeof family);
		return;
	}
	assert(head->nlmsg_type == FAMILY);
	switch (generic.cmd) {
	case IPVS_CMD_NEW_DEST:
		new_dest(m, seq);
		break;
	case IPVS_CMD_GET_DEST:
		dump_dests(seq);
		break;
	case IPVS_CMD_GET_SERVICE:
		dump_services(seq);
		break;
	case IPVS_CMD_GET_INFO:
		answer_number(FAMILY, seq, IPVS_INFO_ATTR_VERSION, &number, sizeof number);
		break;
	case IPVS_CMD_GET_CONFIG:
		assert(!fha_ipvs_encode_timeouts(buf, sizeof buf, FAMILY, seq, &fake.timeouts, &used));
		queue(buf, used);
		break;
	case IPVS_CMD_SET_CONFIG:
		assert(fha_ipvs_decode_timeouts(m, head->nlmsg_len, seq, &fake.timeouts) == 1);
		say(NLMSG_ERROR, seq, 0);
		break;
	case IPVS_CMD_NEW_DAEMON:
	case IPVS_CMD_DEL_DAEMON:
		daemon_verb(m, seq, generic.cmd);
		break;
	case IPVS_CMD_GET_DAEMON:
		dump_daemons(seq);
		break;
	case IPVS_CMD_FLUSH:
		memset(fake.there, 0, sizeof fake.there);
		fake.has_service = 0;
		say(NLMSG_ERROR, seq, 0);
		break;
	default:
		assert(!"a command nobody sends");
	}
}

static int fail(int code)
{
	errno = code;
	return -1;
}

/* 0: go on; else what the call returns, with errno. */
static int simple_fault(enum fault kind)
{
	switch (kind) {
	case FAULT_EINTR:
		return fail(EINTR);
	case FAULT_ENOBUFS:
		return fail(ENOBUFS);
	case FAULT_ENOMEM:
		return fail(ENOMEM);
	default:
		return 0;
	}
}

int __wrap_socket(int domain, int type, int protocol);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_close(int fd);
ssize_t __wrap_send(int fd, const void *data, size_t len, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags);

int __wrap_socket(int domain, int type, int protocol)
{
	assert(domain == AF_NETLINK && protocol == NETLINK_GENERIC && (type & SOCK_CLOEXEC));
	if (simple_fault(next_fault(0)))
		return -1;
	fake.open_sockets++;
	return FD + fake.open_sockets;
}

int __wrap_bind(int fd, const struct sockaddr *address, socklen_t len)
{
	(void)address;
	(void)len;
	assert(fd > FD);
	return simple_fault(next_fault(0));
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	(void)level;
	(void)name;
	(void)value;
	(void)len;
	assert(fd > FD);
	return simple_fault(next_fault(0));
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	int size = 1 << 20;

	(void)level;
	(void)name;
	assert(fd > FD && *len == sizeof size);
	if (simple_fault(next_fault(0)))
		return -1;
	memcpy(value, &size, sizeof size);
	return 0;
}

int __wrap_close(int fd)
{
	assert(fd > FD);
	fake.open_sockets--;
	while (first)
		drop_first();
	return 0;
}

ssize_t __wrap_send(int fd, const void *data, size_t len, int flags)
{
	enum fault kind = next_fault(0);
	const uint8_t *at = data;
	struct nlmsghdr head;
	size_t left = len;

	(void)flags;
	assert(fd > FD);
	if (simple_fault(kind))
		return -1;
	if (kind == FAULT_SHORT)
		return (ssize_t)len - 1; /* and nothing was done */
	while (left) {
		memcpy(&head, at, sizeof head);
		assert(head.nlmsg_len <= left && head.nlmsg_len % 4 == 0);
		serve(at, &head);
		at += head.nlmsg_len;
		left -= head.nlmsg_len;
	}
	return (ssize_t)len;
}

/* A datagram that came first and is no answer. */
static ssize_t other(struct msghdr *msg, uint32_t pid, uint32_t seq)
{
	struct nlmsghdr head = {.nlmsg_len = NLMSG_HDRLEN + 4, .nlmsg_type = NLMSG_DONE, .nlmsg_seq = seq};
	struct sockaddr_nl from = {.nl_family = AF_NETLINK, .nl_pid = pid};

	memcpy(msg->msg_name, &from, sizeof from);
	memset(msg->msg_iov->iov_base, 0, NLMSG_HDRLEN + 4);
	memcpy(msg->msg_iov->iov_base, &head, sizeof head);
	return NLMSG_HDRLEN + 4;
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags)
{
	enum fault kind = next_fault(1);
	struct sockaddr_nl from = {.nl_family = AF_NETLINK};
	struct nlmsghdr head;
	size_t len;

	(void)flags;
	assert(fd > FD);
	msg->msg_flags = 0;
	if (kind == FAULT_ENOBUFS || kind == FAULT_NEVER)
		while (first)
			drop_first();
	if (simple_fault(kind))
		return -1;
	memcpy(msg->msg_name, &from, sizeof from);
	if (kind == FAULT_EMPTY)
		return 0;
	if (!first)
		return fail(EAGAIN); /* SO_RCVTIMEO */
	memcpy(&head, first->data, sizeof head);
	if (kind == FAULT_STALE)
		return other(msg, 0, head.nlmsg_seq - 1000);
	if (kind == FAULT_FOREIGN)
		return other(msg, 4711, head.nlmsg_seq);
	len = first->len;
	assert(len <= msg->msg_iov->iov_len);
	memcpy(msg->msg_iov->iov_base, first->data, len);
	drop_first();
	if (kind == FAULT_SEQUENCE) {
		head.nlmsg_seq += 100000;
		memcpy(msg->msg_iov->iov_base, &head, sizeof head);
	} else if (kind == FAULT_TRUNCATED) {
		msg->msg_flags = MSG_TRUNC;
		len /= 2;
	} else if (kind == FAULT_SHORT) {
		len = len / 2 | 1;
	}
	return (ssize_t)len;
}
