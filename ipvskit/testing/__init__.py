"""Helpers for the tests of programs that use ipvskit: namespaces, a fake kernel, Hypothesis strategies.

Knows: nothing by itself; import the submodules (`ipvskit.testing.strategies` needs Hypothesis). Must not be imported by the library.
"""
