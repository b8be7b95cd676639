"""Kubernetes: Services and EndpointSlices in, a node's whole IPVS state out.

    from ipvskit import kube

    node = kube.Node("node-1", addresses={"eth0": ["172.18.0.2/16"]}, labels={"topology.kubernetes.io/zone": "a"})
    found = kube.translate(objects, node, kube.Config())

Knows: the public names. Must not know: how anything is done.
"""
