"""The IPVS client: requests and replies. Values are in `ipvskit.model`."""
