"""The kernel lab: User Mode Linux guests to run a command on a kernel that has IPVS.

``python -m tests.lab --help`` is the way in. Knows: how to get packaged kernels (``archive``), keep
them (``kernels``) and boot one around one command (``guest``). Must not know: the library.
"""
