"""L1: the load balancer's table. Wanted against actual rows (core) and the kernels that hold them (shells):
ipvs, nft, none, all behind `dataplane.backend.Backend`.
"""
