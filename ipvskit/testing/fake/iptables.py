"""The iptables tools without a kernel: rules as lines of text.

Knows: what iptables-save and iptables-restore do with tables, chains and rules. Must not know: what a rule means, whose it is.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from ipvskit.kube.iptables_tool import Iptables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipvskit.kube.config import Variant
    from ipvskit.model.address import Family

__all__ = ["FakeIptables"]

_BUILT_IN = {
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
}


class FakeIptables(Iptables):
    """Like `ipvskit.kube.Iptables`, on tables of its own.

    `tables` has the rules of each chain, `loads` counts documents; `broken` is what the next loads say instead of loading.
    """

    def __init__(self, family: Family | str, _netns: object = None, *, variant: Variant = "auto") -> None:
        super().__init__(family, variant="nft" if variant == "auto" else variant)
        self.tables: dict[str, dict[str, list[str]]] = {
            table: {chain: [] for chain in chains} for table, chains in _BUILT_IN.items()
        }
        self.broken = ""
        self.loads = 0

    def _run(self, command: Sequence[str], text: str) -> subprocess.CompletedProcess[str]:
        program = command[0]
        if "--version" in command:
            return subprocess.CompletedProcess(command, 0, f"{program} v1.8.9\n", "")
        if program.endswith("-save"):
            wanted = [command[-1]] if "-t" in command else list(self.tables)
            return subprocess.CompletedProcess(command, 0, "".join(map(self._saved, wanted)), "")
        self.loads += 1
        try:
            if self.broken:
                raise _RefusedError(self.broken)
            self._restore(text)
        except _RefusedError as error:
            return subprocess.CompletedProcess(command, 2, "", f"{program}: {error}\n")
        return subprocess.CompletedProcess(command, 0, "", "")

    def _saved(self, table: str) -> str:
        chains = self.tables[table]
        lines = [f"*{table}"]
        lines += [f":{chain} {'ACCEPT' if chain in _BUILT_IN[table] else '-'} [0:0]" for chain in chains]
        lines += [f"-A {chain} {rule}" for chain, rules in chains.items() for rule in rules]
        return "\n".join([*lines, "COMMIT\n"])

    def _restore(self, text: str) -> None:
        table, chains = "", {}
        for number, line in enumerate(text.splitlines(), 1):
            if line.startswith("*"):
                table = line[1:]
                chains = {chain: list(rules) for chain, rules in self.tables[table].items()}
            elif line == "COMMIT":
                self.tables[table] = chains
            else:
                self._line(chains, line, number)

    @staticmethod
    def _line(chains: dict[str, list[str]], line: str, number: int) -> None:
        command, _, rest = line.partition(" ")
        if command.startswith(":"):
            chains[command[1:]] = []
            return
        chain, _, rule = rest.partition(" ")
        refused = _RefusedError(f"line {number} failed")
        if chain not in chains:
            raise refused
        if command == "-A":
            chains[chain].append(rule)
        elif command == "-I":
            chains[chain].insert(0, rule)
        elif command == "-D" and rule in chains[chain]:
            chains[chain].remove(rule)
        elif command == "-X" and not chains[chain] and not _referred(chains, chain):
            del chains[chain]
        else:
            raise refused


class _RefusedError(Exception):
    """What the tool says."""


def _referred(chains: dict[str, list[str]], name: str) -> bool:
    return any(f"-j {name}" in f"{rule} " for rules in chains.values() for rule in rules if rule.endswith(f"-j {name}"))
