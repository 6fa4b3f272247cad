"""Where fastha and `keepalived -t` (2.2.7) may judge a line differently, and why; docs/compatibility.md says so too.

THEIRS: they complain, we are silent. OURS: we report an error, they are silent.
"""

from __future__ import annotations

import re

# (what they say, why we do not)
THEIRS = [
    (r"Cannot set|cpu_id:|outside range \[0, \d+\]$", "how many processors the machine has is seen when it runs"),
    (
        r"invalid number '[\d.]+'|vrrp script (interval|timeout) '[\d.]+'",
        "decimals in `interval` and `timeout` of a script (keepalived 2.3.2 and later)",
    ),
    (
        r"deprecated|Please use global lvs_sync_daemon|lvs_sync_daemon_interface has already",
        "an older spelling is accepted, and named where there is a newer one",
    ),
    (
        r"Unable to set (default user|uid)|uid/gid|script user|Invalid \w+ script|Script .* (is|not)|script_user",
        "whether a user or a script exists is seen when it runs",
    ),
    (
        r"track script \S+ not found|[Tt]rack (script|process|file) .* not",
        "the script was removed for its user before",
    ),
    (r"doesn't exist|[Nn]on-existent interface|unknown interface", "interfaces may appear later"),
    (r"Unknown keyword|is already using \S+ - ignoring name", "follows from something wrong before it"),
    (r"Unknown umask bit IRWX|Invalid umask", "umask bits as keepalived 2.4 spells them"),
    (
        r"[Ss]trict mode|accept mode for VRRP version|must match being address owner"
        r"|promote_secondaries is automatically|VMAC interface name already",
        "of `strict_mode` keepalived tells more, such as what follows from words that are wrong themselves",
    ),
    (
        r"interface weight due to SYNC group",
        "weights of interfaces count in a sync group, as keepalived does itself after it has said that it would not",
    ),
    (
        r"unicast with use_vmac requires vmac_xmit_base|vmac_xmit_base is only valid with a vmac",
        "of `use_ipvlan` with unicast peers keepalived says that it sets `vmac_xmit_base`, then that it may not",
    ),
    (r"misc_timeout", "`misc_timeout` may be longer than 4294 s"),
    (
        r"Routing table \S+ not found|VRF \S+ not found|[Pp]rotocol \S+ not found",
        "names of routing tables and VRFs are those of the machine that runs",
    ),
]
# (what we say, why they do not)
OURS = [
    (r"refresh must be 0 to 4294", "a refresh over 4294 s overflows in keepalived"),
    (r"vrrp_strict: |vrrp_skip_check_adv_addr: ", "2.2.7 does not look at what follows these words; 2.3 does"),
    (r"is not an interface name", "a name that no interface can have"),
    (r"a second (name|MAC address|mode|group|address)", "keepalived tells it of the name only"),
    (r"cannot be the address of a router", "0.0.0.0 or a multicast address would be put on an interface"),
    (r"cannot stand here", "one entry per line: keepalived drops the rest"),
    (r"is not a prefix length", "a slash without a length"),
    (
        r"(omega|alpha|inhibit_on_failure|sorry_server_inhibit|ha_suspend|misc_dynamic): '\S+' is neither on nor off",
        "keepalived does not look at what follows some switches of virtual servers, such as `omega`",
    ),
    (r"no check of this real_server is supported yet", "a real server would always count as up"),
    (r"cannot stand in HELO", "a name with blanks in it would not be SMTP"),
    (r"is not a mail address", "nothing could be sent to it, or it would write headers of its own"),
    (r"min_ttl must be|max_ttl must be", "no packet has a TTL of 0"),
    (r"cannot have both VMACs and ipvlans", "the kernel has VMACs or ipvlans on an interface, not both"),
    (r"smtp_helo_name needs a value", "a name that is not said: keepalived goes on as if the line were not there"),
]  # fmt: skip


def explained(message: str, table: list[tuple[str, str]]) -> bool:
    return any(re.search(pattern, message) for pattern, _ in table)
