"""Who is who in the laboratory, and where: addresses, ports, priorities, weights.

```
   client 10.1.0.10                          10.1.0.100 service address, 10.2.0.1 gateway address:
        |                                    both on whichever director is master
  ------+------------ front 10.1.0.0/24
     |         |
  director1  director2      .11 and .12 on both networks
     |         |
  ------+------------ back 10.2.0.0/24
     |     |     |
  server1 server2 server3   .21 .22 .23, port 8080, default route 10.2.0.1
```

The gateway address is for IPVS NAT: real servers see the client's own address there, so their answers must come back
through the master. nftables masquerades and needs no way back, but the same wiring suits it. Real servers reach both
directors directly on `back`, so the checks of the backup director work too (were they answered through the gateway,
the backup would see every real server down until it is master).
"""

from __future__ import annotations

from dataclasses import dataclass

FRONT, BACK = "front", "back"  # networks, and the directors' interfaces into them
SERVICE_ADDRESS, SERVICE_PORT = "10.1.0.100", 80
GATEWAY_ADDRESS = "10.2.0.1"
CLIENT_ADDRESS = "10.1.0.10"
PREFIX_LENGTH = 24
ADVERT_INT_S = 0.1
VIRTUAL_SERVER = f"{SERVICE_ADDRESS}:{SERVICE_PORT}/tcp"  # its key in `fastha status`
INSTANCES = ("service", "gateway")


@dataclass(frozen=True, slots=True)
class DirectorPlan:
    name: str
    host: int  # last octet on both networks
    priority: int

    @property
    def front(self) -> str:
        return f"10.1.0.{self.host}"

    @property
    def back(self) -> str:
        return f"10.2.0.{self.host}"

    def mac(self, network: str) -> str:
        """Fixed, locally administered, so that a director that comes back is the same machine to its neighbours."""
        return f"02:fa:00:00:{1 if network == FRONT else 2:02x}:{self.host:02x}"


@dataclass(frozen=True, slots=True)
class ServerPlan:
    name: str
    host: int
    weight: int
    check: str  # HTTP_GET or TCP_CHECK
    port: int = 8080

    @property
    def ip(self) -> str:
        return f"10.2.0.{self.host}"

    @property
    def key(self) -> str:
        """Its key in `fastha status`."""
        return f"{self.ip}:{self.port}"


# A backup waits 3 x advert_int + (256 - priority) / 256 x advert_int before it takes over (RFC 9568 section 6.1:
# Active_Down_Interval and Skew_Time): high priorities make that 302 to 306 ms here.
DIRECTORS = (DirectorPlan("director1", 11, 250), DirectorPlan("director2", 12, 240))
SERVERS = (
    ServerPlan("server1", 21, 1, "HTTP_GET"),
    ServerPlan("server2", 22, 2, "HTTP_GET"),
    ServerPlan("server3", 23, 1, "TCP_CHECK"),
)
