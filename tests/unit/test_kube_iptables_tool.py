"""The caller of iptables' programs, with programs that say whatever is wanted.

Knows: exit statuses and messages. Must not know: rules.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest

import ipvskit as ik
from ipvskit import kube
from ipvskit.kube import Iptables, IptablesFailed, IptablesNotAvailable, iptables_tool
from ipvskit.kube.iptables_tool import variant_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

V4 = ik.Family.IPV4


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes programs of shell commands, by their names; nothing else is installed. What they are called with is in the file "calls"."""
    monkeypatch.setattr(iptables_tool, "_SBIN", ())
    monkeypatch.setenv("PATH", str(tmp_path))

    def make(**commands: str) -> Path:
        for name, command in commands.items():
            path = tmp_path / name.replace("_", "-")
            path.write_text(f'#!/bin/sh\necho "${{0##*/}} $*" >> {tmp_path}/calls\nPATH=/usr/bin:/bin\n{command}\n')
            path.chmod(0o755)
        return tmp_path / "calls"

    return make


def version(text: str) -> str:
    return f"echo 'iptables v{text}'"


def test_calls(programs: Callable[..., Path]) -> None:
    calls = programs(
        iptables_nft=version("1.8.9 (nf_tables)"), iptables_nft_restore="cat > /dev/null", iptables_nft_save="cat"
    )
    with Iptables("ipv4", variant="nft", lock_wait=7) as tool:
        tool.load("")
        tool.load("*nat\nCOMMIT\n")
        tool.load("*nat\nCOMMIT\n")
        assert tool.save("nat") == ""
        assert (tool.version, tool.supports_random_fully) == ((1, 8, 9), True)
    assert calls.read_text().splitlines() == [
        "iptables-nft --version",
        "iptables-nft-restore --noflush -w 7",
        "iptables-nft-restore --noflush -w 7",
        "iptables-nft-save -t nat",
    ]


def test_old_tools_know_less(programs: Callable[..., Path]) -> None:
    calls = programs(
        ip6tables_legacy=version("1.6.1"), ip6tables_legacy_restore="cat >&2; exit 1", ip6tables_legacy_save=""
    )
    with Iptables("ipv6", variant="legacy") as tool:
        assert not tool.supports_random_fully
        with pytest.raises(IptablesFailed) as caught:
            tool.ensure(kube.Rules(family=ik.Family.IPV6))
    assert "-j MASQUERADE" in caught.value.text
    assert "--random-fully" not in caught.value.text
    assert "ip6tables-legacy-restore --noflush\n" in calls.read_text()


def test_a_program_without_a_version(programs: Callable[..., Path]) -> None:
    programs(iptables_nft="echo something else")
    with Iptables(V4, variant="nft") as tool, pytest.raises(IptablesFailed, match="'something else' is no version"):
        tool.load("*nat\nCOMMIT\n")


#: (what a program says on its standard error, the message, the line)
SAID: list[tuple[str, str, int | None]] = [
    (
        "iptables-restore v1.8.9 (legacy): Set nope doesn't exist.\n\nError occurred at line: 2\n"
        "Try `iptables-restore -h' or 'iptables-restore --help' for more information.\n",
        "iptables-restore v1.8.9 (legacy): Set nope doesn't exist. Error occurred at line: 2",
        2,
    ),
    ("iptables-restore: line 3 failed\n", "iptables-restore: line 3 failed", 3),
    (
        "iptables-nft-restore v1.8.9 (nf_tables): \nline 2: RULE_APPEND failed (Invalid argument): rule in chain X\n",
        "iptables-nft-restore v1.8.9 (nf_tables): line 2: RULE_APPEND failed (Invalid argument): rule in chain X",
        2,
    ),
    ("line 99 failed\n", "line 99 failed", None),
    (
        "Another app is currently holding the xtables lock.\n",
        "Another app is currently holding the xtables lock.",
        None,
    ),
    ("", "", None),
]


@pytest.mark.parametrize(("said", "text", "line"), SAID)
def test_what_it_says_when_it_fails(
    programs: Callable[..., Path], tmp_path: Path, said: str, text: str, line: int | None
) -> None:
    (tmp_path / "said").write_text(said)
    programs(iptables_nft=version("1.8.9"), iptables_nft_restore=f"cat {tmp_path}/said >&2; exit 4")
    document = "*nat\n-A X -j Y\nCOMMIT\n"
    with Iptables(V4, variant="nft") as tool, pytest.raises(IptablesFailed) as caught:
        tool.load(document)
    error = caught.value
    rule = document.splitlines()[line - 1] if line else ""
    assert (error.program, error.status, error.text) == ("iptables-nft-restore", 4, text)
    assert (error.line, error.rule) == (line, rule)
    place = f" (line {line}: {rule})" if line else ""
    assert str(error) == f"iptables-nft-restore ended with 4: {text or 'it said nothing'}{place}"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_program_that_hangs(programs: Callable[..., Path]) -> None:
    programs(iptables_nft_save="exec sleep 60")
    with Iptables(V4, variant="nft", timeout=0.3) as tool, pytest.raises(IptablesFailed) as caught:
        tool.save("nat")
    assert caught.value.status is None
    assert str(caught.value) == "iptables-nft-save: it did not end within 0.3 seconds and was killed"


def test_a_program_that_is_not_there(programs: Callable[..., Path]) -> None:
    programs()
    with (
        Iptables(V4, variant="nft") as tool,
        pytest.raises(IptablesNotAvailable, match="Debian's package iptables") as caught,
    ):
        tool.save("nat")
    assert isinstance(caught.value, IptablesFailed)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    with Iptables(V4) as tool, pytest.raises(IptablesNotAvailable):
        tool.save("nat")


def test_comments_in_any_encoding(programs: Callable[..., Path]) -> None:
    programs(
        iptables_nft_save=r"printf '\377\n'", iptables_nft=version("1.8.9"), iptables_nft_restore="cat >&2; exit 1"
    )
    with Iptables(V4, variant="nft") as tool:
        text = tool.save("nat")
        assert text.encode(errors="surrogateescape") == b"\xff\n"
        with pytest.raises(IptablesFailed) as caught:
            tool.load(text)
        assert caught.value.text == "\udcff"


#: (what nft saves, what legacy saves, the variant)
HINT, CANARY, OURS, NOTHING = (
    ":KUBE-IPTABLES-HINT - [0:0]\n",
    ":KUBE-KUBELET-CANARY - [0:0]\n",
    ":KUBE-SERVICES - [0:0]\n",
    "*nat\nCOMMIT\n",
)
USED = [
    (NOTHING, NOTHING, ""),
    (HINT, NOTHING, "nft"),
    (NOTHING, CANARY, "legacy"),
    (NOTHING, OURS, "legacy"),
    (OURS, NOTHING, "nft"),
    (OURS, OURS, ""),
    (OURS, HINT + OURS, "legacy"),
    (OURS, HINT, "legacy"),
    (HINT, OURS, "nft"),
    (HINT, CANARY + OURS, "legacy"),
    (HINT, CANARY, ""),
    ("-A X -m comment --comment ':KUBE-SERVICES ' -j ACCEPT\n", NOTHING, ""),
]


@pytest.mark.parametrize(("nft", "legacy", "variant"), USED)
def test_which_variant_is_in_use(nft: str, legacy: str, variant: str) -> None:
    assert variant_of(nft, legacy) == variant


def test_auto_asks_both_once(programs: Callable[..., Path]) -> None:
    calls = programs(
        iptables_nft_save="exit 1",
        iptables_legacy_save=f"printf '{OURS.strip()}\\n'",
        iptables_legacy=version("1.8.9 (legacy)"),
    )
    with Iptables(V4) as tool:
        assert [tool.program, tool.program] == ["iptables-legacy"] * 2
    assert calls.read_text() == "iptables-nft-save \niptables-legacy-save \n"


@pytest.mark.parametrize(
    ("given", "words"), [({"variant": "new"}, "auto, legacy, nft"), ({"family": "x"}, "ipv4, ipv6")]
)
def test_what_cannot_be(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ik.InvalidConfig, match=words):
        Iptables(**{"family": V4, **given})
