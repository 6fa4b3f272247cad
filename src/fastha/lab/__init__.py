"""L3: a laboratory in network namespaces: two directors, real servers, a client that measures failover."""
