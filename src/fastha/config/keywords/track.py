"""Things that instances track, groups of instances, and BFD."""

FREE = """
instances        | INSTANCE                                   | Names of instances
interfaces       | IF                                         | Names of interfaces
interface_delays | IF DOWN_SEC [UP_SEC]                       | Delays of an interface's changes
linkbeat         | IF [MII|ETHTOOL|IOCTL]                     | Interfaces to poll
trackers         | NAME [weight N [reverse|noreverse]]        | Things to track, with the priority they add
"""

DATA = """
[track_group]
group        | {instances}      |   |          | yes | Members

[garp_group]
garp_interval | SEC             | 0 | 0..2147.483647 | - | Least time between gratuitous ARPs
gna_interval | SEC              | 0 | 0..2147.483647 | - | Least time between neighbour advertisements
interface    | IF               |   |          | - | A member
interfaces   | {interfaces}     |   |          | - | Members

[vrrp_script]
script       | CMD              |   |          | yes | The command; quote the whole of it to give it arguments
interval     | SEC              | 1 | ~0.001..4294 | yes | Time between starts
timeout      | SEC              | interval | ~0.001..4294 | yes | How long it may take
weight       | N [reverse]      | 0 | -253..253 | yes | Priority it adds; 0 means that failure is FAULT
rise         | N                | 1 | 1..2147483647 | yes | Successes in a row until it is up
fall         | N                | 1 | 1..2147483647 | yes | Failures in a row until it is down
user         | USER [GROUP]     | script_user | | yes | Who runs it
init_fail    | -                | off |        | yes | Starts as failed

[vrrp_track_process]
process      | NAME...          |   |          | yes | The process, and its arguments
param_match  | [initial|partial] |  |          | yes | How arguments are compared
weight       | N [reverse]      | 0 | -254..254 | yes | Priority it adds; 0 means that its absence is FAULT
quorum       | N                | 1 | 1..65535 | yes | How many there must be
quorum_max   | N                |   | 0..65535 | yes | How many there may be
terminate_delay | SEC           | 0 | 0.000001..3600 | yes | Time until the end of a process counts
fork_delay   | SEC              | 0 | 0.000001..3600 | yes | Time until the start of a process counts
delay        | SEC              | 0 | 0.000001..3600 | yes | Both of these
full_command | -                | off |        | yes | Compare the command line instead of the kernel's short name

[track_file]
file         | PATH             |   |          | yes | The file; it holds one number
weight       | N [reverse]      | 0 | -254..254 | yes | Times the number is added to the priority; 0: not zero is FAULT
init_file    | [N [overwrite]]  |   |          | yes | Create the file at start

[bfd_instance]
neighbor_ip  | ADDR             |   |          | yes | The neighbour
neighbour_ip | ADDR             |   |          | =neighbor_ip | -
source_ip    | ADDR             |   |          | yes | Own address
min_rx       | ms               | 10 | 1..     | yes | Least time between packets that is accepted
min_tx       | ms               | 10 | 1..     | yes | Least time between packets that is sent
idle_tx      | ms               | 1000 | 1000.. | yes | Time between packets while the session is not up
multiplier   | N                | 5 | 1..255   | yes | Missed packets until the session is down
ttl          | N                | 255 | 1..255 | yes | TTL of packets; those that come have it less max_hops
hoplimit     | N                |   |          | =ttl | -
max_hops     | N                | 0 | -1..255  | yes | How many routers may be between; -1: any
multihop     | -                | off |        | yes @2.2.8 | Use the port for sessions over routers
passive      | -                | off |        | yes | Only answer
weight       | N [reverse]      | 0 | -253..253 | yes | Priority it adds; 0 means that down is FAULT
vrrp         | -                |   |          | yes | Tell instances
checker      | -                |   |          | yes | Tell checks
"""
