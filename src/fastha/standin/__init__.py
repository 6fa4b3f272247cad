"""L4: what stands in keepalived's place: its dumps, its flags, its pid files."""
