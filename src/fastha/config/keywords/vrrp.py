"""`vrrp_instance` and `vrrp_sync_group`."""

FREE = """
addresses     | ADDR[/LEN] [dev IF] [label NAME] [scope SCOPE] [OPTION...] | Addresses
static_addresses | ADDR[/LEN] [dev IF] [scope SCOPE] [track_group NAME] [OPTION...] | Addresses, without use_vmac
routes        | [TYPE] DEST [OPTION...]                     | Routes
rules         | SELECTOR... ACTION preference N             | Routing rules
virtual_routes | [TYPE] DEST dev IF [OPTION...]             | Routes, without track_group
virtual_rules | SELECTOR... ACTION preference N             | Routing rules, without track_group
peers         | ADDR [min_ttl N] [max_ttl N]                | Unicast peers
track_virtual | ADDR PORT|group NAME [TCP|UDP|SCTP]; fwmark N [inet|inet6]; then [weight N] | Tracked virtual servers
"""

DATA = """
[vrrp_instance]
interface                  | IF             |          |         | yes | Where adverts are sent and heard
virtual_router_id          | N              |          | 1..255  | yes | Identity of the virtual router on its network
state                      | MASTER|BACKUP  | BACKUP   |         | yes | Which it would like to be; MASTER without priority means priority 255
priority                   | N              | 100      | 1..255  | yes | Highest wins; 255 owns the addresses
advert_int                 | SEC            | 1        | 0.01..255 | yes | Time between adverts, 0.01 to 255 s; version 2 has whole seconds, version 3 at most 40.95 s
version                    | 2|3            | vrrp_version | 2..3 | yes | Protocol version
nopreempt                  | -              | off      |         | yes | Do not take over from a living master of lower priority
preempt                    | -              | on       |         | yes | Take over from a master of lower priority
preempt_delay              | SEC            | 0        | 0..1000 | yes | Wait this long (0 to 1000 s) before doing so
accept                     | -              | on       |         | yes | Accept packets to the addresses
no_accept                  | -              | off      |         | yes | Drop packets to the addresses
strict_mode                | [BOOL]         | vrrp_strict |      | yes | Insist on the RFC
skip_check_adv_addr        | [BOOL]         | vrrp_skip_check_adv_addr | | yes | Do not compare addresses in every advert of the same master
down_timer_adverts         | N              | vrrp_down_timer_adverts | 1..100 | yes | Missed adverts until the master counts as dead
timer_expired_backup       | [N]            | off      | 1..254  | yes @2.2.8 | A master that was late becomes backup
thread_timer_expired       | [N]            |          |         | =timer_expired_backup | -
lower_prio_no_advert       | [BOOL]         | vrrp_lower_prio_no_advert | | yes | A master does not answer lower-priority adverts
higher_prio_send_advert    | [BOOL]         | vrrp_higher_prio_send_advert | | yes | A master sends one more advert before it yields
owner_ignore_adverts       | [BOOL]         | vrrp_owner_ignore_adverts | | yes @2.3.3 | Priority 255 ignores adverts
v3_checksum_as_v2          | [BOOL]         | v3_checksum_as_v2 | | yes @2.2.8 | Version 3 checksum without the pseudo header
old_unicast_checksum       | [never]        |          |         | yes | Checksum of old keepalived releases
unicast_src_ip             | ADDR           |          |         | yes | Source address of unicast adverts
unicast_peer               | {peers}        |          |         | yes | Send adverts to these instead of multicast
unicast_ttl                | N              | 255      | 0..255  | yes | TTL of unicast adverts
unicast_fault_no_peer      | -              | off      |         | yes | FAULT if there is no peer
check_unicast_src          | -              | vrrp_check_unicast_src | | yes | Take unicast adverts from listed peers only
mcast_src_ip               | ADDR           |          |         | yes | Source address of multicast adverts
mcast_dst_ip               | ADDR           |          |         | yes | Multicast group of this instance
track_src_ip               | -              | off      |         | yes | FAULT when the source address goes
dont_track_primary         | -              | off      |         | yes | The interface may be down
track_interface            | {trackers}     |          |         | yes | Interfaces it needs
track_script               | {trackers}     |          |         | yes | Scripts it needs
track_file                 | {trackers}     |          |         | yes | Files it needs
track_process              | {trackers}     |          |         | yes | Processes it needs
track_bfd                  | {trackers}     |          |         | yes | BFD sessions it needs
track_virtual_server       | {track_virtual} |         |         | own | Virtual servers whose quorum it needs
virtual_ipaddress          | {addresses}    |          |         | yes | Addresses of the virtual router
virtual_ipaddress_excluded | {addresses}    |          |         | yes | Addresses that adverts do not carry
no_virtual_ipaddress       | -              | off      |         | yes @2.2.8 | There may be no address
virtual_routes             | {virtual_routes} |          |         | yes | Routes that go with mastership
virtual_rules              | {virtual_rules} |          |         | yes | Routing rules that go with mastership
promote_secondaries        | -              | off      |         | yes | Keep secondary addresses when a primary goes
use_vmac                   | [VMAC...]      | off      |         | yes | Use the virtual MAC address
use_vmac_addr              | -              | off      |         | yes | The same for addresses on other interfaces or of the other family
vmac_xmit_base             | -              | off      |         | yes | Send adverts with the address of the interface itself
staged_addresses           | -              | off      |         | own | Keep the addresses on the VMAC while it is down; to take over is to set it up
use_ipvlan                 | [IPVLAN...]    | off      |         | yes | Use an ipvlan interface
vrf                        | IF             |          |         | yes | Speak unicast in this VRF; instead of interface
native_ipv6                | -              |          |         | yes | It speaks IPv6, also without an address that says so
linkbeat_use_polling       | -              | off      |         | -   | Poll the link
debug                      | N              | 0        | 0..4    | -   | Means nothing: keepalived stores it
kernel_rx_buf_size         | N              | vrrp_rx_bufs_policy | 0..4294967295 | yes | Receive buffer of adverts, its part of it in bytes
garp_master_delay          | s              | vrrp_garp_master_delay | 0..4294 | yes | As vrrp_garp_master_delay
garp_master_repeat         | N              | vrrp_garp_master_repeat | ~1..4294967295 | yes | As vrrp_garp_master_repeat
garp_master_refresh        | s              | vrrp_garp_master_refresh | 0..4294 | yes | As vrrp_garp_master_refresh
garp_master_refresh_repeat | N              | vrrp_garp_master_refresh_repeat | ~1..4294967295 | yes | As vrrp_garp_master_refresh_repeat
garp_lower_prio_delay      | s              | vrrp_garp_lower_prio_delay | 0..4294 | yes | As vrrp_garp_lower_prio_delay
garp_lower_prio_repeat     | N              | vrrp_garp_lower_prio_repeat | 0..2147483647 | yes | As vrrp_garp_lower_prio_repeat
garp_extra_if              | [all] s        | 0        | 0..86400 | yes | Time between gratuitous ARPs on VMACs that adverts do not come from; all: on other interfaces too
vmac_garp_intvl            | [all] s        |          |         | =garp_extra_if | -
notify_master              | CMD [USER [GROUP]] |      |         | yes | Run on becoming master
notify_backup              | CMD [USER [GROUP]] |      |         | yes | Run on becoming backup
notify_fault               | CMD [USER [GROUP]] |      |         | yes | Run on FAULT
notify_stop                | CMD [USER [GROUP]] |      |         | yes | Run when the daemon stops
notify_deleted             | [CMD [USER [GROUP]]] |    |         | yes | The state is DELETED, and not FAULT, when a reload removes the instance; what is run then
notify_master_rx_lower_pri | CMD [USER [GROUP]] |      |         | yes | Run when a master hears a lower priority
notify                     | CMD [USER [GROUP]] |      |         | yes | Run on every change
smtp_alert                 | [BOOL]         |          |         | yes | Mail on changes
notify_priority_changes    | [BOOL]         |          |         | yes | Tell scripts of priority changes
lvs_sync_daemon_interface  | IF             |          |         | -   | The kernel's connection synchronisation; use lvs_sync_daemon
authentication             | {authentication} |        |         | yes | Password of version 2
auth_hmac                  | {auth_hmac}    |          |         | yes @2.4.0 | Signed adverts

[authentication]
auth_type                  | PASS|AH        |          |         | yes | PASS: eight bytes in clear; AH: RFC 2402 with HMAC-MD5-96
auth_pass                  | STRING         |          |         | yes | The password; at most eight bytes count

[auth_hmac]
key                        | N KEY          |          | 1..255  | yes @2.4.0 | A key and its number: 32 to 64 bytes as text, hex:HEX or file:PATH
active_key                 | N              |          | 1..255  | yes @2.4.0 | The key that signs; must be there
mode                       | enforce|permissive|receive-only | enforce | | yes @2.4.0 | Enforce: unsigned adverts are dropped; permissive: they count; receive-only: they count, and ours are unsigned
anti_replay                | time|monotonic | time     |         | yes @2.4.0 | Replays are known by the clock and by numbers that only grow, or by the numbers alone (monotonic)
time_window                | s              | max(5, 3 advert_int) | 1..300  | yes @2.4.0 | How far an advert may be from our clock

[vrrp_sync_group]
group                      | {instances}    |          |         | yes | Members
track_interface            | {trackers}     |          |         | yes | Interfaces all members need
track_script               | {trackers}     |          |         | yes | Scripts all members need
track_file                 | {trackers}     |          |         | yes | Files all members need
track_process              | {trackers}     |          |         | yes | Processes all members need
track_bfd                  | {trackers}     |          |         | yes | BFD sessions all members need
sync_group_tracking_weight | -              | off      |         | yes | Members may have weighted trackers
global_tracking            | -              |          |         | =sync_group_tracking_weight | -
notify_master              | CMD [USER [GROUP]] |      |         | yes | Run on becoming master
notify_backup              | CMD [USER [GROUP]] |      |         | yes | Run on becoming backup
notify_fault               | CMD [USER [GROUP]] |      |         | yes | Run on FAULT
notify_stop                | CMD [USER [GROUP]] |      |         | yes | Run when the daemon stops
notify                     | CMD [USER [GROUP]] |      |         | yes | Run on every change
smtp_alert                 | [BOOL]         |          |         | yes | Mail on changes
notify_priority_changes    | [BOOL]         |          |         | yes | The same, of members that do not say it
"""  # noqa: E501
