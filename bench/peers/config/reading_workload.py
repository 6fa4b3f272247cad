"""Configurations of many real servers, ten lines or so each."""

from __future__ import annotations

TCP = """\
    real_server {ip} 80 {{
        weight 10
        inhibit_on_failure
        TCP_CHECK {{
            connect_timeout 3
            retry 2
            delay_before_retry 3
            connect_port 80
        }}
    }}
"""
HTTP = """\
    real_server {ip} 80 {{
        weight 10
        HTTP_GET {{
            url {{
                path /health
                status_code 200
            }}
            connect_timeout 3
            retry 2
            delay_before_retry 3
        }}
    }}
"""
# Nothing is said twice: no two servers have the same weight and port to be checked.
OWN = """\
    real_server {ip} 80 {{
        weight {weight}
        inhibit_on_failure
        TCP_CHECK {{
            connect_timeout 3
            retry 2
            delay_before_retry 3
            connect_port {port}
        }}
    }}
"""
HEAD = """\
virtual_server 10.{high}.{low}.1 80 {{
    delay_loop 6
    lb_algo wrr
    lb_kind NAT
    protocol TCP

"""


def configuration(real_server: str, count: int, each: int = 100) -> str:
    """`count` real servers, `each` to a virtual server."""
    out = ["global_defs {\n    router_id bench\n}\n"]
    for first in range(0, count, each):
        v = first // each
        out.append(HEAD.format(high=v >> 8, low=v & 255))
        for i in range(first, min(first + each, count)):
            ip = f"172.{16 + (i >> 16)}.{i >> 8 & 255}.{i & 255}"
            out.append(real_server.format(ip=ip, weight=1 + i % 250, port=1 + i))
        out.append("}\n")
    return "".join(out)
