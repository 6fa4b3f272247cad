"""L2, a process: virtual routers. rules, machine (core); lane (native); sockets, child (shell)."""
