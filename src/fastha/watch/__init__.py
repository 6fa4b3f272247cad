"""L3: processes that look at the daemon through its control socket: metrics for machines, a page for people."""
