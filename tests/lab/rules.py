"""Which variant of iptables can load rules on a kernel, and a stand-in where none can.

Knows: how a kernel says that it has no tables. Must not know: which rules are loaded, by whom.

Of the packaged kernels of the lab none has the families that the variant nft needs, and from 7.2 on there is no legacy variant either.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ipvskit.kube import Iptables, IptablesFailed, IptablesNotAvailable, Removal
from ipvskit.model.address import Family

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipvskit import NetNS
    from ipvskit.kube import Rules
    from ipvskit.kube.config import Variant

__all__ = ["VARIANTS", "NoRules", "lacking"]

VARIANTS: tuple[Variant, ...] = ("nft", "legacy")

#: What the tools say where a kernel has no part for them. Some have nf_tables, but without the families that iptables-nft needs.
_LACKING = r"(?i)table does not exist|can't initialize|cannot initialize|unable to initialize|(TABLE|CHAIN)_ADD failed \(Operation not supported\)"
#: A chain of the kernel's own takes more than one of ours. Afterwards there is neither.
_PROBE = "".join(
    f"*{table}\n:PROBE - [0:0]\n-I OUTPUT -j PROBE\nCOMMIT\n*{table}\n-D OUTPUT -j PROBE\n-X PROBE\nCOMMIT\n"
    for table in ("nat", "filter")
)


def lacking(netns: NetNS, variant: Variant, families: Iterable[Family] = tuple(Family)) -> str:
    """What the variant lacks to have rules in a namespace; "" when nothing. Raises IptablesFailed for anything else."""
    for family in families:
        with Iptables(family, netns, variant=variant) as tool:
            try:
                tool.load(_PROBE)
            except IptablesNotAvailable as error:
                return str(error)
            except IptablesFailed as error:
                if re.search(_LACKING, error.text):
                    return f"this kernel has no tables for {tool.program}"
                raise
    return ""


class NoRules(Iptables):
    """Stands in for the tool where the kernel has no tables: it has no rules, and takes any."""

    def save(self, table: str | None = None) -> str:
        """Nothing."""
        return ""

    def load(self, text: str) -> None:
        """Loaded nowhere."""

    def missing(self, rules: Rules) -> str:
        """Nothing is missed."""
        return ""

    def ensure(self, rules: Rules) -> None:
        """Loaded nowhere."""

    def remove(self) -> Removal:
        """There was nothing."""
        return Removal("")
