"""The keepalived.conf of each director of the laboratory, written to be read."""

from __future__ import annotations

from fastha.lab.plan import (
    ADVERT_INT_S,
    BACK,
    DIRECTORS,
    FRONT,
    GATEWAY_ADDRESS,
    PREFIX_LENGTH,
    SERVERS,
    SERVICE_ADDRESS,
    SERVICE_PORT,
    DirectorPlan,
    ServerPlan,
)

HEAD = """\
# keepalived.conf of {name}, one of the laboratory's two directors.
# Both directors have the same file but for router_id and priority ({priorities}).

global_defs {{
    router_id {name}
}}
"""

INSTANCE = """
# {comment}
vrrp_instance {name} {{
    interface {interface}
    virtual_router_id {vrid}
    version 3                   # RFC 9568; version 2 cannot say less than a second
    advert_int {advert_int}              # seconds; a backup takes over after three of them and a little
    state BACKUP                # nobody is born master: the priority decides
    priority {priority}
    preempt_delay 1             # a director that comes back first looks around for a second
    virtual_ipaddress {{
        {address}/{prefix} dev {interface}
    }}
{track}}}
"""

TRACK = """\
    # No director without real servers is master: without a quorum the instance is in FAULT and the peer takes over.
    track_virtual_server {{
        {ip} {port}
    }}
"""

VIRTUAL_SERVER = """
# What clients see: {ip} port {port}, spread over the real servers by weight.
virtual_server {ip} {port} {{
    protocol TCP
    lb_algo wrr
    lb_kind NAT                 # requests go to {back}, answers come back through this director
    delay_loop 0.5              # seconds between two checks of a real server
    quorum 1
{servers}}}
"""

SERVER = """
    real_server {ip} {port} {{    # {name}
        weight {weight}
        {check}
    }}
"""

HTTP_GET = """HTTP_GET {
            url {
                path /health
                status_code 200
            }
            connect_timeout 0.5
            retry 1
            delay_before_retry 0.1
        }"""

TCP_CHECK = """TCP_CHECK {
            connect_timeout 0.5
            retry 1
            delay_before_retry 0.1
        }"""


def keepalived_conf(director: DirectorPlan, *, tracking: bool = True) -> str:
    """The file's text. `tracking` False leaves out track_virtual_server, which keepalived itself does not have."""
    track = TRACK.format(ip=SERVICE_ADDRESS, port=SERVICE_PORT) if tracking else ""
    common = {"advert_int": ADVERT_INT_S, "priority": director.priority, "prefix": PREFIX_LENGTH, "track": track}
    return "".join(
        [
            HEAD.format(
                name=director.name, priorities=", ".join(f"{other.name} {other.priority}" for other in DIRECTORS)
            ),
            INSTANCE.format(
                name="service",
                comment="The address that clients use.",
                interface=FRONT,
                vrid=51,
                address=SERVICE_ADDRESS,
                **common,
            ),
            INSTANCE.format(
                name="gateway",
                comment="The real servers' default route: it must be where the service address is.",
                interface=BACK,
                vrid=52,
                address=GATEWAY_ADDRESS,
                **common,
            ),
            VIRTUAL_SERVER.format(
                ip=SERVICE_ADDRESS, port=SERVICE_PORT, back=BACK, servers="".join(map(_real_server, SERVERS))
            ),
        ]
    )


def _real_server(server: ServerPlan) -> str:
    check = HTTP_GET if server.check == "HTTP_GET" else TCP_CHECK
    return SERVER.format(ip=server.ip, port=server.port, name=server.name, weight=server.weight, check=check)
