"""L1: interfaces and addresses of this host (rtnetlink). Values and prebuilt batches (core), sockets (shell)."""
