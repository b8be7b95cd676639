"""Sets of the kernel (ipset): values, contents, requests. Knows: its modules. Must not know: IPVS."""
