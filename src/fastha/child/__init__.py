"""L1.5: what both children are made of: the channel on the reactor, heartbeat, facts, signals, the log.

`Child` is the shell a process room (vrrp, checker) puts its own handlers into.
"""

from fastha.child.child import Child

__all__ = ["Child"]
