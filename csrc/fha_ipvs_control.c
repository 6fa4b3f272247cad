/* What IPVS has besides its table: timeouts, synchronisation daemons, flush. Pure, as encode and decode are. */
#include "fha_ipvs_wire.h"

int fha_ipvs_encode_bare(uint8_t *buf, size_t size, uint16_t family_id, uint32_t seq, uint8_t cmd, size_t *used)
{
	struct cursor c = {.start = buf, .at = buf, .end = buf + size};
	uint16_t flags;

	switch (cmd) {
	case IPVS_CMD_FLUSH:
		flags = NLM_F_ACK;
		break;
	case IPVS_CMD_GET_INFO:
	case IPVS_CMD_GET_CONFIG:
		flags = 0;
		break;
	case IPVS_CMD_GET_DAEMON:
		flags = NLM_F_DUMP;
		break;
	default:
		*used = 0;
		return -EINVAL;
	}
	return finish(&c, message_begin(&c, family_id, flags, seq, cmd, IPVS_GENL_VERSION), used);
}

int fha_ipvs_encode_timeouts(uint8_t *buf, size_t size, uint16_t family_id, uint32_t seq,
                             const struct fha_ipvs_timeouts *timeouts, size_t *used)
{
	struct cursor c = {.start = buf, .at = buf, .end = buf + size};
	uint8_t *message = message_begin(&c, family_id, NLM_F_ACK, seq, IPVS_CMD_SET_CONFIG, IPVS_GENL_VERSION);

	put_u32(&c, IPVS_CMD_ATTR_TIMEOUT_TCP, timeouts->tcp_s);
	put_u32(&c, IPVS_CMD_ATTR_TIMEOUT_TCP_FIN, timeouts->tcpfin_s);
	put_u32(&c, IPVS_CMD_ATTR_TIMEOUT_UDP, timeouts->udp_s);
	return finish(&c, message, used);
}

/* The half that starting needs; ip_vs_genl_new_daemon fills in what is absent. */
static void put_daemon(struct cursor *c, const struct fha_ipvs_daemon *d)
{
	put_name(c, IPVS_DAEMON_ATTR_MCAST_IFN, d->interface);
	put_u32(c, IPVS_DAEMON_ATTR_SYNC_ID, d->sync_id);
	if (d->maxlen)
		put_u16(c, IPVS_DAEMON_ATTR_SYNC_MAXLEN, d->maxlen);
	if (d->group_family == AF_INET)
		put(c, IPVS_DAEMON_ATTR_MCAST_GROUP, d->group, 4);
	else if (d->group_family == AF_INET6)
		put(c, IPVS_DAEMON_ATTR_MCAST_GROUP6, d->group, 16);
	if (d->port)
		put_u16(c, IPVS_DAEMON_ATTR_MCAST_PORT, d->port);
	if (d->ttl)
		put_u8(c, IPVS_DAEMON_ATTR_MCAST_TTL, d->ttl);
}

int fha_ipvs_encode_daemon(uint8_t *buf, size_t size, uint16_t family_id, uint32_t seq, uint8_t cmd,
                           const struct fha_ipvs_daemon *daemon, size_t *used)
{
	struct cursor c = {.start = buf, .at = buf, .end = buf + size};
	uint8_t *message, *nest;

	*used = 0;
	if (cmd != IPVS_CMD_NEW_DAEMON && cmd != IPVS_CMD_DEL_DAEMON)
		return -EINVAL;
	message = message_begin(&c, family_id, NLM_F_ACK, seq, cmd, IPVS_GENL_VERSION);
	nest = nest_begin(&c, IPVS_CMD_ATTR_DAEMON);
	put_u32(&c, IPVS_DAEMON_ATTR_STATE, daemon->state);
	if (cmd == IPVS_CMD_NEW_DAEMON)
		put_daemon(&c, daemon);
	nest_end(&c, nest);
	return finish(&c, message, used);
}

int fha_ipvs_decode_timeouts(const uint8_t *buf, size_t len, uint32_t seq, struct fha_ipvs_timeouts *out)
{
	struct reader attrs, value;
	uint16_t type;
	int rc = find_answer(buf, len, seq, &attrs), bad = 0;

	if (rc <= 0)
		return rc;
	memset(out, 0, sizeof *out);
	while ((rc = next_attr(&attrs, &type, &value)) > 0) {
		if (type == IPVS_CMD_ATTR_TIMEOUT_TCP)
			bad |= get(&value, &out->tcp_s, sizeof out->tcp_s);
		else if (type == IPVS_CMD_ATTR_TIMEOUT_TCP_FIN)
			bad |= get(&value, &out->tcpfin_s, sizeof out->tcpfin_s);
		else if (type == IPVS_CMD_ATTR_TIMEOUT_UDP)
			bad |= get(&value, &out->udp_s, sizeof out->udp_s);
	}
	return rc || bad ? -EBADMSG : 1;
}

static int get_group(const struct reader *value, struct fha_ipvs_daemon *d, uint16_t family)
{
	d->group_family = family;
	return get(value, d->group, family == AF_INET ? 4 : 16);
}

static int decode_daemon(struct reader nest, void *out, struct fha_ipvs_counters *counters)
{
	struct fha_ipvs_daemon *d = out;
	struct reader value;
	uint16_t type;
	int rc, bad = 0;

	(void)counters;
	memset(d, 0, sizeof *d);
	while ((rc = next_attr(&nest, &type, &value)) > 0) {
		switch (type) {
		case IPVS_DAEMON_ATTR_STATE:
			bad |= get(&value, &d->state, sizeof d->state);
			break;
		case IPVS_DAEMON_ATTR_MCAST_IFN:
			bad |= get_name(&value, d->interface);
			break;
		case IPVS_DAEMON_ATTR_SYNC_ID:
			bad |= get(&value, &d->sync_id, sizeof d->sync_id);
			break;
		case IPVS_DAEMON_ATTR_SYNC_MAXLEN:
			bad |= get(&value, &d->maxlen, sizeof d->maxlen);
			break;
		case IPVS_DAEMON_ATTR_MCAST_GROUP:
			bad |= get_group(&value, d, AF_INET);
			break;
		case IPVS_DAEMON_ATTR_MCAST_GROUP6:
			bad |= get_group(&value, d, AF_INET6);
			break;
		case IPVS_DAEMON_ATTR_MCAST_PORT:
			bad |= get(&value, &d->port, sizeof d->port);
			break;
		case IPVS_DAEMON_ATTR_MCAST_TTL:
			bad |= get(&value, &d->ttl, sizeof d->ttl);
			break;
		}
	}
	return rc || bad ? -EBADMSG : 0;
}

int fha_ipvs_decode_daemons(const uint8_t *buf, size_t len, uint32_t seq, struct fha_ipvs_daemon *out, size_t cap,
                            size_t *count)
{
	struct dump d = {IPVS_CMD_ATTR_DAEMON, decode_daemon, (uint8_t *)out, sizeof *out, NULL, cap, count};

	return decode_dump(buf, len, seq, &d);
}
