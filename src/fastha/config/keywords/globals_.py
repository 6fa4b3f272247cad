"""Top level and `global_defs`."""

# Said twice, the first one counts.
ONCE = """startup_script shutdown_script vmac_prefix vmac_addr_prefix nftables notify_fifo vrrp_notify_fifo
    lvs_notify_fifo notify_fifo_script vrrp_notify_fifo_script lvs_notify_fifo_script snmp_socket
    tmp_config_directory"""

FREE = """
emails | ADDRESS | Mail addresses
"""

DATA = """
[top level]
global_defs              | {global_defs}                   |             |       | yes | Settings of the whole daemon and defaults for instances
track_group              | NAME {track_group}              |             |       | yes | Instances that fail when a static address, route or rule is lost
static_ipaddress         | {static_addresses}              |             |       | yes | Addresses kept on interfaces while the daemon runs
static_routes            | {routes}                        |             |       | yes | Routes kept while the daemon runs
static_rules             | {rules}                         |             |       | yes | Routing rules kept while the daemon runs
interface_up_down_delays | {interface_delays}              |             |       | yes | Time a link must stay down or up before it counts
linkbeat_interfaces      | {linkbeat}                      |             |       | -   | Interfaces whose link is polled
vrrp_sync_group          | NAME {vrrp_sync_group}          |             |       | yes | Instances that change state together
garp_group               | {garp_group}                    |             |       | yes | Interfaces that share one limit on gratuitous ARP
vrrp_instance            | NAME {vrrp_instance}            |             |       | yes | One virtual router
vrrp_script              | NAME {vrrp_script}              |             |       | yes | A command whose result instances can track
vrrp_track_process       | NAME {vrrp_track_process}       |             |       | yes | A process whose presence instances can track
track_file               | NAME {track_file}               |             |       | yes | A file with a number that instances and checks can track
vrrp_track_file          | NAME {track_file}               |             |       | =track_file | -
bfd_instance             | NAME {bfd_instance}             |             |       | yes | A BFD session with a neighbour
SSL                      | {SSL}                           |             |       | yes | Client key and certificate for SSL_GET and GRPC_CHECK
virtual_server_group     | NAME {virtual_server_group}     |             |       | yes | Addresses and marks that share one set of real servers
virtual_server           | ADDR|fwmark|group [PORT|N|NAME] [inet|inet6] {virtual_server} | |  | yes | One balanced service
linkbeat_use_polling     | -                               | off         |       | -   | Poll every link instead of listening to the kernel
net_namespace            | NAME                            |             |       | yes | Run in this network namespace
net_namespace_ipvs       | [NAME]                          | net_namespace |     | yes | Program the load balancer in this network namespace; without a name that of the start
namespace_with_ipsets    | -                               | off         |       | -   | Allow IP sets in a namespace on old kernels
use_pid_dir              | -                               | off         |       | yes | Keep PID files in a directory
instance                 | NAME                            |             |       | yes | Name of this daemon among several on one machine
child_wait_time          | s                               | 5           | 0..4294967295 | yes | How long a child may take to stop before it is killed

[global_defs]
router_id                | STRING                          | host name   |       | yes | Name of this director
notification_email       | {emails}                        |             |       | yes | Who gets mail
notification_email_from  | STRING                          |             |       | yes | Sender of mail
smtp_server              | HOST [PORT]                     | 127.0.0.1   |       | yes | Mail server
smtp_helo_name           | STRING                          |             |       | yes | Name given to the mail server
smtp_connect_timeout     | s                               | 30          | ~1..4294 | yes | How long the mail server may take
smtp_tls                 | off|opportunistic|starttls|implicit | off     |       | own | Speak to the mail server over TLS: where it offers STARTTLS, never without, or from the first byte (port 465)
smtp_tls_verify          | [BOOL]                          | on with starttls and implicit | | own | The certificate must come from a known authority and be for the right name
smtp_tls_verify_name     | NAME                            | of smtp_server |    | own | Name or address the certificate must have
smtp_tls_ca              | PATH                            | the system's |      | own | Certificates of authorities for smtp_tls_verify
smtp_user                | NAME                            |             |       | own | Log in at the mail server as this user
smtp_password            | STRING                          |             |       | own | Its password
smtp_password_file       | PATH                            |             |       | own | File whose first line is its password, read for each delivery
smtp_alert               | [BOOL]                          |             |       | yes | Mail on changes of everything
smtp_alert_vrrp          | [BOOL]                          |             |       | yes | Mail on changes of instances
smtp_alert_checker       | [BOOL]                          |             |       | yes | Mail on changes of servers
no_email_faults          | -                               | off         |       | yes | No mail for FAULT
no_checker_emails        | [BOOL]                          | off         |       | yes | No mail for single checks
script_user              | USER [GROUP]                    | keepalived_script, if there is such a user | | yes | Who runs the scripts
enable_script_security   | -                               | off         |       | yes | Do not run scripts as root if others can change them
set_supplementary_groups | [BOOL]                          | off         |       | yes @2.4.4 | Give scripts all groups of their user
use_symlink_paths        | [BOOL]                          | off         |       | - @2.3.0 | Run scripts by the path as written
startup_script           | CMD [USER [GROUP]]              |             |       | yes | Run before anything starts
shutdown_script          | CMD [USER [GROUP]]              |             |       | yes | Run after everything has stopped
startup_script_timeout   | s                               | 10          | 1..1000 | yes | How long startup_script may take
shutdown_script_timeout  | s                               | 10          | 1..1000 | yes | How long shutdown_script may take
umask                    | MASK...                         | 0177        |       | yes | Permissions withheld from files
random_seed              | N                               |             | 0..4294967295 | yes | Makes random numbers repeatable
process_names            | -                               | off         |       | yes | Children show their own names
process_name             | COMM                            |             |       | yes | Name of the parent process
vrrp_process_name        | COMM                            |             |       | yes | Name of the VRRP process
checker_process_name     | COMM                            |             |       | yes | Name of the checker process
lvs_process_name         | COMM                            |             |       | =checker_process_name | -
bfd_process_name         | COMM                            |             |       | yes | Name of the BFD process
vrrp_priority            | N                               | 0           | -20..19 | yes | Nice value of the VRRP process
checker_priority         | N                               | 0           | -20..19 | yes | Nice value of the checker process
bfd_priority             | N                               | 0           | -20..19 | yes | Nice value of the BFD process
vrrp_no_swap             | -                               | off         |       | yes | Lock the VRRP process in memory
checker_no_swap          | -                               | off         |       | yes | Lock the checker process in memory
bfd_no_swap              | -                               | off         |       | yes | Lock the BFD process in memory
vrrp_rt_priority         | N                               | off         | ~1..99 | yes | Real-time priority of the VRRP process
checker_rt_priority      | N                               | off         | ~1..99 | yes | Real-time priority of the checker process
bfd_rt_priority          | N                               | off         | ~1..99 | yes | Real-time priority of the BFD process
vrrp_cpu_affinity        | N...                            | all         | 0..1023 | yes | CPUs of the VRRP process
checker_cpu_affinity     | N...                            | all         | 0..1023 | yes | CPUs of the checker process
bfd_cpu_affinity         | N...                            | all         | 0..1023 | yes | CPUs of the BFD process
vrrp_rlimit_rttime       | us                              | none        | 1..4294967295 | yes | Real-time CPU limit of the VRRP process
vrrp_rlimit_rtime        | us                              |             |       | =vrrp_rlimit_rttime | -
checker_rlimit_rttime    | us                              | none        | 1..4294967295 | yes | Real-time CPU limit of the checker process
checker_rlimit_rtime     | us                              |             |       | =checker_rlimit_rttime | -
bfd_rlimit_rttime        | us                              | none        | 1..4294967295 | yes | Real-time CPU limit of the BFD process
bfd_rlimit_rtime         | us                              |             |       | =bfd_rlimit_rttime | -
max_auto_priority        | [N]                             | 0           | -1..99 | yes  | Raise real-time priority when timers run late, up to this
min_auto_priority_delay  | us                              | 1000000     | 1..10000000 | yes | How late a timer must be for that
vrrp_netlink_cmd_rcv_bufs           | N                    |             | 0..4294967295 | yes | Receive buffer of netlink sockets of the VRRP process that ask
vrrp_netlink_cmd_rcv_bufs_force     | [BOOL]               | off         |       | yes | Set that buffer beyond the system limit
vrrp_netlink_monitor_rcv_bufs       | N                    |             | 0..4294967295 | yes | Receive buffer of netlink sockets of the VRRP process that are told
vrrp_netlink_monitor_rcv_bufs_force | [BOOL]               | off         |       | yes | Set that buffer beyond the system limit
lvs_netlink_cmd_rcv_bufs            | N                    |             | 0..4294967295 | yes | Receive buffer of netlink sockets of the checker that ask for addresses
lvs_netlink_cmd_rcv_bufs_force      | [BOOL]               | off         |       | yes | Set that buffer beyond the system limit
lvs_netlink_monitor_rcv_bufs        | N                    |             | 0..4294967295 | yes | Receive buffer of the netlink socket of the checker that is told of addresses
lvs_netlink_monitor_rcv_bufs_force  | [BOOL]               | off         |       | yes | Set that buffer beyond the system limit
process_monitor_rcv_bufs            | N                    |             | 0..4294967295 | yes | Receive buffer of the process monitor
process_monitor_rcv_bufs_force      | [BOOL]               | off         |       | yes | Set that buffer beyond the system limit
vrrp_rx_bufs_policy      | MTU|ADVERT|N                    | 1 MiB       | 0..4294967295 | yes | Receive buffer of adverts: for each instance a multiple of the MTU, of the length of its adverts, or bytes
vrrp_rx_bufs_multiplier  | N                               | 3           | 1..4294967295 | yes | Times the size that vrrp_rx_bufs_policy gives
vrrp_version             | 2|3                             | 2           | 2..3  | yes | Protocol version of instances that set none
address_lease            | s                               | none        | 3..86400 | own | Virtual addresses vanish by themselves if nobody renews them for so long
default_interface        | IF                              | eth0        |       | yes | Interface of static addresses without dev
dynamic_interfaces       | [allow_if_changes]              | off         |       | -   | Without effect: interfaces may always appear later, go and come back
disable_local_igmp       | -                               | off         |       | yes | No IGMP reports for link-local groups
v3_checksum_as_v2        | [BOOL]                          | off         |       | yes @2.2.8 | Version 3 checksum without the pseudo header
vrrp_mcast_group4        | GROUP4                          | 224.0.0.18  |       | yes | Multicast group of IPv4 adverts
vrrp_mcast_group6        | GROUP6                          | ff02::12    |       | yes | Multicast group of IPv6 adverts
vrrp_garp_master_delay   | s                               | 5           | 0..4294 | yes | After becoming master, wait this long for the second block of gratuitous ARP; 0 for none
vrrp_garp_master_repeat  | N                               | 5           | ~1..4294967295 | yes | Gratuitous ARPs for each address in a block
vrrp_garp_master_refresh | s                               | 0           | 0..4294 | yes | Time between refreshing gratuitous ARPs while master; 0 for none
vrrp_garp_master_refresh_repeat | N                        | 1           | ~1..4294967295 | yes | Gratuitous ARPs for each address in a refresh
vrrp_garp_lower_prio_delay  | s                            | vrrp_garp_master_delay | 0..4294 | yes | The same delay after a lower-priority advert was heard
vrrp_garp_lower_prio_repeat | N                            | vrrp_garp_master_repeat | 0..2147483647 | yes | The same repeat after a lower-priority advert was heard
vrrp_garp_interval       | SEC                             | 0           | 0.000001..4294.967295 | yes | Least time between gratuitous ARPs on one interface
vrrp_gna_interval        | SEC                             | 0           | 0.000001..4294.967295 | yes | Least time between neighbour advertisements on one interface
vrrp_min_garp            | [BOOL]                          | off         |       | yes | One gratuitous ARP and no second block, where nothing else is set
vrrp_garp_extra_if       | [all] s                         | 0           | 1..86400 | yes | Time between gratuitous ARPs on VMACs that adverts do not come from; all: on other interfaces too
vrrp_vmac_garp_intvl     | [all] s                         |             |       | =vrrp_garp_extra_if | -
vrrp_down_timer_adverts  | N                               | 3           | 1..100 | yes | Missed adverts until the master counts as dead
vrrp_lower_prio_no_advert    | [BOOL]                      | off         |       | yes   | A master does not answer lower-priority adverts
vrrp_higher_prio_send_advert | [BOOL]                      | off         |       | yes   | A master sends one more advert before it yields
vrrp_check_unicast_src   | -                               | off         |       | yes | Take unicast adverts from listed peers only
vrrp_skip_check_adv_addr | [BOOL]                          | off         |       | yes | Do not compare addresses in every advert of the same master
vrrp_strict              | [BOOL]                          | off         |       | yes | Insist on the RFC
vrrp_owner_ignore_adverts | [BOOL]                         | off         |       | yes @2.3.3 | An instance of priority 255 ignores adverts
vrrp_startup_delay       | SEC                             |             | 0.001..4294.967295 | yes   | Wait before VRRP starts
vrrp_delay_after_boot    | SEC                             |             | 0.001..4294.967295 | yes @2.4.0 | Wait for the machine to be up this long
vrrp_notify_priority_changes | [BOOL]                      | off         |       | yes | Tell scripts of priority changes
log_unknown_vrids        | -                               | off         |       | yes   | Log adverts of unknown virtual routers
vmac_prefix              | STRING                          | vrrp        |       | yes | Names of VMAC interfaces begin with this
vmac_addr_prefix         | STRING                          | vmac_prefix |       | yes | Names of VMACs of addresses begin with this
vrrp_iptables            | [IN [OUT]]                      |             |       | -   | Chains of iptables for no_accept
vrrp_ipsets              | [NAME...]                       |             |       | -   | Names of IP sets for no_accept
nftables                 | [NAME]                          | keepalived         |       | yes | Table of nftables for no_accept and VMACs; it is made when one needs it
nftables_priority        | N                               | -1          | -2147483648..2147483647 | yes | Priority of that table's hooks
nftables_counters        | -                               | off         |       | yes | Counters in that table
nftables_ifindex         | -                               | off         |       | -   | Match interfaces by index in that table
nftables_ipvs            | [NAME]                          |             |       | yes | Table of nftables that marks traffic of virtual_server_group
nftables_ipvs_priority   | N                               | -1          | -2147483648..2147483647 | yes | Priority of that table's hooks
nftables_ipvs_start_fwmark | N                             | 1000        | 1..4294967295 | yes | First mark that is used for it
nft_masquerade           | [BOOL]                          | on          |       | own | With nft, real servers see the address of the director
lvs_timeouts             | [NAME N...]                     |             |       | yes | The kernel's tcp, tcpfin and udp timeouts
lvs_flush                | -                               | off         |       | yes | Empty the kernel's table at start
lvs_flush_on_stop        | [VS]                            | off         |       | yes | Empty the kernel's table at the end
lvs_flush_onstop         | [VS]                            |             |       | =lvs_flush_on_stop | -
lvs_sync_daemon          | IF [WORD...]                    |             |       | yes | The kernel's connection synchronisation
checker_log_all_failures | [BOOL]                          | off         |       | yes | Log every failed check
rs_init_notifies         | [BOOL]                          | off         |       | yes | Scripts and pipes are told of real servers that begin as up
snmp_socket              | STRING                          |             |       | -   | AgentX socket
enable_traps             | -                               | off         |       | -   | Send SNMP traps
enable_snmp_vrrp         | -                               | off         |       | -   | SNMP tables of VRRP
enable_snmp_keepalived   | -                               |             |       | =enable_snmp_vrrp | -
enable_snmp_checker      | -                               | off         |       | -   | SNMP tables of the checker
enable_snmp_rfcv2        | -                               | off         |       | -   | SNMP tables of RFC 2787
enable_snmp_rfcv3        | -                               | off         |       | -   | SNMP tables of RFC 6527
enable_snmp_rfc          | -                               | off         |       | -   | SNMP tables of both RFCs
snmp_vs_stats_update_interval | SEC                        | 5           | 0.001..30 | - @2.3.0 | How old SNMP figures of virtual servers may be
snmp_rs_stats_update_interval | SEC                        | 5           | 0.001..30 | - @2.3.0 | How old SNMP figures of real servers may be
enable_dbus              | -                               | off         |       | -   | Offer the D-Bus interface
dbus_service_name        | NAME                            |             |       | -   | D-Bus name
dbus_no_interface_name   | NAME                            | none        |       | - @2.3.0 | D-Bus path of instances without interface
notify_fifo              | PATH [USER [GROUP]]             |             |       | yes | Pipe that gets all changes
vrrp_notify_fifo         | PATH [USER [GROUP]]             |             |       | yes | Pipe that gets changes of instances
lvs_notify_fifo          | PATH [USER [GROUP]]             |             |       | yes | Pipe that gets changes of servers
notify_fifo_script       | CMD [USER [GROUP]]              |             |       | yes | Reads notify_fifo
vrrp_notify_fifo_script  | CMD [USER [GROUP]]              |             |       | yes | Reads vrrp_notify_fifo
lvs_notify_fifo_script   | CMD [USER [GROUP]]              |             |       | yes | Reads lvs_notify_fifo
fifo_write_vrrp_states_on_reload | -                       | off         |       | yes | Repeat all states after a reload
reload_file              | [PATH]                          | off; without a path /run/fastha/keepalived.reload | | yes | File that is there while a reload reads the configuration
reload_check_config      | [PATH]                          | off         |       | -   | Test a configuration before reloading it (fastha always does)
reload_time_file         | PATH                            |             |       | yes | File with the time of the next reload: [[YY]YY-MM-DD ]HH:MM:SS[Z]
reload_repeat            | -                               | off         |       | yes | Keep that file after the reload: the same time of every day
include_check            | [CHECK...]                      |             |       | yes | What is an error about include
config_save_dir          | PATH                            |             |       | -   | Directory that gets every configuration read
tmp_config_directory     | PATH                            |             |       | -   | Directory for the expanded configuration
data_use_instance        | [BOOL]                          | off         |       | yes | Names of the state dumps of fastha-keepalived contain the namespace and the instance
state_dump_file          | PATH                            | keepalived.data |   | yes @2.3.3 | State dumps of fastha-keepalived: a name, a directory with a slash at its end, or a path
stats_dump_file          | PATH                            |             |       | - @2.3.3 | File for counters
json_dump_file           | PATH                            |             |       | - @2.3.3 | File for JSON dumps
json_version             | 1|2                             | 1           | 1..2  | yes @2.2.8 | Shape of JSON dumps
iproute_usr_dir          | PATH                            |             |       | yes @2.3.2 | Where names of routing tables are
iproute_etc_dir          | PATH                            |             |       | yes @2.3.2 | Where names of routing tables are
"""  # noqa: E501
