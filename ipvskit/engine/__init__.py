"""Desired state: what one wants, what there is, the difference, and how it is applied.

Knows: values and the kernel handle's interface. Must not know: netlink.
"""
