/* Netlink bytes into results and rows. Pure: no system call, no allocation, and no length is believed. */
#include <errno.h>
#include <string.h>

#include <arpa/inet.h>
#include <linux/genetlink.h>
#include <linux/ip_vs.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "fha_ipvs.h"

/* Bytes not yet read. */
struct reader {
	const uint8_t *at;
	size_t left;
};

static void skip(struct reader *r, size_t len)
{
	size_t padded = NLMSG_ALIGN(len);

	/* the last message or attribute may come without its padding */
	padded = padded < r->left ? padded : r->left;
	r->at += padded;
	r->left -= padded;
}

/* The next message: 1 and its header and payload, 0 at the end, -EBADMSG. */
static int next_message(struct reader *r, struct nlmsghdr *head, struct reader *payload)
{
	if (r->left == 0)
		return 0;
	if (r->left < NLMSG_HDRLEN)
		return -EBADMSG;
	memcpy(head, r->at, sizeof *head);
	if (head->nlmsg_len < NLMSG_HDRLEN || head->nlmsg_len > r->left)
		return -EBADMSG;
	payload->at = r->at + NLMSG_HDRLEN;
	payload->left = head->nlmsg_len - NLMSG_HDRLEN;
	skip(r, head->nlmsg_len);
	return 1;
}

/* The next attribute: 1 and its type and value, 0 at the end, -EBADMSG. */
static int next_attr(struct reader *r, uint16_t *type, struct reader *value)
{
	struct nlattr attr;

	if (r->left == 0)
		return 0;
	if (r->left < NLA_HDRLEN)
		return -EBADMSG;
	memcpy(&attr, r->at, sizeof attr);
	if (attr.nla_len < NLA_HDRLEN || attr.nla_len > r->left)
		return -EBADMSG;
	*type = attr.nla_type & NLA_TYPE_MASK;
	value->at = r->at + NLA_HDRLEN;
	value->left = attr.nla_len - NLA_HDRLEN;
	skip(r, attr.nla_len);
	return 1;
}

/* A value of exactly `size` bytes into *out. */
static int get(const struct reader *value, void *out, size_t size)
{
	if (value->left != size)
		return -EBADMSG;
	memcpy(out, value->at, size);
	return 0;
}

static int get_port(const struct reader *value, uint16_t *port)
{
	int rc = get(value, port, sizeof *port);

	*port = ntohs(*port);
	return rc;
}

static int get_name(const struct reader *value, char out[FHA_IPVS_NAME_SIZE])
{
	size_t len = strnlen((const char *)value->at, value->left);

	if (len >= FHA_IPVS_NAME_SIZE)
		return -EBADMSG;
	memset(out, 0, FHA_IPVS_NAME_SIZE);
	memcpy(out, value->at, len);
	return 0;
}

/* The errno of an NLMSG_ERROR payload as the kernel sends it: 0 or negative; -EBADMSG if it is none. */
static int error_code(struct reader payload)
{
	int32_t code;

	if (payload.left < sizeof code)
		return -EBADMSG;
	memcpy(&code, payload.at, sizeof code);
	return code > 0 || code < -4095 ? -EBADMSG : code; /* MAX_ERRNO of linux/err.h */
}

int fha_ipvs_decode_acks(const uint8_t *buf, size_t len, uint32_t seq, int32_t *results, size_t n, size_t *answered)
{
	struct reader r = {buf, len}, payload;
	struct nlmsghdr head;
	int rc;

	while ((rc = next_message(&r, &head, &payload)) > 0) {
		uint32_t i = head.nlmsg_seq - seq; /* wraps with the sequence number */

		if (head.nlmsg_type != NLMSG_ERROR || i >= n)
			continue;
		if (payload.left < sizeof(int32_t))
			return -EBADMSG;
		if (results[i] == FHA_IPVS_UNKNOWN)
			++*answered;
		results[i] = -error_code(payload);
	}
	return rc;
}

/* What one kind of dumped object needs: which attribute holds it, where it goes. */
typedef int decode_object(struct reader nest, void *out);

struct dump {
	uint16_t attr;
	decode_object *decode;
	uint8_t *out;
	size_t size;
	size_t cap;
	size_t *count;
};

static int dump_message(struct reader payload, const struct dump *d)
{
	struct reader value;
	uint16_t type;
	int rc;

	if (payload.left < GENL_HDRLEN)
		return -EBADMSG;
	skip(&payload, GENL_HDRLEN);
	while ((rc = next_attr(&payload, &type, &value)) > 0) {
		if (type != d->attr)
			continue;
		if (*d->count < d->cap) {
			rc = d->decode(value, d->out + *d->count * d->size);
			if (rc)
				return rc;
		}
		++*d->count;
	}
	return rc;
}

static int decode_dump(const uint8_t *buf, size_t len, uint32_t seq, const struct dump *d)
{
	struct reader r = {buf, len}, payload;
	struct nlmsghdr head;
	int rc;

	while ((rc = next_message(&r, &head, &payload)) > 0) {
		if (head.nlmsg_seq != seq)
			continue;
		if (head.nlmsg_flags & NLM_F_DUMP_INTR)
			return -EINTR;
		if (head.nlmsg_type == NLMSG_DONE || head.nlmsg_type == NLMSG_ERROR) {
			/* NLMSG_DONE carries an errno in the same place, when it carries anything */
			rc = head.nlmsg_type == NLMSG_DONE && payload.left == 0 ? 0 : error_code(payload);
			return rc ? rc : 1;
		}
		if (head.nlmsg_type < NLMSG_MIN_TYPE)
			continue;
		rc = dump_message(payload, d);
		if (rc)
			return rc;
	}
	return rc;
}

static int get_netmask(const struct reader *value, uint16_t family, uint16_t *out)
{
	uint32_t mask, host;

	if (get(value, &mask, sizeof mask))
		return -EBADMSG;
	if (family == AF_INET6) {
		*out = mask <= 128 ? (uint16_t)mask : FHA_IPVS_NETMASK_ODD;
		return 0;
	}
	host = ntohl(mask);
	/* a prefix: the complement plus one is a power of two (or wraps to 0) */
	*out = ~host & (~host + 1) ? FHA_IPVS_NETMASK_ODD : (uint16_t)__builtin_popcount(host);
	return 0;
}

static int decode_service(struct reader nest, void *out)
{
	struct fha_ipvs_service *s = out;
	struct reader value, netmask = {NULL, 0};
	struct ip_vs_flags flags;
	uint16_t type;
	int rc, bad = 0;

	memset(s, 0, sizeof *s);
	while ((rc = next_attr(&nest, &type, &value)) > 0) {
		switch (type) {
		case IPVS_SVC_ATTR_AF:
			bad |= get(&value, &s->family, sizeof s->family);
			break;
		case IPVS_SVC_ATTR_PROTOCOL:
			bad |= get(&value, &s->protocol, sizeof s->protocol);
			break;
		case IPVS_SVC_ATTR_ADDR:
			bad |= get(&value, s->address, sizeof s->address);
			break;
		case IPVS_SVC_ATTR_PORT:
			bad |= get_port(&value, &s->port);
			break;
		case IPVS_SVC_ATTR_FWMARK:
			bad |= get(&value, &s->fwmark, sizeof s->fwmark);
			break;
		case IPVS_SVC_ATTR_SCHED_NAME:
			bad |= get_name(&value, s->scheduler);
			break;
		case IPVS_SVC_ATTR_FLAGS:
			memset(&flags, 0, sizeof flags);
			bad |= get(&value, &flags, sizeof flags);
			s->flags = flags.flags;
			break;
		case IPVS_SVC_ATTR_TIMEOUT:
			bad |= get(&value, &s->timeout_s, sizeof s->timeout_s);
			break;
		case IPVS_SVC_ATTR_NETMASK:
			netmask = value;
			break;
		case IPVS_SVC_ATTR_PE_NAME:
			bad |= get_name(&value, s->pe_name);
			break;
		}
	}
	if (netmask.at) /* its meaning depends on the family, which may come later */
		bad |= get_netmask(&netmask, s->family, &s->netmask);
	if (s->family != AF_INET && s->family != AF_INET6)
		bad = 1;
	return rc || bad ? -EBADMSG : 0;
}

/* The number of connections out of IPVS_DEST_ATTR_STATS64. */
static int get_connections(struct reader nest, uint64_t *out)
{
	struct reader value;
	uint16_t type;
	int rc;

	while ((rc = next_attr(&nest, &type, &value)) > 0)
		if (type == IPVS_STATS_ATTR_CONNS && get(&value, out, sizeof *out))
			return -EBADMSG;
	return rc;
}

static int decode_dest(struct reader nest, void *out)
{
	struct fha_ipvs_dest *d = out;
	struct reader value;
	uint16_t type;
	int rc, bad = 0;

	memset(d, 0, sizeof *d);
	d->family = AF_INET; /* kernels before 3.18 send none and know no mixed families */
	while ((rc = next_attr(&nest, &type, &value)) > 0) {
		switch (type) {
		case IPVS_DEST_ATTR_ADDR_FAMILY:
			bad |= get(&value, &d->family, sizeof d->family);
			break;
		case IPVS_DEST_ATTR_ADDR:
			bad |= get(&value, d->address, sizeof d->address);
			break;
		case IPVS_DEST_ATTR_PORT:
			bad |= get_port(&value, &d->port);
			break;
		case IPVS_DEST_ATTR_FWD_METHOD:
			bad |= get(&value, &d->forward, sizeof d->forward);
			d->forward &= IP_VS_CONN_F_FWD_MASK;
			break;
		case IPVS_DEST_ATTR_WEIGHT:
			bad |= get(&value, &d->weight, sizeof d->weight);
			break;
		case IPVS_DEST_ATTR_U_THRESH:
			bad |= get(&value, &d->uthreshold, sizeof d->uthreshold);
			break;
		case IPVS_DEST_ATTR_L_THRESH:
			bad |= get(&value, &d->lthreshold, sizeof d->lthreshold);
			break;
		case IPVS_DEST_ATTR_ACTIVE_CONNS:
			bad |= get(&value, &d->active, sizeof d->active);
			break;
		case IPVS_DEST_ATTR_INACT_CONNS:
			bad |= get(&value, &d->inactive, sizeof d->inactive);
			break;
		case IPVS_DEST_ATTR_PERSIST_CONNS:
			bad |= get(&value, &d->persistent, sizeof d->persistent);
			break;
		case IPVS_DEST_ATTR_STATS64:
			bad |= get_connections(value, &d->connections);
			break;
		}
	}
	if (d->family != AF_INET && d->family != AF_INET6)
		bad = 1;
	return rc || bad ? -EBADMSG : 0;
}

int fha_ipvs_decode_services(const uint8_t *buf, size_t len, uint32_t seq, struct fha_ipvs_service *out, size_t cap,
                             size_t *count)
{
	struct dump d = {IPVS_CMD_ATTR_SERVICE, decode_service, (uint8_t *)out, sizeof *out, cap, count};

	return decode_dump(buf, len, seq, &d);
}

int fha_ipvs_decode_dests(const uint8_t *buf, size_t len, uint32_t seq, struct fha_ipvs_dest *out, size_t cap,
                          size_t *count)
{
	struct dump d = {IPVS_CMD_ATTR_DEST, decode_dest, (uint8_t *)out, sizeof *out, cap, count};

	return decode_dump(buf, len, seq, &d);
}

/* The single answer to a single request: 1 and its attributes, 0 if it is not in this datagram, -errno. */
static int find_answer(const uint8_t *buf, size_t len, uint32_t seq, struct reader *attrs)
{
	struct reader r = {buf, len}, payload;
	struct nlmsghdr head;
	int rc;

	while ((rc = next_message(&r, &head, &payload)) > 0) {
		if (head.nlmsg_seq != seq)
			continue;
		if (head.nlmsg_type == NLMSG_ERROR) {
			rc = error_code(payload);
			return rc ? rc : -EBADMSG; /* "no error" is no answer: no ACK was asked for */
		}
		if (head.nlmsg_type < NLMSG_MIN_TYPE)
			continue;
		if (payload.left < GENL_HDRLEN)
			return -EBADMSG;
		skip(&payload, GENL_HDRLEN);
		*attrs = payload;
		return 1;
	}
	return rc;
}

int fha_ipvs_decode_family(const uint8_t *buf, size_t len, uint32_t seq, uint16_t *family_id)
{
	struct reader attrs, value;
	uint16_t type;
	int rc = find_answer(buf, len, seq, &attrs);

	if (rc <= 0)
		return rc;
	while ((rc = next_attr(&attrs, &type, &value)) > 0)
		if (type == CTRL_ATTR_FAMILY_ID)
			return get(&value, family_id, sizeof *family_id) ? -EBADMSG : 1;
	return -EBADMSG;
}

int fha_ipvs_decode_info(const uint8_t *buf, size_t len, uint32_t seq, uint32_t *version, uint32_t *table_size)
{
	struct reader attrs, value;
	uint16_t type;
	int rc = find_answer(buf, len, seq, &attrs), bad = 0;

	if (rc <= 0)
		return rc;
	while ((rc = next_attr(&attrs, &type, &value)) > 0) {
		if (type == IPVS_INFO_ATTR_VERSION)
			bad |= get(&value, version, sizeof *version);
		else if (type == IPVS_INFO_ATTR_CONN_TAB_SIZE)
			bad |= get(&value, table_size, sizeof *table_size);
	}
	return rc || bad ? -EBADMSG : 1;
}
