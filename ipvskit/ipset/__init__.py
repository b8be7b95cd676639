"""ipset: the client, and what it is made of."""
