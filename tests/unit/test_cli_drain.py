"""`ipvskit drain` on a fake kernel.

Knows: weights and connections. Must not know: how they are read.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from ipvskit.testing.fake import Command, FakeKernel, Refuse
from tests.unit.cli_support import Said, runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WEB, TLS, SIX = "192.0.2.10:80/tcp", "192.0.2.10:443/tcp", "[2001:db8::10]:80/tcp"


@pytest.fixture
def fake() -> Iterator[FakeKernel]:
    with FakeKernel() as kernel:
        kernel.ipvs.add_service(f"{WEB}\n -> 10.0.0.1:8080 weight=100 upper_threshold=9\n -> 10.0.0.2:8080 weight=50")
        kernel.ipvs.add_service(f"{TLS}\n -> 10.0.0.1:8443 weight=70\n -> 10.0.0.1:9443 weight=0")
        kernel.ipvs.add_service(f"{SIX}\n -> [2001:db8::1]:80 weight=3")
        kernel.set_connections(WEB, "10.0.0.1:8080", active=2, inactive=1)
        yield kernel


@pytest.fixture
def run(fake: FakeKernel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    return runner(fake, monkeypatch, capsys)


def weights(fake: FakeKernel) -> dict[str, int]:
    return {real.endpoint: real.weight for one in fake.ipvs.services() for real in one.reals}


WEIGHTS = {"10.0.0.1:8080": 100, "10.0.0.2:8080": 50, "10.0.0.1:8443": 70, "10.0.0.1:9443": 0, "[2001:db8::1]:80": 3}


def test_one_port(fake: FakeKernel, run: Callable[..., Said]) -> None:
    found = run("drain", "10.0.0.1:8080")
    assert found == (0, f"10.0.0.1:8080 of {WEB}: weight 100 -> 0, 2 active, 1 inactive, 0 persistent\n", "")
    assert weights(fake) == WEIGHTS | {"10.0.0.1:8080": 0}
    assert fake.ipvs.real(WEB, "10.0.0.1:8080").upper_threshold == 9


def test_all_ports_in_every_service(fake: FakeKernel, run: Callable[..., Said]) -> None:
    lines = run("drain", "10.0.0.1").out.splitlines()
    assert len(lines) == 3
    assert any(line.startswith(f"10.0.0.1:9443 of {TLS}: has weight 0 already, ") for line in lines)
    assert weights(fake) == WEIGHTS | {"10.0.0.1:8080": 0, "10.0.0.1:8443": 0}


def test_in_one_service(fake: FakeKernel, run: Callable[..., Said]) -> None:
    assert run("drain", "10.0.0.1", "--service", TLS).status == 0
    assert weights(fake) == WEIGHTS | {"10.0.0.1:8443": 0}


@pytest.mark.parametrize("name", ["2001:db8::1", "[2001:db8::1]:80", "[2001:DB8:0::1]"])
def test_ipv6(fake: FakeKernel, run: Callable[..., Said], name: str) -> None:
    assert run("drain", name).status == 0
    assert weights(fake)["[2001:db8::1]:80"] == 0


def leaving(fake: FakeKernel, monkeypatch: pytest.MonkeyPatch, *left: dict[str, int]) -> list[float]:
    """Every time that somebody sleeps, some of the connections of 10.0.0.1:8080 are gone; how long they slept."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        fake.set_connections(WEB, "10.0.0.1:8080", **left[len(slept)])
        slept.append(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    return slept


def test_until_the_connections_are_gone(
    fake: FakeKernel, run: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = leaving(fake, monkeypatch, {"active": 1}, {"inactive": 1}, {"persistent": 1})
    found = run("drain", "10.0.0.1:8080", "--wait")
    assert (found.status, slept) == (0, [1.0, 1.0, 1.0])
    assert found.out.splitlines()[-1] == f"10.0.0.1:8080 of {WEB}: has no connections any more"
    assert "10.0.0.1:8080" in weights(fake)


def test_what_is_waited_for(fake: FakeKernel, run: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    slept = leaving(fake, monkeypatch, {"active": 1}, {"inactive": 1})
    assert run("drain", "10.0.0.1:8080", "--wait", "--established").status == 0
    assert len(slept) == 2
    fake.set_connections(WEB, "10.0.0.1:8080", persistent=1)
    slept = leaving(fake, monkeypatch, {})
    assert run("drain", "10.0.0.1:8080", "--wait").status == 0
    assert not slept
    assert run("drain", "10.0.0.1:8080", "--wait", "--persistent").status == 0
    assert len(slept) == 1


def test_deleted_afterwards(fake: FakeKernel, run: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    leaving(fake, monkeypatch, {})
    found = run("drain", "10.0.0.1", "--delete")
    assert found.status == 0
    assert found.out.count(": deleted\n") == 3
    assert set(weights(fake)) == {"10.0.0.2:8080", "[2001:db8::1]:80"}


def test_the_deadline(fake: FakeKernel, run: Callable[..., Said]) -> None:
    found = run("drain", "10.0.0.1:8080", "--wait", "--deadline", "0")
    assert found.status == 1
    assert found.err == (
        f"ipvskit: 10.0.0.1:8080 of {WEB}: still 2 active, 1 inactive, 0 persistent, and the deadline has passed\n"
    )
    cut = run("drain", "10.0.0.1:8080", "--delete", "--deadline", "0")
    assert cut.status == 0
    assert cut.out.splitlines()[-1].endswith(
        "deleted with 2 active, 1 inactive, 0 persistent, because the deadline has passed"
    )
    assert "10.0.0.1:8080" not in weights(fake)


def test_not_slept_beyond_the_deadline(
    fake: FakeKernel, run: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = leaving(fake, monkeypatch, {})
    assert run("drain", "10.0.0.1:8080", "--wait", "--deadline", "0.25").status == 0
    assert 0 < slept[0] <= 0.25


def test_the_weight_comes_back_meanwhile(
    fake: FakeKernel, run: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: fake.ipvs.update_real(WEB, "10.0.0.1:8080", weight=7))
    found = run("drain", "10.0.0.1:8080", "--delete")
    assert found.status == 1
    assert "somebody gave it weight 7 again" in found.err
    assert weights(fake)["10.0.0.1:8080"] == 7


def test_somebody_else_deletes_it(fake: FakeKernel, run: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: fake.ipvs.delete_real(WEB, "10.0.0.1:8080"))
    assert run("drain", "10.0.0.1:8080", "--delete").status == 0


def test_the_weight_is_given_back(fake: FakeKernel, run: Callable[..., Said], tmp_path: Path) -> None:
    ledger = str(tmp_path / "ledger.json")
    assert run("drain", "10.0.0.1", "--ledger", ledger).status == 0
    # Once more, and the weight is still known.
    assert run("drain", "10.0.0.1", "--ledger", ledger).status == 0
    none = run("drain", "10.0.0.1", "--undo")
    assert none.status == 1
    assert "nobody remembers which weight 10.0.0.1:" in none.err
    # The one that had none before is not in the ledger, and nothing is changed.
    assert run("drain", "10.0.0.1", "--undo", "--ledger", ledger).status == 1
    found = run("drain", "10.0.0.1:8080", "--undo", "--ledger", ledger)
    assert found == (0, f"10.0.0.1:8080 of {WEB}: weight 0 -> 100\n", "")
    assert run("drain", "10.0.0.1:8443", "--undo", "--ledger", ledger).status == 0
    assert weights(fake) == WEIGHTS
    again = run("drain", "10.0.0.1:8443", "--undo", "--ledger", ledger)
    assert again.out == f"10.0.0.1:8443 of {TLS}: has weight 70\n"


def test_another_weight_is_given(fake: FakeKernel, run: Callable[..., Said]) -> None:
    assert run("drain", "10.0.0.1", "--undo", "--weight", "5").status == 0
    assert weights(fake) == WEIGHTS | {"10.0.0.1:9443": 5}


def test_what_is_refused_is_told(fake: FakeKernel, run: Callable[..., Said]) -> None:
    fake.lie(Refuse(1), command=Command.SET_DEST, key=WEB)
    found = run("drain", "10.0.0.1", "--wait")
    assert found.status == 1
    assert found.err.startswith("ipvskit: ")
    assert f"10.0.0.1:8443 of {TLS}: weight 70 -> 0" in found.out
    assert WEB not in found.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["10.0.0.7"], "no service has a real server 10.0.0.7"),
        (["10.0.0.1:81", "--service", WEB], f"{WEB} has no real server 10.0.0.1:81"),
        (["10.0.0.1", "--service", "192.0.2.9:80/tcp"], "no such virtual service"),
        (["web"], "real server"),
        (["10.0.0.1", "--service", "x"], "service"),
        (["10.0.0.1", "--undo", "--wait"], "--undo goes without"),
        (["10.0.0.1", "--weight", "1"], "--weight goes with --undo"),
        (["10.0.0.1", "--deadline", "1"], "--deadline goes with"),
        (["10.0.0.1:9443", "--undo", "--weight", "-1"], "weight"),
    ],
)
def test_errors_are_told_in_a_line(fake: FakeKernel, run: Callable[..., Said], words: list[str], says: str) -> None:
    found = run("drain", *words)
    assert (found.status, found.out) == (1, "")
    assert says in found.err
    assert found.err.count("\n") == 1
    assert weights(fake) == WEIGHTS
