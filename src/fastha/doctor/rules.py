"""THE rules: a snapshot of the host and what is wanted of it in, findings out. Pure.

Each rule is a generator in RULES. It says nothing where it knows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from fastha.doctor import kernel, neighbours, network
from fastha.doctor.values import Finding, Host, Wants, ordered

Rule = Callable[[Host, Wants], Iterator[Finding]]

RULES: tuple[Rule, ...] = (
    kernel.ipvs_there,
    kernel.connection_table,
    kernel.estimators,
    kernel.expire_nodest,
    kernel.expire_quiescent,
    kernel.conn_reuse,
    kernel.conntrack,
    kernel.clock,
    kernel.privileges,
    kernel.descriptors,
    kernel.ports,
    network.forwarding,
    network.reverse_path,
    network.arp,
    network.secondaries,
    network.neighbour_table,
    network.missing_interfaces,
    network.namespaces,
    network.managers,
    neighbours.daemon,
    neighbours.balancers,
    neighbours.strangers,
    neighbours.other_masters,
    neighbours.refused_adverts,
    neighbours.late,
)


def examine(host: Host, wants: Wants) -> list[Finding]:
    """All findings, the worst first."""
    return ordered(_there(finding, wants) for rule in RULES for finding in rule(host, wants))


def _there(finding: Finding, wants: Wants) -> Finding:
    """With a command that mends it in the network namespace where it is. /etc/sysctl.d is for that of the machine."""
    command = finding.mend.partition(" && ")[0]
    where = wants.of_ipvs if command.startswith("sysctl -w net.ipv4.vs.") else wants.namespace
    if not where or not command.startswith(("sysctl ", "ip link ")):
        return finding
    return replace(finding, mend=f"ip netns exec {where} {command}")


CODES = """
    ipvs-missing ipvs-scheduler ipvs-table-small estimators expire-nodest expire-quiescent conn-reuse conntrack-full
    conntrack-small clock privileges descriptors ports forwarding rp-filter arp-ignore arp-announce promote-secondaries
    neighbour-table interface namespace manager daemon balancer vrid-foreign vrid-conflict adverts-refused late
""".split()
