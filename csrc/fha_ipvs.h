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
 *   |   TUN_TYPE    u8             |  TUN alone, and only when one of the three is not 0
 *   |   TUN_PORT    be16           |
 *   |   TUN_FLAGS   u16            |  IP_VS_TUNNEL_ENCAP_FLAG_*
 *   +------------------------------+
 *
 * The other commands (fha_ipvs_control.c); one message each:
 *   SET_CONFIG   TIMEOUT_TCP u32, TIMEOUT_TCP_FIN u32, TIMEOUT_UDP u32, in seconds; GET_CONFIG answers with the same
 *   NEW_DAEMON   IPVS_CMD_ATTR_DAEMON (nest): STATE u32, MCAST_IFN string, SYNC_ID u32, and what is not 0 of SYNC_MAXLEN
 *                u16, MCAST_GROUP be32 or MCAST_GROUP6 16 bytes, MCAST_PORT u16 (host order), MCAST_TTL u8
 *   DEL_DAEMON   the nest with STATE alone; GET_DAEMON dumps nests of all
 *   FLUSH, GET_INFO   nothing
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
#define FHA_IPVS_MESSAGE_SIZE 168 /* no encoded message is larger */
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

/* A destination: identity, then what can be set. */
struct fha_ipvs_dest {
	uint16_t family;
	uint16_t port;
	uint32_t forward; /* IP_VS_CONN_F_FWD_MASK: 0 NAT, 1 local, 2 TUN, 3 DR, 4 bypass */
	int32_t weight;
	uint32_t uthreshold;
	uint32_t lthreshold;
	uint16_t tun_port;
	uint16_t tun_flags; /* IP_VS_TUNNEL_ENCAP_FLAG_* */
	uint8_t tun_type;   /* IP_VS_CONN_F_TUNNEL_TYPE_*; with TUN alone, else the three decode as 0 */
	uint8_t address[16];
};

/* What the kernel counts. Of a service `active`, `inactive` and `persistent` are 0: it has none. The totals are brought
 * up to date every 2 s; rates are smoothed over some 8 s. */
struct fha_ipvs_counters {
	uint64_t active;
	uint64_t inactive;
	uint64_t persistent;
	uint64_t connections; /* ever scheduled */
	uint64_t in_packets;
	uint64_t out_packets;
	uint64_t in_bytes;
	uint64_t out_bytes;
	uint64_t connections_per_s;
	uint64_t in_packets_per_s;
	uint64_t out_packets_per_s;
	uint64_t in_bytes_per_s;
	uint64_t out_bytes_per_s;
};

/* Connection timeouts; 0 on setting: leave as it is. */
struct fha_ipvs_timeouts {
	uint32_t tcp_s;
	uint32_t tcpfin_s;
	uint32_t udp_s;
};

/* A synchronisation daemon; 0 on starting one: the kernel's default. */
struct fha_ipvs_daemon {
	uint32_t state; /* IP_VS_STATE_MASTER, IP_VS_STATE_BACKUP */
	uint32_t sync_id;
	uint16_t maxlen;       /* of one datagram's payload, bytes */
	uint16_t port;         /* UDP */
	uint16_t group_family; /* of `group`; 0: no group given */
	uint8_t ttl;
	uint8_t group[16];
	char interface[FHA_IPVS_NAME_SIZE]; /* IP_VS_IFNAME_MAXLEN is the same */
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
int fha_ipvs_encode_family(uint8_t *buf, size_t size, uint32_t seq, size_t *used);
/* bare: IPVS_CMD_FLUSH (acknowledged), GET_INFO, GET_CONFIG, GET_DAEMON (a dump). daemon: `cmd` is IPVS_CMD_NEW_DAEMON
 *   or DEL_DAEMON (by state alone). */
int fha_ipvs_encode_bare(uint8_t *buf, size_t size, uint16_t family_id, uint32_t seq, uint8_t cmd, size_t *used);
int fha_ipvs_encode_timeouts(uint8_t *buf, size_t size, uint16_t family_id, uint32_t seq,
                             const struct fha_ipvs_timeouts *timeouts, size_t *used);
int fha_ipvs_encode_daemon(uint8_t *buf, size_t size, uint16_t family_id, uint32_t seq, uint8_t cmd,
                           const struct fha_ipvs_daemon *daemon, size_t *used);

/* decode one received datagram; messages of another sequence are skipped, but within a dump one of a later sequence is
 * nonsense. -EBADMSG: truncated or nonsense.
 * acks: results[i] = 0 or a positive errno for sequence seq + i, each first answer counted in *answered.
 * services, dests, daemons: appended at out[*count], and at counters[*count] unless NULL; beyond `cap` they are only
 *   counted. 1: the dump is complete. -EINTR: the table changed meanwhile, dump again.
 * family, info, timeouts: 1 when found. */
int fha_ipvs_decode_acks(const uint8_t *buf, size_t len, uint32_t seq, int32_t *results, size_t n, size_t *answered);
int fha_ipvs_decode_services(const uint8_t *buf, size_t len, uint32_t seq, struct fha_ipvs_service *out,
                             struct fha_ipvs_counters *counters, size_t cap, size_t *count);
int fha_ipvs_decode_dests(const uint8_t *buf, size_t len, uint32_t seq, struct fha_ipvs_dest *out,
                          struct fha_ipvs_counters *counters, size_t cap, size_t *count);
int fha_ipvs_decode_daemons(const uint8_t *buf, size_t len, uint32_t seq, struct fha_ipvs_daemon *out, size_t cap,
                            size_t *count);
int fha_ipvs_decode_timeouts(const uint8_t *buf, size_t len, uint32_t seq, struct fha_ipvs_timeouts *out);
int fha_ipvs_decode_family(const uint8_t *buf, size_t len, uint32_t seq, uint16_t *family_id);
int fha_ipvs_decode_info(const uint8_t *buf, size_t len, uint32_t seq, uint32_t *version, uint32_t *table_size);

/* open: -ENOENT: this kernel (or network namespace) has no IPVS; -EPERM: CAP_NET_ADMIN is missing.
 * apply: in order, windowed, results[i] = 0, a positive errno or FHA_IPVS_UNKNOWN. Not 0 if any is unknown; then (and
 *   after a failed dump) close and open again before the next use.
 * dump: *count is what there is, which may be more than `cap`; `counters` has room for as many, or is NULL.
 * The others: 0, or -errno of the kernel or of the socket; close after a failure as well.
 *   start_daemon: -EEXIST: one of that state runs; -ENODEV; stop_daemon: -ESRCH: none of that state runs;
 *   -EINTR: the kernel gave no answer, look whether it runs. */
int fha_ipvs_open(struct fha_ipvs_socket *s);
void fha_ipvs_close(struct fha_ipvs_socket *s);
int fha_ipvs_apply(struct fha_ipvs_socket *s, const struct fha_ipvs_op *ops, size_t n, int32_t *results);
int fha_ipvs_dump_services(struct fha_ipvs_socket *s, struct fha_ipvs_service *out, struct fha_ipvs_counters *counters,
                           size_t cap, size_t *count);
int fha_ipvs_dump_dests(struct fha_ipvs_socket *s, const struct fha_ipvs_service *service, struct fha_ipvs_dest *out,
                        struct fha_ipvs_counters *counters, size_t cap, size_t *count);
int fha_ipvs_dump_daemons(struct fha_ipvs_socket *s, struct fha_ipvs_daemon *out, size_t cap, size_t *count);
int fha_ipvs_get_timeouts(struct fha_ipvs_socket *s, struct fha_ipvs_timeouts *out);
int fha_ipvs_set_timeouts(struct fha_ipvs_socket *s, const struct fha_ipvs_timeouts *timeouts);
int fha_ipvs_start_daemon(struct fha_ipvs_socket *s, const struct fha_ipvs_daemon *daemon);
int fha_ipvs_stop_daemon(struct fha_ipvs_socket *s, uint32_t state);
int fha_ipvs_flush(struct fha_ipvs_socket *s);

/* </cdef> */

#endif
