/* IPVS over generic netlink: encode, decode, send in bulk. No allocation: callers own every buffer.
 *
 * Return values: 0 (or what the comment says) on success, -errno on failure. Numbers are in host order, addresses in
 * network order. Layouts are linux/ip_vs.h and linux/genetlink.h; policy and errno are net/netfilter/ipvs/ip_vs_ctl.c.
 *
 * One operation on the wire; every box starts on a 4-byte boundary, lengths include their own header:
 *
 *   +------------------------------+  struct nlmsghdr (16): type = family id, flags = REQUEST|ACK; seq counts up
 *   | len | type | flags | seq|pid |
 *   +------------------------------+  struct genlmsghdr (4): cmd = IPVS_CMD_NEW_SERVICE ...
 *   | cmd | version 1 | 0          |
 *   +------------------------------+
 *   | IPVS_CMD_ATTR_SERVICE (nest) |
 *   |   AF          u16            |  identity: AF and (PROTOCOL, ADDR, PORT) or FWMARK
 *   |   PROTOCOL    u16            |
 *   |   ADDR        16 bytes       |  union nf_inet_addr: an IPv4 address fills the first 4
 *   |   PORT        be16           |
 *   |   FWMARK      u32            |
 *   |   SCHED_NAME  string         |  the rest with NEW_SERVICE and SET_SERVICE only
 *   |   FLAGS       u32 u32        |  struct ip_vs_flags: value, and a mask of the bits that are ours
 *   |   TIMEOUT     u32            |  seconds
 *   |   NETMASK     be32 | u32     |  IPv4: mask in network order; IPv6: prefix length in host order
 *   |   PE_NAME     string         |  absent: none
 *   +------------------------------+
 *   | IPVS_CMD_ATTR_DEST (nest)    |  with the dest verbs only
 *   |   ADDR_FAMILY u16            |
 *   |   ADDR        16 bytes       |
 *   |   PORT        be16           |
 *   |   FWD_METHOD  u32            |  the rest with NEW_DEST and SET_DEST only
 *   |   WEIGHT      u32            |
 *   |   U_THRESH    u32            |
 *   |   L_THRESH    u32            |
 *   +------------------------------+
 */
#ifndef FHA_IPVS_H
#define FHA_IPVS_H

#include <stddef.h>
#include <stdint.h>

/* <cdef> csrc/ipvs_build.py hands what follows, down to the closing mark, to cffi: plain declarations only */

#define FHA_IPVS_NAME_SIZE 16     /* IP_VS_SCHEDNAME_MAXLEN and IP_VS_PENAME_MAXLEN: 15 characters and a NUL */
#define FHA_IPVS_OUR_FLAGS 0x3d   /* PERSISTENT, ONEPACKET, SCHED1-3 */
#define FHA_IPVS_NETMASK_ODD 255  /* decoded from an IPv4 mask that is no prefix */
#define FHA_IPVS_WINDOW 256       /* messages in one send, at most */
#define FHA_IPVS_MESSAGE_SIZE 144 /* no encoded message is larger */
#define FHA_IPVS_BUFFER_SIZE 65536
#define FHA_IPVS_UNKNOWN -1 /* result of an operation that was not answered */

/* A service: identity first, then what can be set. */
struct fha_ipvs_service {
	uint16_t family;   /* AF_INET, AF_INET6 */
	uint16_t protocol; /* IPPROTO_*; not read with a fwmark */
	uint16_t port;
	uint16_t netmask; /* prefix length */
	uint32_t fwmark;  /* not 0: identity instead of protocol, address and port */
	uint32_t flags;   /* IP_VS_SVC_F_*; encoded under FHA_IPVS_OUR_FLAGS */
	uint32_t timeout_s;
	uint8_t address[16];
	char scheduler[FHA_IPVS_NAME_SIZE];
	char pe_name[FHA_IPVS_NAME_SIZE];
};

/* A destination: identity, what can be set, and what the kernel counts (written by decoding only). */
struct fha_ipvs_dest {
	uint16_t family;
	uint16_t port;
	uint32_t forward; /* IP_VS_CONN_F_FWD_MASK: 0 NAT, 1 local, 2 TUN, 3 DR, 4 bypass */
	int32_t weight;
	uint32_t uthreshold;
	uint32_t lthreshold;
	uint32_t active;
	uint32_t inactive;
	uint32_t persistent;
	uint64_t connections; /* ever scheduled */
	uint8_t address[16];
};

/* One change; `verb` is an IPVS_CMD_NEW/SET/DEL_SERVICE/DEST and says which parts are read. */
struct fha_ipvs_op {
	uint32_t verb;
	struct fha_ipvs_service service;
	struct fha_ipvs_dest dest;
};

/* An open socket and its two buffers. */
struct fha_ipvs_socket {
	int fd; /* -1: closed */
	uint16_t family_id;
	uint16_t window;     /* messages in one send: no more than the receive buffer holds answers for */
	uint32_t seq;        /* of the next message */
	uint32_t version;    /* of IPVS, 0x010201 = 1.2.1 */
	uint32_t table_size; /* of the connection hash */
	uint8_t out[FHA_IPVS_BUFFER_SIZE];
	uint8_t in[FHA_IPVS_BUFFER_SIZE];
};

/* encode: bytes into `buf`, their number into *used. -EMSGSIZE: not one message fits; -EINVAL: no such verb. */
int fha_ipvs_encode_ops(uint8_t *buf, size_t size, uint16_t family_id, uint32_t seq, const struct fha_ipvs_op *ops,
                        size_t n, size_t *used, size_t *encoded);
int fha_ipvs_encode_dump(uint8_t *buf, size_t size, uint16_t family_id, uint32_t seq,
                         const struct fha_ipvs_service *service, size_t *used);
int fha_ipvs_encode_info(uint8_t *buf, size_t size, uint16_t family_id, uint32_t seq, size_t *used);
int fha_ipvs_encode_family(uint8_t *buf, size_t size, uint32_t seq, size_t *used);

/* decode one received datagram; messages of another sequence are skipped. -EBADMSG: truncated or nonsense.
 * acks: results[i] = 0 or a positive errno for sequence seq + i, each first answer counted in *answered.
 * services, dests: appended at out[*count]; beyond `cap` they are only counted. 1: the dump is complete.
 *   -EINTR: the table changed meanwhile, dump again. family, info: 1 when found. */
int fha_ipvs_decode_acks(const uint8_t *buf, size_t len, uint32_t seq, int32_t *results, size_t n, size_t *answered);
int fha_ipvs_decode_services(const uint8_t *buf, size_t len, uint32_t seq, struct fha_ipvs_service *out, size_t cap,
                             size_t *count);
int fha_ipvs_decode_dests(const uint8_t *buf, size_t len, uint32_t seq, struct fha_ipvs_dest *out, size_t cap,
                          size_t *count);
int fha_ipvs_decode_family(const uint8_t *buf, size_t len, uint32_t seq, uint16_t *family_id);
int fha_ipvs_decode_info(const uint8_t *buf, size_t len, uint32_t seq, uint32_t *version, uint32_t *table_size);

/* open: -ENOENT: this kernel (or network namespace) has no IPVS; -EPERM: CAP_NET_ADMIN is missing.
 * apply: in order, windowed, results[i] = 0, a positive errno or FHA_IPVS_UNKNOWN. Not 0 if any is unknown; then (and
 *   after a failed dump) close and open again before the next use.
 * dump: *count is what there is, which may be more than `cap`. */
int fha_ipvs_open(struct fha_ipvs_socket *s);
void fha_ipvs_close(struct fha_ipvs_socket *s);
int fha_ipvs_apply(struct fha_ipvs_socket *s, const struct fha_ipvs_op *ops, size_t n, int32_t *results);
int fha_ipvs_dump_services(struct fha_ipvs_socket *s, struct fha_ipvs_service *out, size_t cap, size_t *count);
int fha_ipvs_dump_dests(struct fha_ipvs_socket *s, const struct fha_ipvs_service *service, struct fha_ipvs_dest *out,
                        size_t cap, size_t *count);

/* </cdef> */

#endif
