"""L2, a process: reads a configuration for the daemon's parent, hands it over in parts, and ends."""
