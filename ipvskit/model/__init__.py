"""Values: what a virtual service, a real server, a sync daemon is. No I/O of any kind, and nothing of netlink."""
