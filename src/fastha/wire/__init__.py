"""L1: bytes on the wire. VRRP adverts, Internet checksum, gratuitous ARP, neighbour advertisements, BFD packets: encode
into and decode from caller's buffers. Pure: no socket, no clock, no allocation; bad input is a verdict, never an
exception.
"""
