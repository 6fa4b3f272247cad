"""`virtual_server`, `real_server` and groups of virtual servers."""

FREE = """
virtual_server_group | ADDR[-END]|ADDR/LEN [PORT]; fwmark N [inet|inet6] | Addresses, END whole or its last field; marks
"""

DATA = """
[virtual_server]
protocol                | TCP|UDP|SCTP  | UDP     |          | yes | Protocol of the service
ip_family               | inet|inet6    | of the address |   | yes | Family of a fwmark service
delay_loop              | SEC           | 60      |          | yes | Time between checks
delay_before_retry      | SEC           | of the check |     | yes | Time between a failed check and the next
retry                   | N             | of the check | 1.. | yes | Further failures until a server is down
rise                    | N             | 1       | 1..      | own | Successes in a row until a server that is down is up
warmup                  | SEC           | delay_loop |       | yes | First checks are spread over this time
connect_timeout         | SEC           | 5       |          | yes | How long a check may take
lb_algo                 | NAME          | wlc     |          | =lvs_sched | -
lvs_sched               | NAME          | wlc     |          | yes | Scheduler: rr wrr lc wlc lblc lblcr sh dh sed nq fo ovf mh twos
ops                     | -             | off     |          | yes | Schedule every UDP packet by itself
flag-1                  | -             | off     |          | yes | Scheduler flag
flag-2                  | -             | off     |          | yes | Scheduler flag
flag-3                  | -             | off     |          | yes | Scheduler flag
sh-port                 | -             | off     |          | yes | Scheduler sh hashes the port too
sh-fallback             | -             | off     |          | yes | Scheduler sh takes another server when one is down
mh-port                 | -             | off     |          | yes | Scheduler mh hashes the port too
mh-fallback             | -             | off     |          | yes | Scheduler mh takes another server when one is down
hashed                  | -             |         |          | -   | Means nothing: the kernel hashes every service
lb_kind                 | METHOD [OPTION...] | NAT |         | =lvs_method | -
lvs_method              | NAT|DR|TUN [OPTION...] | NAT |     | yes | How packets are forwarded
persistence_timeout     | [s]           | off; 360 without a number | 1..2678400 | yes | A client stays with its server this long
persistence_engine      | NAME          |         |          | yes | How the kernel tells clients apart, such as sip
persistence_granularity | MASK|LEN      | 32      |          | yes | Clients of one network count as one
nft_masquerade          | [BOOL]        | of global_defs |  | own | With nft, real servers see the address of the director
quorum                  | N             | 1       | ~1..4294967295 | yes | Weight of living servers that makes the service up
hysteresis              | N             | 0       | 0..      | yes | How far from quorum the weight must get to change that
alpha                   | [BOOL]        | off     |          | yes | Servers start down until a check succeeds
panic_threshold         | N             | 0 (off) | 0..99    | own | When more than this percentage of the living servers falls within one interval, all of them stay
removal_limit           | N             | 0 (off) | 0..      | own | How many servers may fall within one interval; the others wait for the next
omega                   | [BOOL]        | off     |          | yes | Run the down scripts when the daemon stops
ha_suspend              | [BOOL]        | off     |          | yes | Check only while this director has the address
quorum_up               | CMD [USER [GROUP]] |    |          | yes | Run when the quorum is gained
quorum_down             | CMD [USER [GROUP]] |    |          | yes | Run when the quorum is lost
inhibit_on_failure      | [BOOL]        | off     |          | yes | Servers that are down keep their connections, with weight 0
sorry_server            | ADDR [PORT]   |         |          | yes | Takes over while there is no quorum
sorry_server_inhibit    | [BOOL]        | off     |          | yes | As inhibit_on_failure for the sorry server
sorry_server_lvs_method | METHOD [OPTION...] | lvs_method |  | yes | How packets are forwarded to the sorry server
virtualhost             | STRING        |         |          | yes | Host header of HTTP checks
smtp_alert              | [BOOL]        | off     |          | yes | Mail on changes
weight                  | N             | 1       | 1..2147483647 | yes | Weight of servers that set none
snmp_name               | STRING        |         |          | -   | Name in SNMP
real_server             | ADDR [PORT] {real_server} |  |     | yes | A server

[real_server]
weight                  | N             | 1       | 0..2147483647 | yes | Share of the traffic
lvs_method              | METHOD [OPTION...] | of the virtual server | | yes | How packets are forwarded
uthreshold              | N             | 0       | 0..4294967295 | yes | Above so many connections it gets no new ones
lthreshold              | N             | 0       | 0..4294967295 | yes | Below so many it gets new ones again
inhibit_on_failure      | [BOOL]        | of the virtual server | | yes | When down, keep connections, with weight 0
alpha                   | [BOOL]        | of the virtual server | | yes | Starts down until a check succeeds
smtp_alert              | [BOOL]        |         |          | yes | Mail on changes
virtualhost             | STRING        | of the virtual server | | yes | Host header of HTTP checks
retry                   | N             | of the virtual server | 1.. | yes | Further failures until it is down
delay_before_retry      | SEC           | of the virtual server | | yes | Time between a failed check and the next
rise                    | N             | of the virtual server | 1.. | own | Successes in a row until it is up again
warmup                  | SEC           | of the virtual server | | yes | The first check is within this time
connect_timeout         | SEC           | of the virtual server | | yes | How long a check may take
delay_loop              | SEC           | of the virtual server | | yes | Time between checks
snmp_name               | STRING        |         |          | -   | Name in SNMP
notify_up               | CMD [USER [GROUP]] |    |          | yes | Run when it comes up
notify_down             | CMD [USER [GROUP]] |    |          | yes | Run when it goes down
TCP_CHECK               | {TCP_CHECK}   |         |          | yes | Can it be connected to?
HTTP_GET                | {HTTP_GET}    |         |          | yes | Does it answer HTTP requests?
SSL_GET                 | {SSL_GET}     |         |          | yes | Does it answer HTTPS requests?
SMTP_CHECK              | {SMTP_CHECK}  |         |          | yes | Does it answer as a mail server?
GRPC_CHECK              | {GRPC_CHECK}  |         |          | own | Does it say by gRPC that it is well (grpc.health.v1)?
DNS_CHECK               | {DNS_CHECK}   |         |          | yes | Does it answer DNS queries?
MISC_CHECK              | {MISC_CHECK}  |         |          | yes | Does a command succeed?
UDP_CHECK               | {UDP_CHECK}   |         |          | yes | Does it take UDP packets?
PING_CHECK              | {PING_CHECK}  |         |          | yes | Does it answer pings?
FILE_CHECK              | {FILE_CHECK}  |         |          | yes | What does a tracked file say?
BFD_CHECK               | {BFD_CHECK}   |         |          | yes | Is a BFD session up?
"""  # noqa: E501
