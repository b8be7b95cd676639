"""Benchmarks: what ipvskit costs beside a C program that does the same, and beside its peers.

Knows: nothing by itself; `python -m tests.bench` runs them. Must not be imported by tests: speed is never asserted there.
"""
