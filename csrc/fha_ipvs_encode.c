/* Operations and requests into netlink bytes. Pure: no system call, no allocation. fha_ipvs.h draws the layout. */
#include "fha_ipvs_wire.h"

static void put_service_identity(struct cursor *c, const struct fha_ipvs_service *s)
{
	put_u16(c, IPVS_SVC_ATTR_AF, s->family);
	if (s->fwmark) {
		put_u32(c, IPVS_SVC_ATTR_FWMARK, s->fwmark);
		return;
	}
	put_u16(c, IPVS_SVC_ATTR_PROTOCOL, s->protocol);
	put(c, IPVS_SVC_ATTR_ADDR, s->address, sizeof s->address);
	put_u16(c, IPVS_SVC_ATTR_PORT, htons(s->port));
}

static uint32_t wire_netmask(const struct fha_ipvs_service *s)
{
	if (s->family == AF_INET6)
		return s->netmask;
	if (s->netmask == 0)
		return 0;
	return s->netmask >= 32 ? UINT32_MAX : htonl(UINT32_MAX << (32 - s->netmask));
}

static void put_service(struct cursor *c, const struct fha_ipvs_service *s, int whole)
{
	struct ip_vs_flags flags = {.flags = s->flags & FHA_IPVS_OUR_FLAGS, .mask = FHA_IPVS_OUR_FLAGS};
	uint8_t *nest = nest_begin(c, IPVS_CMD_ATTR_SERVICE);

	put_service_identity(c, s);
	if (whole) {
		put_name(c, IPVS_SVC_ATTR_SCHED_NAME, s->scheduler);
		put(c, IPVS_SVC_ATTR_FLAGS, &flags, sizeof flags);
		put_u32(c, IPVS_SVC_ATTR_TIMEOUT, s->timeout_s);
		put_u32(c, IPVS_SVC_ATTR_NETMASK, wire_netmask(s));
		if (s->pe_name[0])
			put_name(c, IPVS_SVC_ATTR_PE_NAME, s->pe_name);
	}
	nest_end(c, nest);
}

static void put_dest(struct cursor *c, const struct fha_ipvs_dest *d, int whole)
{
	uint8_t *nest = nest_begin(c, IPVS_CMD_ATTR_DEST);

	put_u16(c, IPVS_DEST_ATTR_ADDR_FAMILY, d->family);
	put(c, IPVS_DEST_ATTR_ADDR, d->address, sizeof d->address);
	put_u16(c, IPVS_DEST_ATTR_PORT, htons(d->port));
	if (whole) {
		put_u32(c, IPVS_DEST_ATTR_FWD_METHOD, d->forward & IP_VS_CONN_F_FWD_MASK);
		put_u32(c, IPVS_DEST_ATTR_WEIGHT, (uint32_t)d->weight);
		put_u32(c, IPVS_DEST_ATTR_U_THRESH, d->uthreshold);
		put_u32(c, IPVS_DEST_ATTR_L_THRESH, d->lthreshold);
		/* absent they are 0 to the kernel, with SET_DEST too; kernels before 5.2 do not know them */
		if (d->forward == IP_VS_CONN_F_TUNNEL && (d->tun_type || d->tun_port || d->tun_flags)) {
			put_u8(c, IPVS_DEST_ATTR_TUN_TYPE, d->tun_type);
			put_u16(c, IPVS_DEST_ATTR_TUN_PORT, htons(d->tun_port));
			put_u16(c, IPVS_DEST_ATTR_TUN_FLAGS, d->tun_flags);
		}
	}
	nest_end(c, nest);
}

/* One operation at the cursor; -EINVAL for a verb that is none. */
static int put_op(struct cursor *c, uint16_t family_id, uint32_t seq, const struct fha_ipvs_op *op)
{
	int on_dest, whole;
	uint8_t *message;

	switch (op->verb) {
	case IPVS_CMD_NEW_SERVICE:
	case IPVS_CMD_SET_SERVICE:
	case IPVS_CMD_DEL_SERVICE:
		on_dest = 0;
		whole = op->verb != IPVS_CMD_DEL_SERVICE;
		break;
	case IPVS_CMD_NEW_DEST:
	case IPVS_CMD_SET_DEST:
	case IPVS_CMD_DEL_DEST:
		on_dest = 1;
		whole = op->verb != IPVS_CMD_DEL_DEST;
		break;
	default:
		return -EINVAL;
	}
	message = message_begin(c, family_id, NLM_F_ACK, seq, (uint8_t)op->verb, IPVS_GENL_VERSION);
	put_service(c, &op->service, whole && !on_dest);
	if (on_dest)
		put_dest(c, &op->dest, whole);
	message_end(c, message);
	return 0;
}

int fha_ipvs_encode_ops(uint8_t *buf, size_t size, uint16_t family_id, uint32_t seq, const struct fha_ipvs_op *ops,
                        size_t n, size_t *used, size_t *encoded)
{
	struct cursor c = {.start = buf, .at = buf, .end = buf + size};
	size_t i;

	*used = *encoded = 0;
	for (i = 0; i < n; i++) {
		int rc = put_op(&c, family_id, seq + (uint32_t)i, &ops[i]);

		if (rc)
			return rc;
		if (c.full)
			break;
		*used = (size_t)(c.at - buf);
		*encoded = i + 1;
	}
	return n && !*encoded ? -EMSGSIZE : 0;
}

int fha_ipvs_encode_dump(uint8_t *buf, size_t size, uint16_t family_id, uint32_t seq,
                         const struct fha_ipvs_service *service, size_t *used)
{
	struct cursor c = {.start = buf, .at = buf, .end = buf + size};
	uint8_t cmd = service ? IPVS_CMD_GET_DEST : IPVS_CMD_GET_SERVICE;
	uint8_t *message = message_begin(&c, family_id, NLM_F_DUMP, seq, cmd, IPVS_GENL_VERSION);

	if (service)
		put_service(&c, service, 0);
	return finish(&c, message, used);
}

int fha_ipvs_encode_family(uint8_t *buf, size_t size, uint32_t seq, size_t *used)
{
	struct cursor c = {.start = buf, .at = buf, .end = buf + size};
	uint8_t *message = message_begin(&c, GENL_ID_CTRL, 0, seq, CTRL_CMD_GETFAMILY, 1);

	put(&c, CTRL_ATTR_FAMILY_NAME, IPVS_GENL_NAME, sizeof IPVS_GENL_NAME);
	return finish(&c, message, used);
}
