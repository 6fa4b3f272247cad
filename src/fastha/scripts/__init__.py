"""L1: how commands of operators are started: as whom, with what environment, and whether their files can be trusted.

Only the standard library and fastha.model: the parent uses it, and the spawner is a process of nothing else.
"""
