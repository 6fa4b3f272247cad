/* The floor: one IPVS service with N destinations, programmed with as little as the kernel's interface allows.
 *
 *   floor SCHEDULER N [detour]     detour: fill the service under rr and put it on SCHEDULER with one message at the end
 *
 * Sends what fastha sends, by code of its own: the same messages, 256 to a send, each acknowledged, every answer read
 * before the next send. Layouts are linux/ip_vs.h. Prints the seconds from the first encoded byte to the last
 * acknowledgement; any refusal ends it with status 1. Destination i is 10.(64 + i / 65536).(i / 256).(i % 256):80.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/ip_vs.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define WINDOW 256
#define ROOM (WINDOW * 160) /* no message is larger than 160 bytes */
#define RECEIVE_BUFFER (4 << 20)

static uint8_t out[ROOM], in[1 << 16];
static size_t used;
static unsigned queued;
static uint32_t next_seq = 1;
static int fd;
static uint16_t family;

static void fail(const char *what, int code)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(code));
	exit(1);
}

static void attr(uint16_t type, const void *value, size_t len)
{
	struct nlattr a = {(uint16_t)(NLA_HDRLEN + len), type};

	memcpy(out + used, &a, sizeof a);
	memcpy(out + used + NLA_HDRLEN, value, len);
	memset(out + used + a.nla_len, 0, NLA_ALIGN(a.nla_len) - a.nla_len);
	used += NLA_ALIGN(a.nla_len);
}

static void attr16(uint16_t type, uint16_t value)
{
	attr(type, &value, sizeof value);
}

static void attr32(uint16_t type, uint32_t value)
{
	attr(type, &value, sizeof value);
}

static size_t nest(uint16_t type)
{
	struct nlattr a = {0, type | NLA_F_NESTED};
	size_t at = used;

	memcpy(out + used, &a, sizeof a);
	used += NLA_HDRLEN;
	return at;
}

static void end_nest(size_t at)
{
	uint16_t len = (uint16_t)(used - at);

	memcpy(out + at, &len, sizeof len);
}

static size_t begin(uint16_t type, uint8_t cmd, uint8_t version)
{
	struct nlmsghdr h = {0, type, NLM_F_REQUEST | NLM_F_ACK, next_seq++, 0};
	struct genlmsghdr g = {cmd, version, 0};
	size_t at = used;

	memcpy(out + used, &h, sizeof h);
	memcpy(out + used + NLMSG_HDRLEN, &g, sizeof g);
	used += NLMSG_HDRLEN + GENL_HDRLEN;
	return at;
}

static void end(size_t at)
{
	uint32_t len = (uint32_t)(used - at);

	memcpy(out + at, &len, sizeof len);
	queued++;
}

/* Send what is queued and read an answer to each; the family id of a CTRL_CMD_GETFAMILY is kept on the way. */
static void flush(void)
{
	if (send(fd, out, used, 0) != (ssize_t)used)
		fail("send", errno);
	while (queued) {
		ssize_t got = recv(fd, in, sizeof in, 0);
		struct nlmsghdr *h = (struct nlmsghdr *)in;

		if (got < 0)
			fail("receive", errno);
		for (; NLMSG_OK(h, got); h = NLMSG_NEXT(h, got)) {
			int error;

			if (h->nlmsg_type == GENL_ID_CTRL) {
				struct nlattr *a = (struct nlattr *)((uint8_t *)NLMSG_DATA(h) + GENL_HDRLEN);

				while (a->nla_type != CTRL_ATTR_FAMILY_ID)
					a = (struct nlattr *)((uint8_t *)a + NLA_ALIGN(a->nla_len));
				memcpy(&family, (uint8_t *)a + NLA_HDRLEN, sizeof family);
				continue;
			}
			memcpy(&error, NLMSG_DATA(h), sizeof error);
			if (error)
				fail("the kernel refuses", -error);
			queued--;
		}
	}
	used = 0;
}

static void identity(void)
{
	uint8_t address[16] = {10, 63, 0, 1};

	attr16(IPVS_SVC_ATTR_AF, AF_INET);
	attr16(IPVS_SVC_ATTR_PROTOCOL, IPPROTO_TCP);
	attr(IPVS_SVC_ATTR_ADDR, address, sizeof address);
	attr16(IPVS_SVC_ATTR_PORT, htons(80));
}

static void service(uint8_t cmd, const char *scheduler)
{
	struct ip_vs_flags flags = {0, 0x3d}; /* PERSISTENT, ONEPACKET, SCHED1-3: none of them */
	size_t at = begin(family, cmd, IPVS_GENL_VERSION), box = nest(IPVS_CMD_ATTR_SERVICE);

	identity();
	attr(IPVS_SVC_ATTR_SCHED_NAME, scheduler, strlen(scheduler) + 1);
	attr(IPVS_SVC_ATTR_FLAGS, &flags, sizeof flags);
	attr32(IPVS_SVC_ATTR_TIMEOUT, 0);
	attr32(IPVS_SVC_ATTR_NETMASK, 0xffffffff);
	end_nest(box);
	end(at);
}

static void dest(unsigned i)
{
	uint8_t address[16] = {10, (uint8_t)(64 + (i >> 16)), (uint8_t)(i >> 8), (uint8_t)i};
	size_t at = begin(family, IPVS_CMD_NEW_DEST, IPVS_GENL_VERSION), box = nest(IPVS_CMD_ATTR_SERVICE);

	identity();
	end_nest(box);
	box = nest(IPVS_CMD_ATTR_DEST);
	attr16(IPVS_DEST_ATTR_ADDR_FAMILY, AF_INET);
	attr(IPVS_DEST_ATTR_ADDR, address, sizeof address);
	attr16(IPVS_DEST_ATTR_PORT, htons(80));
	attr32(IPVS_DEST_ATTR_FWD_METHOD, IP_VS_CONN_F_DROUTE);
	attr32(IPVS_DEST_ATTR_WEIGHT, 1 + i % 3);
	attr32(IPVS_DEST_ATTR_U_THRESH, 0);
	attr32(IPVS_DEST_ATTR_L_THRESH, 0);
	end_nest(box);
	end(at);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
	int one = 1, size = RECEIVE_BUFFER, detour = argc > 3 && strcmp(argv[3], "detour") == 0;
	unsigned n;
	size_t at;
	double start;

	if (argc < 3) {
		fprintf(stderr, "floor SCHEDULER N [detour]\n");
		return 2;
	}
	n = (unsigned)strtoul(argv[2], NULL, 10);
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size))
		fail("socket", errno);
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
	at = begin(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1);
	attr(CTRL_ATTR_FAMILY_NAME, IPVS_GENL_NAME, sizeof IPVS_GENL_NAME);
	end(at);
	flush();

	start = now_s();
	service(IPVS_CMD_NEW_SERVICE, detour ? "rr" : argv[1]);
	for (unsigned i = 0; i < n; i++) {
		dest(i);
		if (queued == WINDOW)
			flush();
	}
	if (detour)
		service(IPVS_CMD_SET_SERVICE, argv[1]);
	flush();
	printf("%.6f\n", now_s() - start);
	return 0;
}
