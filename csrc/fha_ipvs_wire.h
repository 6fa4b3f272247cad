/* What the pure halves of the binding share: a cursor that writes netlink, a reader that believes no length. */
#ifndef FHA_IPVS_WIRE_H
#define FHA_IPVS_WIRE_H

#include <errno.h>
#include <string.h>

#include <arpa/inet.h>
#include <linux/genetlink.h>
#include <linux/ip_vs.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "fha_ipvs.h"

/* Where the next byte goes. Once something did not fit, `full` stays set and nothing more is written. */
struct cursor {
	uint8_t *start;
	uint8_t *at;
	uint8_t *end;
	int full;
};

static inline uint8_t *take(struct cursor *c, size_t len)
{
	size_t padded = NLMSG_ALIGN(len);
	uint8_t *p = c->at;

	if (c->full || (size_t)(c->end - p) < padded) {
		c->full = 1;
		return NULL;
	}
	memset(p, 0, padded);
	c->at = p + padded;
	return p;
}

static inline void put(struct cursor *c, uint16_t type, const void *data, size_t len)
{
	struct nlattr attr = {.nla_len = (uint16_t)(NLA_HDRLEN + len), .nla_type = type};
	uint8_t *p = take(c, NLA_HDRLEN + len);

	if (!p)
		return;
	memcpy(p, &attr, sizeof attr);
	memcpy(p + NLA_HDRLEN, data, len);
}

static inline void put_u8(struct cursor *c, uint16_t type, uint8_t value)
{
	put(c, type, &value, sizeof value);
}

static inline void put_u16(struct cursor *c, uint16_t type, uint16_t value)
{
	put(c, type, &value, sizeof value);
}

static inline void put_u32(struct cursor *c, uint16_t type, uint32_t value)
{
	put(c, type, &value, sizeof value);
}

/* A name with its NUL, as policy NLA_NUL_STRING wants it; a name that fills its array is cut. */
static inline void put_name(struct cursor *c, uint16_t type, const char name[FHA_IPVS_NAME_SIZE])
{
	char text[FHA_IPVS_NAME_SIZE] = {0};
	size_t len = strnlen(name, FHA_IPVS_NAME_SIZE - 1);

	memcpy(text, name, len);
	put(c, type, text, len + 1);
}

static inline uint8_t *nest_begin(struct cursor *c, uint16_t type)
{
	uint8_t *p = c->at;

	put(c, (uint16_t)(type | NLA_F_NESTED), "", 0);
	return p;
}

static inline void nest_end(struct cursor *c, uint8_t *nest)
{
	uint16_t len = (uint16_t)(c->at - nest);

	if (!c->full)
		memcpy(nest + offsetof(struct nlattr, nla_len), &len, sizeof len);
}

static inline uint8_t *message_begin(struct cursor *c, uint16_t type, uint16_t flags, uint32_t seq, uint8_t cmd,
                                     uint8_t version)
{
	struct nlmsghdr head = {.nlmsg_type = type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags), .nlmsg_seq = seq};
	struct genlmsghdr generic = {.cmd = cmd, .version = version};
	uint8_t *p = take(c, NLMSG_HDRLEN + GENL_HDRLEN);

	if (p) {
		memcpy(p, &head, sizeof head);
		memcpy(p + NLMSG_HDRLEN, &generic, sizeof generic);
	}
	return p;
}

static inline void message_end(struct cursor *c, uint8_t *message)
{
	uint32_t len = (uint32_t)(c->at - message);

	if (!c->full)
		memcpy(message + offsetof(struct nlmsghdr, nlmsg_len), &len, sizeof len);
}

/* The end of a single request: its bytes into *used, -EMSGSIZE if it did not fit. */
static inline int finish(struct cursor *c, uint8_t *message, size_t *used)
{
	message_end(c, message);
	*used = c->full ? 0 : (size_t)(c->at - c->start);
	return c->full ? -EMSGSIZE : 0;
}

/* Bytes not yet read. */
struct reader {
	const uint8_t *at;
	size_t left;
};

static inline void skip(struct reader *r, size_t len)
{
	size_t padded = NLMSG_ALIGN(len);

	/* the last message or attribute may come without its padding */
	padded = padded < r->left ? padded : r->left;
	r->at += padded;
	r->left -= padded;
}

/* The next message: 1 and its header and payload, 0 at the end, -EBADMSG. */
static inline int next_message(struct reader *r, struct nlmsghdr *head, struct reader *payload)
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
static inline int next_attr(struct reader *r, uint16_t *type, struct reader *value)
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
static inline int get(const struct reader *value, void *out, size_t size)
{
	if (value->left != size)
		return -EBADMSG;
	memcpy(out, value->at, size);
	return 0;
}

static inline int get_port(const struct reader *value, uint16_t *port)
{
	int rc = get(value, port, sizeof *port);

	*port = ntohs(*port);
	return rc;
}

static inline int get_name(const struct reader *value, char out[FHA_IPVS_NAME_SIZE])
{
	size_t len = strnlen((const char *)value->at, value->left);

	if (len >= FHA_IPVS_NAME_SIZE)
		return -EBADMSG;
	memset(out, 0, FHA_IPVS_NAME_SIZE);
	memcpy(out, value->at, len);
	return 0;
}

/* The errno of an NLMSG_ERROR payload as the kernel sends it: 0 or negative; -EBADMSG if it is none. */
static inline int error_code(struct reader payload)
{
	int32_t code;

	if (payload.left < sizeof code)
		return -EBADMSG;
	memcpy(&code, payload.at, sizeof code);
	return code > 0 || code < -4095 ? -EBADMSG : code; /* MAX_ERRNO of linux/err.h */
}

/* The single answer to a single request: 1 and its attributes, 0 if it is not in this datagram, -errno. */
static inline int find_answer(const uint8_t *buf, size_t len, uint32_t seq, struct reader *attrs)
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

/* What one kind of dumped object needs: which attribute holds it, where it goes. */
typedef int decode_object(struct reader nest, void *out, struct fha_ipvs_counters *counters);

struct dump {
	uint16_t attr;
	decode_object *decode;
	uint8_t *out;
	size_t size;
	struct fha_ipvs_counters *counters; /* NULL: not wanted */
	size_t cap;
	size_t *count;
};

static inline int dump_message(struct reader payload, const struct dump *d)
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
			rc = d->decode(value, d->out + *d->count * d->size,
			               d->counters ? d->counters + *d->count : NULL);
			if (rc)
				return rc;
		}
		++*d->count;
	}
	return rc;
}

static inline int decode_dump(const uint8_t *buf, size_t len, uint32_t seq, const struct dump *d)
{
	struct reader r = {buf, len}, payload;
	struct nlmsghdr head;
	int rc;

	while ((rc = next_message(&r, &head, &payload)) > 0) {
		if ((int32_t)(head.nlmsg_seq - seq) > 0)
			return -EBADMSG; /* nobody asked yet: what belongs to this dump may be missing */
		if (head.nlmsg_seq != seq)
			continue;
		if (head.nlmsg_flags & NLM_F_DUMP_INTR)
			return -EINTR;
		if (head.nlmsg_type == NLMSG_ERROR) {
			rc = error_code(payload);
			return rc ? rc : -EBADMSG; /* "no error" does not end a dump: no ACK was asked for */
		}
		if (head.nlmsg_type == NLMSG_DONE) {
			/* an errno in the same place, when it carries anything */
			rc = payload.left == 0 ? 0 : error_code(payload);
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

#endif
