"""Configurations of any size for reloads: text of keepalived.conf, with what is to be different."""

from __future__ import annotations

from collections.abc import Container, Iterator

INSTANCE = """vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority 200
    state MASTER
    version 3
    advert_int 0.1
    virtual_ipaddress {
        10.9.0.100/24
    }
}
"""


def real(number: int) -> str:
    """127.1.0.1 and on: every address of 127/8 is this host's, one listener serves all."""
    return f"127.{1 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def configuration(
    virtual: int, servers: int, *, heavier: Container[int] = (), port: int = 8080, instance: str = INSTANCE
) -> str:
    """`servers` real servers spread over `virtual` virtual servers; those in `heavier` (by number) weigh 7 instead of
    5."""
    return "".join((instance, *_lines(virtual, servers, heavier, port)))


def _lines(virtual: int, servers: int, heavier: Container[int], port: int) -> Iterator[str]:
    number = 0
    for index in range(virtual):
        ip = f"10.{20 + (index >> 16)}.{index >> 8 & 255}.{index & 255}"
        yield f"virtual_server {ip} 80 {{\n    lb_algo rr\n    lb_kind DR\n    protocol TCP\n    delay_loop 60\n"
        for _ in range(servers // virtual + (index < servers % virtual)):
            weight = 7 if number in heavier else 5
            yield (
                f"    real_server {real(number)} 80 {{\n        weight {weight}\n        TCP_CHECK {{\n"
                f"            connect_port {port}\n            connect_timeout 3\n        }}\n    }}\n"
            )
            number += 1
        yield "}\n"
