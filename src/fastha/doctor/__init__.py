"""L3: what on this host will bite, and what mends it: a snapshot (look, shell), and rules over it (core)."""
