"""fastha keeps service addresses alive (VRRP) and real servers balanced (IPVS).

Rooms, lowest first (docs/ARCHITECTURE.md has the whole plan; imports only go down):
errors, model; config, channel, wire, loop, dataplane, link; vrrp, checker, parent; lab, cli.
"""

__version__ = "0.1.0"
