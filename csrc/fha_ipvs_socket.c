/* The netlink socket: all system calls of the IPVS binding. fha_ipvs.h has the contract.
 *
 * The kernel runs the messages of one send before send() returns and queues an answer for each; were more sent than the
 * receive buffer holds answers for, it would drop some (ENOBUFS). So the buffer is raised, a send holds at most
 * `window` messages, and every answer is read before the next send.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <linux/ip_vs.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "fha_ipvs.h"

#define RECEIVE_BUFFER (4 << 20)
#define ANSWER_COST 2048 /* of one queued answer, buffer accounting included: measured below 1 KiB, doubled */
#define ANSWER_TIMEOUT_S 5

_Static_assert(FHA_IPVS_WINDOW *FHA_IPVS_MESSAGE_SIZE <= FHA_IPVS_BUFFER_SIZE, "a full window fits one send");

/* One datagram from the kernel into s->in: its length, or -errno (-ETIMEDOUT: none came). */
static ssize_t receive(struct fha_ipvs_socket *s)
{
	for (;;) {
		struct sockaddr_nl from = {0};
		struct iovec iov = {s->in, sizeof s->in};
		struct msghdr msg = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &iov, .msg_iovlen = 1};
		ssize_t n = recvmsg(s->fd, &msg, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (from.nl_pid != 0)
			continue; /* another process talks to us: not an answer */
		if (msg.msg_flags & MSG_TRUNC)
			return -EMSGSIZE;
		return n;
	}
}

static int send_out(struct fha_ipvs_socket *s, size_t len)
{
	ssize_t n;

	do
		n = send(s->fd, s->out, len, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

static void size_window(struct fha_ipvs_socket *s)
{
	int size = RECEIVE_BUFFER, fits;
	socklen_t len = sizeof size;

	if (setsockopt(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size))
		setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	if (getsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &size, &len))
		size = 0;
	fits = size / ANSWER_COST;
	s->window = (uint16_t)(fits < 1 ? 1 : fits > FHA_IPVS_WINDOW ? FHA_IPVS_WINDOW : fits);
}

/* One request (its encoding's return value and length) and what answers it: `decode` until it says 1 or -errno. */
typedef int decode_answer(struct fha_ipvs_socket *s, size_t len, uint32_t seq, void *out);

static int ask(struct fha_ipvs_socket *s, int encoded, size_t used, decode_answer *decode, void *out)
{
	uint32_t seq = s->seq++;
	int rc = encoded ? encoded : send_out(s, used);

	while (rc == 0) {
		ssize_t n = receive(s);

		rc = n < 0 ? (int)n : decode(s, (size_t)n, seq, out);
	}
	return rc < 0 ? rc : 0;
}

static int decode_ack(struct fha_ipvs_socket *s, size_t len, uint32_t seq, void *out)
{
	int32_t result = FHA_IPVS_UNKNOWN;
	size_t answered = 0;
	int rc = fha_ipvs_decode_acks(s->in, len, seq, &result, 1, &answered);

	(void)out;
	if (rc || !answered)
		return rc;
	return result ? -result : 1;
}

static int decode_family(struct fha_ipvs_socket *s, size_t len, uint32_t seq, void *out)
{
	(void)out;
	return fha_ipvs_decode_family(s->in, len, seq, &s->family_id);
}

static int decode_info(struct fha_ipvs_socket *s, size_t len, uint32_t seq, void *out)
{
	(void)out;
	return fha_ipvs_decode_info(s->in, len, seq, &s->version, &s->table_size);
}

static int decode_timeouts(struct fha_ipvs_socket *s, size_t len, uint32_t seq, void *out)
{
	return fha_ipvs_decode_timeouts(s->in, len, seq, out);
}

/* Where a dump goes. */
struct room {
	void *out;
	struct fha_ipvs_counters *counters;
	size_t cap;
	size_t *count;
};

static int decode_services(struct fha_ipvs_socket *s, size_t len, uint32_t seq, void *out)
{
	const struct room *r = out;

	return fha_ipvs_decode_services(s->in, len, seq, r->out, r->counters, r->cap, r->count);
}

static int decode_dests(struct fha_ipvs_socket *s, size_t len, uint32_t seq, void *out)
{
	const struct room *r = out;

	return fha_ipvs_decode_dests(s->in, len, seq, r->out, r->counters, r->cap, r->count);
}

static int decode_daemons(struct fha_ipvs_socket *s, size_t len, uint32_t seq, void *out)
{
	const struct room *r = out;

	return fha_ipvs_decode_daemons(s->in, len, seq, r->out, r->cap, r->count);
}

static int ask_family(struct fha_ipvs_socket *s)
{
	size_t used;
	int rc = fha_ipvs_encode_family(s->out, sizeof s->out, s->seq, &used);

	return ask(s, rc, used, decode_family, NULL);
}

static int ask_bare(struct fha_ipvs_socket *s, uint8_t cmd, decode_answer *decode, void *out)
{
	size_t used;
	int rc = fha_ipvs_encode_bare(s->out, sizeof s->out, s->family_id, s->seq, cmd, &used);

	return ask(s, rc, used, decode, out);
}

int fha_ipvs_open(struct fha_ipvs_socket *s)
{
	struct timeval patience = {.tv_sec = ANSWER_TIMEOUT_S};
	struct sockaddr_nl self = {.nl_family = AF_NETLINK};
	int one = 1, rc;

	s->seq = 1;
	s->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (s->fd < 0)
		return -errno;
	/* an error's answer does not repeat the message it answers: answers stay small */
	setsockopt(s->fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
	setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	size_window(s);
	rc = bind(s->fd, (struct sockaddr *)&self, sizeof self) ? -errno : 0;
	if (rc == 0)
		rc = ask_family(s);
	if (rc == 0)
		rc = ask_bare(s, IPVS_CMD_GET_INFO, decode_info, NULL);
	if (rc)
		fha_ipvs_close(s);
	return rc;
}

void fha_ipvs_close(struct fha_ipvs_socket *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

/* One send and all its answers. *done: the operations it held. */
static int apply_window(struct fha_ipvs_socket *s, const struct fha_ipvs_op *ops, size_t n, int32_t *results,
                        size_t *done)
{
	size_t used, encoded, answered = 0;
	uint32_t seq = s->seq;
	ssize_t got;
	int rc = fha_ipvs_encode_ops(s->out, sizeof s->out, s->family_id, seq, ops, n, &used, &encoded);

	if (rc)
		return rc;
	s->seq += (uint32_t)encoded;
	rc = send_out(s, used);
	while (rc == 0 && answered < encoded) {
		got = receive(s);
		rc = got < 0 ? (int)got : fha_ipvs_decode_acks(s->in, (size_t)got, seq, results, encoded, &answered);
	}
	*done = encoded;
	return rc;
}

int fha_ipvs_apply(struct fha_ipvs_socket *s, const struct fha_ipvs_op *ops, size_t n, int32_t *results)
{
	size_t i, done = 0;
	int rc = 0;

	for (i = 0; i < n; i++)
		results[i] = FHA_IPVS_UNKNOWN;
	for (i = 0; i < n && rc == 0; i += done)
		rc = apply_window(s, ops + i, n - i < s->window ? n - i : s->window, results + i, &done);
	return rc;
}

int fha_ipvs_dump_services(struct fha_ipvs_socket *s, struct fha_ipvs_service *out, struct fha_ipvs_counters *counters,
                           size_t cap, size_t *count)
{
	struct room room = {out, counters, cap, count};
	size_t used;
	int rc = fha_ipvs_encode_dump(s->out, sizeof s->out, s->family_id, s->seq, NULL, &used);

	*count = 0;
	return ask(s, rc, used, decode_services, &room);
}

int fha_ipvs_dump_dests(struct fha_ipvs_socket *s, const struct fha_ipvs_service *service, struct fha_ipvs_dest *out,
                        struct fha_ipvs_counters *counters, size_t cap, size_t *count)
{
	struct room room = {out, counters, cap, count};
	size_t used;
	int rc = fha_ipvs_encode_dump(s->out, sizeof s->out, s->family_id, s->seq, service, &used);

	*count = 0;
	return ask(s, rc, used, decode_dests, &room);
}

int fha_ipvs_dump_daemons(struct fha_ipvs_socket *s, struct fha_ipvs_daemon *out, size_t cap, size_t *count)
{
	struct room room = {out, NULL, cap, count};

	*count = 0;
	return ask_bare(s, IPVS_CMD_GET_DAEMON, decode_daemons, &room);
}

int fha_ipvs_get_timeouts(struct fha_ipvs_socket *s, struct fha_ipvs_timeouts *out)
{
	return ask_bare(s, IPVS_CMD_GET_CONFIG, decode_timeouts, out);
}

int fha_ipvs_set_timeouts(struct fha_ipvs_socket *s, const struct fha_ipvs_timeouts *timeouts)
{
	size_t used;
	int rc = fha_ipvs_encode_timeouts(s->out, sizeof s->out, s->family_id, s->seq, timeouts, &used);

	return ask(s, rc, used, decode_ack, NULL);
}

/* A daemon verb, and a question behind it in the same send: netlink_rcv_skb answers a message that ended with -EINTR
 * with nothing, and stopping a thread that has not run yet ends so. The question's answer says that no other comes. */
static int ask_daemon(struct fha_ipvs_socket *s, uint8_t cmd, const struct fha_ipvs_daemon *daemon)
{
	int32_t result = FHA_IPVS_UNKNOWN;
	uint32_t seq = s->seq;
	size_t used, behind, answered = 0;
	int rc = fha_ipvs_encode_daemon(s->out, sizeof s->out, s->family_id, seq, cmd, daemon, &used);

	if (rc == 0)
		rc = fha_ipvs_encode_bare(s->out + used, sizeof s->out - used, s->family_id, seq + 1, IPVS_CMD_GET_INFO,
		                          &behind);
	s->seq += 2;
	if (rc == 0)
		rc = send_out(s, used + behind);
	while (rc == 0) {
		ssize_t n = receive(s);

		rc = n < 0 ? (int)n : fha_ipvs_decode_acks(s->in, (size_t)n, seq, &result, 1, &answered);
		if (rc == 0)
			rc = decode_info(s, (size_t)n, seq + 1, NULL);
	}
	if (rc < 0)
		return rc;
	return answered ? -result : -EINTR;
}

int fha_ipvs_start_daemon(struct fha_ipvs_socket *s, const struct fha_ipvs_daemon *daemon)
{
	return ask_daemon(s, IPVS_CMD_NEW_DAEMON, daemon);
}

int fha_ipvs_stop_daemon(struct fha_ipvs_socket *s, uint32_t state)
{
	struct fha_ipvs_daemon daemon = {.state = state};

	return ask_daemon(s, IPVS_CMD_DEL_DAEMON, &daemon);
}

int fha_ipvs_flush(struct fha_ipvs_socket *s)
{
	return ask_bare(s, IPVS_CMD_FLUSH, decode_ack, NULL);
}
