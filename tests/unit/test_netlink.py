"""The netlink connection and namespaces, on any kernel: generic netlink's own controller answers everywhere.

Knows: namespaces and transactions. Must not know: IPVS.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

import ipvskit as ik
from ipvskit import _native, modules
from ipvskit.ipvs import availability
from ipvskit.netlink import NETLINK_GENERIC, NETLINK_ROUTE, Connection
from ipvskit.netns import NetNS
from ipvskit.testing.namespaces import TestNetNS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def connection() -> Iterator[Connection]:
    with NetNS.current() as here:
        opened = Connection(NETLINK_GENERIC, here)
        yield opened
        opened.close()


def own_namespace() -> int:
    return os.stat("/proc/thread-self/ns/net").st_ino


def test_a_family_is_found_by_name(connection: Connection) -> None:
    assert connection.resolve("nlctrl") == 16


def test_a_missing_family_is_told(connection: Connection) -> None:
    with pytest.raises(ik.KernelError, match="find family nonsense") as caught:
        connection.resolve("nonsense")
    assert caught.value.errno == errno.ENOENT
    assert connection.resolve("nlctrl") == 16


@pytest.mark.parametrize("name", ["", "a" * 16])
def test_impossible_family_names_are_not_sent(connection: Connection, name: str) -> None:
    with pytest.raises(ik.KernelError) as caught:
        connection.resolve(name)
    assert caught.value.errno == errno.EINVAL


def test_the_kernels_own_words_come_with_the_refusal(namespace: TestNetNS) -> None:
    """An address for an interface that does not exist, to routing netlink: it explains itself, unlike IPVS."""
    header, body = (
        struct.Struct("=IHHII"),
        struct.pack("=BBBBIHH4s", socket.AF_INET, 24, 0, 0, 4711, 8, 2, b"\x0a\0\0\1"),
    )
    connection = Connection(NETLINK_ROUTE, namespace)
    answers: list[_native.Answer] = []

    def encode(sock: _native.Socket, start: int, most: int, sequence: int) -> tuple[int, int]:
        messages = [header.pack(16 + len(body), 20, 0x401, sequence + at, 0) + body for at in range(most)]
        return most, sock.load(b"".join(messages))

    connection.exchange(encode, 3, lambda sock, start, done, first: answers.extend(sock.answers(first)))
    assert [(answer.index, answer.error) for answer in answers] == [(at, errno.ENODEV) for at in range(3)]
    assert {answer.text for answer in answers} in ({"ipv4: Device not found"}, {""})
    assert answers[0].text or os.uname().release < "6.3", "this kernel explains itself, and the text did not arrive"
    connection.close()


def test_sequence_numbers_wrap(connection: Connection) -> None:
    connection._sequence = 2**32 - 3
    for _ in range(4):
        assert connection.resolve("nlctrl") == 16
    assert 0 < connection._sequence < 100


def test_after_trouble_the_socket_is_opened_anew(connection: Connection) -> None:
    generation = connection.generation

    def fail(sock: object, start: int, most: int, sequence: int) -> tuple[int, int]:
        raise OSError(errno.EBADMSG, "not netlink")

    with pytest.raises(ik.ProtocolError):
        connection.exchange(fail, 1, lambda *_: None)
    assert connection.resolve("nlctrl") == 16
    assert connection.generation == generation + 1


def test_an_answer_that_never_comes_ends_at_the_deadline() -> None:
    with NetNS.current() as here:
        connection = Connection(NETLINK_GENERIC, here, timeout=0.05)
        with pytest.raises(ik.TimedOut, match="did not answer in time"):
            _await_the_end_of_what_is_no_dump(connection)
        assert connection.resolve("nlctrl") == 16
        connection.close()


def _await_the_end_of_what_is_no_dump(connection: Connection) -> None:
    with connection._transaction() as sock:
        sock.dump(sock.encode_resolve("nlctrl", 1), 1, 1, 50)


def test_a_namespace_can_be_entered_without_the_caller_leaving_its_own(namespace: TestNetNS) -> None:
    before = own_namespace()
    with namespace.open("/proc/thread-self/net/dev") as file:
        assert [line.split(":")[0].strip() for line in file.readlines()[2:]] == ["lo"]
    with namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, pytest.raises(OSError, match="unreachable"):
        sock.connect(("192.0.2.1", 9))
    connection = Connection(NETLINK_GENERIC, namespace)
    assert connection.resolve("nlctrl") == 16
    connection.close()
    assert own_namespace() == before


def test_threads_in_other_namespaces_do_not_mix(namespace: TestNetNS) -> None:
    before = own_namespace()
    found: list[int] = []

    def work() -> None:
        for _ in range(20):
            with namespace.open("/proc/thread-self/net/dev") as file:
                found.append(len(file.readlines()))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {3}
    assert own_namespace() == before


def test_what_is_no_namespace_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with NetNS.from_path(tmp_path / "file") as nonsense:
        with pytest.raises(OSError, match="Invalid argument"):
            nonsense.open("/proc/thread-self/net/dev")
        with pytest.raises(ik.KernelError, match="not that of a network namespace"):
            Connection(NETLINK_GENERIC, nonsense)
    with pytest.raises(ik.NamespaceNotFound):
        NetNS.from_path(tmp_path / "nothing")
    with pytest.raises(ik.NamespaceNotFound):
        NetNS.from_fd(987654)


def test_without_privileges_the_own_namespace_is_usable() -> None:
    script = """
from ipvskit.netlink import Connection
from ipvskit.netns import NetNS
with NetNS.current() as here:
    connection = Connection(16, here)
    print(connection.resolve("nlctrl"))
    connection.close()
"""
    # Still root, so that every file is readable, but without the rights over networks.
    command = ["setpriv", "--bounding-set=-net_admin,-sys_admin", sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == "16\n", done.stderr


def test_closed_means_closed() -> None:
    with NetNS.current() as here:
        connection = Connection(NETLINK_GENERIC, here)
        connection.close()
        connection.close()
        with pytest.raises(ik.ClosedError):
            connection.resolve("nlctrl")


def test_the_kernel_without_ipvs_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = ik.KernelError(errno.ENOENT)
    for state, words in (("present", "could not be loaded"), ("missing", "CONFIG_IP_VS"), ("unknown", "not installed")):
        monkeypatch.setattr(availability, "module_state", lambda name, state=state: state)
        assert words in str(availability.ipvs_not_available(error))
    monkeypatch.setattr(availability, "module_state", lambda name: "present")
    switch = tmp_path / "modules_disabled"
    switch.write_text("1\n")
    monkeypatch.setattr(modules, "_DISABLED", switch)
    assert "switched off" in str(availability.ipvs_not_available(error))


def test_module_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modules, "_MODULES", tmp_path)
    folder = tmp_path / os.uname().release
    assert modules.module_state("ip_vs_x") == "unknown"
    folder.mkdir()
    (folder / "modules.dep").write_text("kernel/net/netfilter/ipvs/ip_vs_x.ko: kernel/ip_vs.ko\n")
    (folder / "modules.builtin").write_text("kernel/net/netfilter/ipvs/ip_vs_y.ko\n")
    assert [modules.module_state(f"ip_vs_{name}") for name in "xyz"] == ["present", "built in", "missing"]
