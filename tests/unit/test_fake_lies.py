"""The fake kernel lies when it is told to, and the client sees through what can be seen through."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

import ipvskit as ik
from ipvskit import operations as ops
from ipvskit.testing.fake import (
    Before,
    Chunks,
    Command,
    Duplicate,
    Fail,
    FakeKernel,
    Interrupt,
    LoseAnswers,
    Omit,
    Refuse,
    SwallowAnswer,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

WEB = "192.0.2.10:80/tcp"
DNS = "192.0.2.10:53/udp"
ONE, TWO = "10.0.0.1:80", "10.0.0.2:80"


@pytest.fixture
def fake() -> Iterator[FakeKernel]:
    with FakeKernel() as kernel:
        kernel.ipvs.add_service(ik.VirtualService(WEB, reals=[ONE, TWO]))
        yield kernel


def keys(kernel: ik.Kernel) -> list[str]:
    return sorted(str(service.key) for service in kernel.ipvs.services())


def test_a_request_is_refused_the_nth_time(fake: FakeKernel) -> None:
    told = fake.lie(Refuse(errno.ENOMEM), command=Command.NEW_DEST, key=WEB, nth=2)
    report = fake.ipvs.bulk(ops.AddReal(ik.ServiceKey.parse(WEB), ik.RealServer(f"10.0.1.{n}:80")) for n in range(4))
    assert [(one.index, getattr(one.error, "errno", 0)) for one in report.failures] == [(1, errno.ENOMEM)]
    assert (told.seen, told.told) == (4, 1)
    assert [real.endpoint for real in fake.ipvs.reals(WEB)][2:] == ["10.0.1.0:80", "10.0.1.2:80", "10.0.1.3:80"]


def test_a_request_is_refused_every_time_until_the_truth_is_told(fake: FakeKernel) -> None:
    fake.lie(Refuse(errno.EPERM))
    for _ in range(2):
        with pytest.raises(ik.PermissionDenied):
            fake.ipvs.services()
    fake.tell_the_truth()
    assert keys(fake) == [WEB]


def test_a_lie_about_one_service_leaves_others_alone(fake: FakeKernel) -> None:
    fake.lie(Refuse(errno.ENOMEM), key=DNS)
    with pytest.raises(ik.KernelError):
        fake.ipvs.add_service(DNS)
    fake.ipvs.replace_service(WEB)
    fake.ipvs.flush()


def test_lost_answers_are_found_out_by_reading(fake: FakeKernel) -> None:
    fake.lie(LoseAnswers(), nth=1)
    key = ik.ServiceKey.parse(WEB)
    existing, new = ik.RealServer(ONE, weight=9), ik.RealServer("10.0.0.3:80")
    report = fake.ipvs.bulk([ops.AddReal(key, existing), ops.AddReal(key, new)])
    assert [(one.index, type(one.error)) for one in report.failures] == [(0, ik.AnswerLost)]
    assert fake.ipvs.real(WEB, new) == new
    assert fake.ipvs.real(WEB, ONE).weight == 1


def test_a_part_of_the_answers_is_lost(fake: FakeKernel) -> None:
    fake.lie(LoseAnswers(start=1, stop=2))
    report = fake.ipvs.bulk([ops.AddService(ik.VirtualService(WEB)), ops.DeleteService(ik.ServiceKey.parse(DNS))])
    assert [type(one.error) for one in report.failures] == [ik.ServiceExists], "a missing service is as if deleted"


def test_a_swallowed_answer_to_stopping_a_daemon(fake: FakeKernel) -> None:
    fake.ipvs.start_daemon("master eth0")
    told = fake.lie(SwallowAnswer(), command=Command.DEL_DAEMON)
    fake.ipvs.stop_daemon("master")
    assert (told.told, fake.ipvs.daemons()) == (1, [])


@pytest.mark.parametrize("lie", [Duplicate(), Duplicate(rows=2), Omit(), Interrupt(), Chunks(3)])
@pytest.mark.parametrize("command", [Command.GET_SERVICE, Command.GET_DEST])
def test_one_bad_dump_is_read_again(fake: FakeKernel, lie: Duplicate, command: Command) -> None:
    fake.ipvs.add_service(ik.VirtualService(DNS, reals=["10.0.0.1:53"]))
    before = fake.rival.services()
    told = fake.lie(lie, command=command, nth=1)
    assert fake.ipvs.services() == before
    assert told.told == 1
    assert told.seen > 1


@pytest.mark.parametrize("lie", [Duplicate(), Interrupt()])
@pytest.mark.parametrize("command", [Command.GET_SERVICE, Command.GET_DEST])
def test_a_dump_that_is_always_bad_is_told(fake: FakeKernel, lie: Duplicate, command: Command) -> None:
    fake.lie(lie, command=command)
    with pytest.raises(ik.InconsistentDump) as caught:
        fake.ipvs.services()
    assert len(caught.value.partial) == (1 if command is Command.GET_SERVICE else 2)


def test_long_tables_come_in_pieces(fake: FakeKernel) -> None:
    fake.ipvs.add_services(f"192.0.2.1:{port}/tcp" for port in range(1, 200))
    told = fake.lie(Refuse(errno.ENOMEM), command=Command.GET_SERVICE, nth=3)
    assert len(fake.ipvs.services(reals=False)) == 200
    assert told.seen == 2, "read until two readings agreed"


def test_a_service_vanishes_between_two_dumps(fake: FakeKernel) -> None:
    fake.ipvs.add_service(DNS)
    fake.lie(Before(lambda ipvs: ipvs.delete_service(WEB)), command=Command.GET_DEST, nth=1)
    assert keys(fake) == [DNS]


def test_a_rival_is_faster(fake: FakeKernel) -> None:
    fake.lie(Before(lambda ipvs: ipvs.add_service(f"{DNS} scheduler=sh")), command=Command.NEW_SERVICE, key=DNS)
    with pytest.raises(ik.ServiceExists):
        fake.ipvs.add_service(DNS)
    assert fake.ipvs.service(DNS).scheduler == "sh"


def test_a_rival_that_never_rests_makes_reading_fail(fake: FakeKernel) -> None:
    ports = iter(range(1000, 2000))
    fake.lie(Before(lambda ipvs: ipvs.add_service(f"192.0.2.1:{next(ports)}/tcp")), command=Command.GET_DEST)
    with pytest.raises(ik.InconsistentDump):
        fake.ipvs.services()


def test_reading_times_out(fake: FakeKernel) -> None:
    fake.lie(Fail(lambda: ik.TimedOut(errno.ETIMEDOUT)), nth=1)
    with pytest.raises(ik.TimedOut):
        fake.ipvs.services()
    assert keys(fake) == [WEB]


@pytest.mark.parametrize("executed", [True, False])
@pytest.mark.parametrize("error", [ik.TimedOut(errno.ETIMEDOUT), ik.ProtocolError("garbage")])
def test_a_change_that_ended_in_trouble_is_found_out(fake: FakeKernel, error: Exception, executed: bool) -> None:
    fake.lie(Fail(lambda: error, executed), command=Command.NEW_SERVICE)
    report = fake.ipvs.bulk([ops.AddService(ik.VirtualService(DNS))])
    assert report.ok is executed
    assert (DNS in keys(fake)) is executed
