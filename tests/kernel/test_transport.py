"""What the transport must honour, each fact on a real kernel.

Knows: how netlink loses, repeats and cuts answers. Must not know: options of services.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
import threading
from typing import TYPE_CHECKING

import pytest

import ipvskit as ik
from ipvskit import _native
from ipvskit import operations as op
from ipvskit.ipvs import decode, records
from ipvskit.ipvs.backend import KernelBackend
from ipvskit.ipvs.client import Ipvs
from ipvskit.ipvs.records import NLM_F_DUMP, Command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipvskit.testing.namespaces import TestNetNS

pytestmark = pytest.mark.ipvs

KEY = ik.ServiceKey.parse("10.0.0.1:80/tcp")
NLMSG_DONE = 3


def service(number: int, reals: tuple[str, ...] = ()) -> ik.VirtualService:
    address = f"10.{number >> 14 & 255}.{number >> 6 & 255}.{number & 63}"
    return ik.VirtualService(f"{address}:80/tcp", scheduler="rr", reals=reals)


@pytest.fixture
def small(namespace: TestNetNS) -> Iterator[KernelBackend]:
    """A backend whose receive buffer holds a few answers only, and which does not take care of that."""
    backend = KernelBackend(namespace, receive_buffer=8192)
    sock = backend._connection._socket
    assert sock is not None
    sock.message_limit = 100_000
    yield backend
    backend.close()


def test_many_messages_in_one_send_and_every_refusal_matched(kernel: ik.Kernel) -> None:
    wanted = [service(number) for number in range(3000)]
    assert kernel.ipvs.add_services(wanted).done == 3000
    report = kernel.ipvs.add_services(service(number) for number in range(2990, 3010))
    assert [failure.index for failure in report.failures] == list(range(10))
    assert {type(failure.error) for failure in report.failures} == {ik.ServiceExists}
    assert report.done == 10
    assert len(kernel.ipvs.services(reals=False)) == 3010


def test_refusals_of_everything_fit_the_default_receive_buffer(namespace: TestNetNS) -> None:
    backend = KernelBackend(namespace, receive_buffer=0)
    sock = backend._connection._socket
    assert sock is not None
    assert 150 <= sock.message_limit <= 210
    report = Ipvs(backend).bulk(op.DeleteService(service(number).key) for number in range(2000))
    assert len(report.failures) == 2000
    assert {type(failure.error) for failure in report.failures} == {ik.ServiceNotFound}
    backend.close()


def test_lost_answers_are_made_up_for_by_reading(small: KernelBackend) -> None:
    ipvs = Ipvs(small)
    assert ipvs.add_services([service(number) for number in range(300)]).ok
    # 300 refusals do not fit; some of what is asked for is as it should be all the same.
    wanted: list[op.Operation] = [op.AddService(service(number)) for number in range(300)]
    wanted.append(op.AddService(service(300)))
    execution = small.execute(
        b"".join(records.service_request(Command.NEW_SERVICE, service(n)) for n in range(300)), 300
    )
    assert execution.lost == [range(300)]
    assert 0 < len(execution.answers) < 300
    report = ipvs.bulk(wanted)
    assert {type(failure.error) for failure in report.failures} == {ik.ServiceExists}
    assert service(300) in ipvs.services()
    report = ipvs.bulk([op.DeleteService(service(number).key) for number in range(600)])
    assert {type(failure.error) for failure in report.failures} <= {ik.ServiceNotFound}
    assert ipvs.services() == []
    report = ipvs.bulk([op.Zero(service(number).key) for number in range(300)])
    assert {type(failure.error) for failure in report.failures} == {ik.ServiceNotFound, ik.AnswerLost}


def test_questions_whose_answers_do_not_fit_are_asked_again(small: KernelBackend) -> None:
    ipvs = Ipvs(small)
    wanted = [service(number) for number in range(200)]
    assert ipvs.add_services(wanted).ok
    assert ipvs.get_services(one.key for one in wanted) == wanted


def test_a_sync_daemon_that_is_stopped_at_once_may_leave_without_an_answer(kernel: ik.Kernel) -> None:
    for _ in range(5):
        report = kernel.ipvs.bulk([op.StartDaemon(ik.SyncDaemon("master", "lo")), op.StopDaemon(ik.DaemonRole.MASTER)])
        report.raise_for_failures()
        assert kernel.ipvs.daemons() == []


def test_a_datagram_that_does_not_fit_is_not_taken_for_the_whole(namespace: TestNetNS) -> None:
    backend = KernelBackend(namespace, datagram=2048)
    ipvs = Ipvs(backend)
    assert ipvs.add_services([service(number) for number in range(200)]).ok
    with pytest.raises(ik.ProtocolError, match="longer than the receive buffer"):
        ipvs.services()
    ipvs.delete_service(service(0).key)  # on a socket opened anew
    with ik.Kernel(namespace) as kernel:
        assert len(kernel.ipvs.services()) == 199
    backend.close()


def test_one_dump_at_a_time_and_leftovers_are_not_taken_for_answers(namespace: TestNetNS) -> None:
    backend = KernelBackend(namespace)
    ipvs = Ipvs(backend)
    assert ipvs.add_services([service(number) for number in range(500)]).ok
    two_dumps = records.plain_request(Command.GET_SERVICE, NLM_F_DUMP) * 2
    execution = backend.execute(two_dumps, 2)
    assert [(answer.index, answer.error) for answer in execution.answers if answer.error] == [(1, errno.EBUSY)]
    # The first dump is unfinished and its rows are queued: none of that may reach this answer.
    assert ipvs.service(service(7).key) == service(7)
    backend.close()


def test_what_other_processes_send_is_not_taken_for_the_kernels_answer(namespace: TestNetNS) -> None:
    with ik.Kernel(namespace) as kernel:
        kernel.ipvs.add_service(ik.VirtualService(KEY))
        with namespace.open("/proc/thread-self/net/netlink") as file:
            ports = {int(line.split()[2]) for line in file.readlines()[1:] if line.split()[1] == "16"} - {0}
        with namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16) as liar:
            liar.bind((0, 0))
            for port in ports:
                for sequence in range(64):
                    lie = struct.pack("=IHHIIi", 20, 2, 0, sequence, port, -errno.EPERM)
                    liar.sendto(lie, (port, 0))
        assert kernel.ipvs.service(KEY) == ik.VirtualService(KEY)
        kernel.ipvs.update_service(KEY, scheduler="rr")


def _rival(namespace: TestNetNS, stop: threading.Event, first: int) -> None:
    with ik.Kernel(namespace) as kernel:
        while not stop.is_set():
            kernel.ipvs.bulk(op.AddService(service(number)) for number in range(first, first + 300))
            kernel.ipvs.bulk(op.DeleteService(service(number).key) for number in range(first, first + 300))


def test_dumps_under_concurrent_change_are_repeated_or_refused(namespace: TestNetNS) -> None:
    stable = {service(number).key for number in range(1500)}
    outcomes = {"read": 0, "refused": 0}
    with ik.Kernel(namespace) as kernel:
        kernel.ipvs.add_services([service(number) for number in range(1500)]).raise_for_failures()
        stop = threading.Event()
        rival = threading.Thread(target=_rival, args=(namespace, stop, 5000))
        rival.start()
        try:
            for _ in range(40):
                try:
                    keys = [one.key for one in kernel.ipvs.services(reals=False)]
                    outcomes["read"] += 1
                except ik.InconsistentDump as error:
                    keys = [one.key for one in error.partial if isinstance(one, ik.VirtualService)]
                    outcomes["refused"] += 1
                    assert len(keys) >= 1000
                    continue
                assert len(keys) == len(set(keys))
                assert stable <= set(keys)
        finally:
            stop.set()
            rival.join()
        assert sum(outcomes.values()) == 40
        assert {one.key for one in kernel.ipvs.services(reals=False)} == stable


def test_a_single_dump_is_indeed_not_to_be_trusted(namespace: TestNetNS) -> None:
    """The reason for all that care: between two pieces of one dump, deletions hide entries that are still there."""
    backend = KernelBackend(namespace)
    ipvs = Ipvs(backend)
    ipvs.add_services([service(number) for number in range(2000)]).raise_for_failures()
    _, request = _native.encode_ipvs(records.plain_request(Command.GET_SERVICE, NLM_F_DUMP), backend._family, 1)
    with namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16) as raw:
        raw.settimeout(5)
        raw.send(request)
        pieces = [raw.recv(1 << 16) for _ in range(3)]
        ipvs.bulk(op.DeleteService(service(number).key) for number in range(0, 2000, 10)).raise_for_failures()
        while struct.unpack_from("=H", pieces[-1], 4) != (NLMSG_DONE,):
            pieces.append(raw.recv(1 << 16))
    rows = _native.parse_ipvs(_native.IPVS_SERVICES, b"".join(pieces), backend._family)
    seen = set(decode.service_keys(rows, decode.Addresses()))
    hidden = [number for number in range(2000) if number % 10 and service(number).key not in seen]
    assert hidden
    assert len(ipvs.services(reals=False)) == 1800
    backend.close()


def test_threads_share_a_handle(kernel: ik.Kernel) -> None:
    def work(first: int) -> None:
        for number in range(first, first + 50):
            kernel.ipvs.add_service(service(number, ("10.200.0.1:80", "10.200.0.2:80")))
            assert len(kernel.ipvs.service(service(number).key).reals) == 2

    threads = [threading.Thread(target=work, args=(first,)) for first in range(0, 400, 50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kernel.ipvs.services()) == 400


def test_a_forked_child_has_a_socket_of_its_own(kernel: ik.Kernel) -> None:
    kernel.ipvs.add_services([service(number) for number in range(200)]).raise_for_failures()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            ok = all(len(kernel.ipvs.services()) == 200 for _ in range(20))
            kernel.ipvs.add_service(service(999))
            status = 0 if ok else 2
        finally:
            os._exit(status)
    for _ in range(20):
        assert len(kernel.ipvs.services()) in {200, 201}
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(kernel.ipvs.services()) == 201


def test_from_asyncio(kernel: ik.Kernel) -> None:
    async def main() -> int:
        await asyncio.gather(*(asyncio.to_thread(kernel.ipvs.add_service, service(number)) for number in range(20)))
        return len(await asyncio.to_thread(kernel.ipvs.services))

    assert asyncio.run(main()) == 20


def test_namespaces_by_name_path_process_and_descriptor(namespace: TestNetNS) -> None:
    here = os.stat("/proc/thread-self/ns/net").st_ino
    name = f"ipvskit-test-{os.getpid()}"
    sleeper = namespace.popen(["sleep", "60"])
    try:
        namespace.run(["ip", "netns", "attach", name, str(sleeper.pid)])
        with ik.Kernel(namespace) as kernel:
            kernel.ipvs.add_service(ik.VirtualService(KEY))
        with open(namespace.path) as opened:
            for where in (name, f"/run/netns/{name}", namespace.path, sleeper.pid, opened, namespace):
                with ik.Kernel(where) as kernel:
                    assert [one.key for one in kernel.ipvs.services()] == [KEY], where
                assert os.stat("/proc/thread-self/ns/net").st_ino == here
    finally:
        namespace.run(["ip", "netns", "delete", name], check=False)
        sleeper.kill()
        sleeper.wait()
    for gone in (name, "/run/netns/none", 2**22 + 1):
        with pytest.raises(ik.NamespaceNotFound):
            ik.Kernel(gone)
    with (
        open(os.devnull) as nonsense,
        ik.Kernel(nonsense) as kernel,
        pytest.raises(ik.KernelError, match="not that of a network namespace"),
    ):
        kernel.ipvs.info()


def test_a_closed_handle_says_so(namespace: TestNetNS) -> None:
    kernel = ik.Kernel(namespace)
    ipvs = kernel.ipvs
    kernel.close()
    kernel.close()
    with pytest.raises(ik.ClosedError):
        kernel.ipvs.info()
    with pytest.raises(ik.ClosedError):
        ipvs.info()


def test_a_forgotten_handle_warns(namespace: TestNetNS) -> None:
    kernel = ik.Kernel(namespace)
    kernel.ipvs.info()
    with pytest.warns(ResourceWarning):
        del kernel
