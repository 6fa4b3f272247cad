"""L3: the command line. One file per command; thin over parent, config and the control socket."""
