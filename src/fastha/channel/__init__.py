"""L1: parent <-> child. Frames (core), one message table (core), endpoint (shell over a socketpair)."""
