"""L2, a process: BFD sessions. rules, machine, adopt (core); engine, lane (native); sockets, session, child (shell)."""
