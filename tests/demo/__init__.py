"""A demonstration: a ClusterIP service as Kubernetes has it, with real traffic, on whatever kernel this runs.

Knows: what a person should see. Must not know: how traffic is made (`tests.lab`).
"""
