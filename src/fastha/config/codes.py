"""Every kind of finding; docs/findings.md is written from it: `python -m fastha.config.codes > docs/findings.md`.

Columns, a bar between each: code | severity | why it matters | what to do
Codes are for programs and stay what they are; texts are for people.
"""

from __future__ import annotations

from fastha.lean import dataclass

DATA = """
invalid              | error   | A value, a word or a block that cannot be read, or things that cannot be together | what the message says
unknown-keyword      | error   | A word that no block of this kind has | correct the spelling; the hint names the nearest keyword
misplaced-keyword    | error   | A keyword where it cannot stand; mostly a } is missing before it | close the block before this line
not-supported        | not supported yet | fastha reads it and does not do it yet | nothing, if it is not needed
too-many             | error   | A file with thousands of faults is something else than a configuration | mend the first ones

corrected            | warning | Legal, and not what it says: another value is used, or it has no effect | write what is meant
unquoted-arguments   | warning | What follows a command in the same line is not its argument but the user who runs it, or nothing | quote the whole command
default-protocol     | warning | A virtual_server without protocol is UDP | protocol TCP
master-nopreempt     | warning | nopreempt does nothing for an instance that begins as master | state BACKUP on all directors
auth-pass-long       | warning | Adverts carry eight bytes of a password; two that begin alike are the same | eight characters at most
own-peer             | warning | A director that sends its adverts to itself | take its own address out of unicast_peer
address-twice        | warning | One address in two instances of one interface: whoever is master last has it | one instance for each address
quorum-unreachable   | warning | A quorum above the sum of weights is never reached | lower it, or raise the weights
weight-zero          | warning | With every weight 0 nothing is ever served | give at least one real server a weight
port-kept            | warning | DR and TUN hand packets on as they are: a real server cannot have another port | the port of the virtual_server, or NAT
real-server-twice    | warning | The second real_server of one address and port does not count | take one out

vrid-clash           | warning | Two instances of one VRID on one link take the adverts of the other for those of a peer | a virtual_router_id of its own for each
same-priority        | warning | Directors of one priority elect by their addresses, and both may act at first | different priorities
both-masters         | warning | Directors that all begin as master fight at every start | state BACKUP on all, or MASTER on one
owner-backup         | warning | Priority 255 means the owner of the addresses, who is master whenever it runs | a priority up to 254, or state MASTER
mixed-versions       | warning | Instances of one link speak VRRP version 2 and 3, because one of them does not say which | vrrp_version in global_defs
fast-adverts         | warning | So short a silence happens on a busy machine: the peer takes over from a living master | advert_int of 0.05 or more, or more down_timer_adverts
garp-storm           | warning | So many gratuitous ARPs at once are dropped by switches, and the last addresses stay with the old master | vrrp_garp_interval 0.001, or fewer repeats

slow-timeout         | warning | A check may take longer than the time between two of them: failures are found late | connect_timeout below delay_loop
sticky-twice         | warning | The scheduler keeps a client with its server already; persistence adds a record for each client to it | one of the two
ops-persistence      | warning | ops schedules every packet by itself, persistence keeps a client with its server | one of the two
persistence-off      | warning | It has no effect without persistence_timeout | persistence_timeout
sorry-is-real        | warning | A sorry_server that is a real server too has failed when it is needed | another server
real-is-virtual      | warning | A real server with a virtual address: packets come back to this director | the real server's own address
ha-suspend-unowned   | warning | Its checks run while this director has the address, and no instance here carries it | add it to an instance, or take ha_suspend out
unchecked-server     | warning | A real server without check is always up, though others of its virtual_server are checked | add a check
alpha-unchecked      | warning | alpha waits for a check to succeed, and there is none | add a check, or take alpha out
weights-ignored      | warning | The scheduler does not look at weights | wrr for rr, wlc for lc
thresholds           | warning | The kernel refuses a server whose lthreshold is above its uthreshold | lthreshold below uthreshold
check-load           | warning | So many checks a second are more than a director should do beside its work | a longer delay_loop

script-missing       | warning | The command is not there, or cannot be executed: it will fail when it is needed (--here) | install it, or correct the path
user-missing         | warning | There is no such user on this machine (--here); mostly it is an argument of the command | quote the whole command
secondary-addresses  | warning | The kernel ties addresses of one network together: with the first the others go, unless promote_secondaries is set (--here) | /32 for virtual addresses
interface-missing    | warning | There is no such interface on this machine (--here) | correct the name
peer-is-here         | warning | A peer of unicast_peer is an address of this machine (--here) | take it out

keepalived-newer     | warning | Debian's keepalived 2.2.7 does not know it (--keepalived) | a newer keepalived on that director
keepalived-unknown   | warning | No keepalived knows it: it is fastha's own (--keepalived) | leave it out where keepalived reads the file
keepalived-differs   | warning | keepalived reads it in another way (--keepalived) | what the message says
"""  # noqa: E501


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of finding."""

    code: str
    severity: str
    why: str
    hint: str


CODES: dict[str, Code] = {
    code.code: code
    for line in DATA.strip().splitlines()
    if line
    for code in [Code(*(column.strip() for column in line.split(" | ")))]
}

INTRO = """# Findings

What `fastha check` can find, by the code in brackets behind each message (`code` with `--json`). Written from one table
by `python -m fastha.config.codes`.

An *error* refuses the configuration. A *warning* does not: it is legal, and nearly always a mistake. What is *not
supported yet* is read and has no effect. Findings marked `--here` need a look at the machine (the default without
`-f`), those marked `--keepalived` are told on request.

| Code | Severity | Why | What to do |
|---|---|---|---|
"""


def generate() -> str:
    """docs/findings.md."""
    return INTRO + "".join(f"| `{c.code}` | {c.severity} | {c.why} | {c.hint} |\n" for c in CODES.values())


if __name__ == "__main__":
    print(generate(), end="")
