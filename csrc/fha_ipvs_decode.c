/* Netlink bytes into results and rows. Pure: no system call, no allocation, and no length is believed. */
#include "fha_ipvs_wire.h"

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

/* A number of 32 bits on the wire. */
static int get_count(const struct reader *value, uint64_t *out)
{
	uint32_t count = 0;
	int rc = get(value, &count, sizeof count);

	*out = count;
	return rc;
}

/* IPVS_*_ATTR_STATS64: every number has 64 bits. */
static int get_stats64(struct reader nest, struct fha_ipvs_counters *c)
{
	struct reader value;
	uint16_t type;
	int rc;

	while ((rc = next_attr(&nest, &type, &value)) > 0) {
		uint64_t *out = NULL;

		switch (type) {
		case IPVS_STATS_ATTR_CONNS:
			out = &c->connections;
			break;
		case IPVS_STATS_ATTR_INPKTS:
			out = &c->in_packets;
			break;
		case IPVS_STATS_ATTR_OUTPKTS:
			out = &c->out_packets;
			break;
		case IPVS_STATS_ATTR_INBYTES:
			out = &c->in_bytes;
			break;
		case IPVS_STATS_ATTR_OUTBYTES:
			out = &c->out_bytes;
			break;
		case IPVS_STATS_ATTR_CPS:
			out = &c->connections_per_s;
			break;
		case IPVS_STATS_ATTR_INPPS:
			out = &c->in_packets_per_s;
			break;
		case IPVS_STATS_ATTR_OUTPPS:
			out = &c->out_packets_per_s;
			break;
		case IPVS_STATS_ATTR_INBPS:
			out = &c->in_bytes_per_s;
			break;
		case IPVS_STATS_ATTR_OUTBPS:
			out = &c->out_bytes_per_s;
			break;
		}
		if (out && get(&value, out, sizeof *out))
			return -EBADMSG;
	}
	return rc;
}

static int decode_service(struct reader nest, void *out, struct fha_ipvs_counters *counters)
{
	struct fha_ipvs_service *s = out;
	struct reader value, netmask = {NULL, 0};
	struct ip_vs_flags flags;
	uint16_t type;
	int rc, bad = 0;

	memset(s, 0, sizeof *s);
	if (counters)
		memset(counters, 0, sizeof *counters);
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
		case IPVS_SVC_ATTR_STATS64:
			if (counters)
				bad |= get_stats64(value, counters);
			break;
		}
	}
	if (netmask.at) /* its meaning depends on the family, which may come later */
		bad |= get_netmask(&netmask, s->family, &s->netmask);
	if (s->family != AF_INET && s->family != AF_INET6)
		bad = 1;
	return rc || bad ? -EBADMSG : 0;
}

static int decode_dest(struct reader nest, void *out, struct fha_ipvs_counters *counters)
{
	struct fha_ipvs_counters unwanted, *n = counters ? counters : &unwanted;
	struct fha_ipvs_dest *d = out;
	struct reader value;
	uint16_t type;
	int rc, bad = 0;

	memset(d, 0, sizeof *d);
	memset(n, 0, sizeof *n);
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
			bad |= get_count(&value, &n->active);
			break;
		case IPVS_DEST_ATTR_INACT_CONNS:
			bad |= get_count(&value, &n->inactive);
			break;
		case IPVS_DEST_ATTR_PERSIST_CONNS:
			bad |= get_count(&value, &n->persistent);
			break;
		case IPVS_DEST_ATTR_STATS64:
			if (counters)
				bad |= get_stats64(value, counters);
			break;
		case IPVS_DEST_ATTR_TUN_TYPE:
			bad |= get(&value, &d->tun_type, sizeof d->tun_type);
			break;
		case IPVS_DEST_ATTR_TUN_PORT:
			bad |= get_port(&value, &d->tun_port);
			break;
		case IPVS_DEST_ATTR_TUN_FLAGS:
			bad |= get(&value, &d->tun_flags, sizeof d->tun_flags);
			break;
		}
	}
	if (d->family != AF_INET && d->family != AF_INET6)
		bad = 1;
	/* the kernel keeps them for whoever sets them, and reads them for TUN alone */
	if (d->forward != IP_VS_CONN_F_TUNNEL) {
		d->tun_type = 0;
		d->tun_port = d->tun_flags = 0;
	}
	return rc || bad ? -EBADMSG : 0;
}

int fha_ipvs_decode_services(const uint8_t *buf, size_t len, uint32_t seq, struct fha_ipvs_service *out,
                             struct fha_ipvs_counters *counters, size_t cap, size_t *count)
{
	struct dump d = {IPVS_CMD_ATTR_SERVICE, decode_service, (uint8_t *)out, sizeof *out, counters, cap, count};

	return decode_dump(buf, len, seq, &d);
}

int fha_ipvs_decode_dests(const uint8_t *buf, size_t len, uint32_t seq, struct fha_ipvs_dest *out,
                          struct fha_ipvs_counters *counters, size_t cap, size_t *count)
{
	struct dump d = {IPVS_CMD_ATTR_DEST, decode_dest, (uint8_t *)out, sizeof *out, counters, cap, count};

	return decode_dump(buf, len, seq, &d);
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
