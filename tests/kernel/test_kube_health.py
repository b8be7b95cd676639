"""Health check node ports, in fresh namespaces on whatever kernel there is: all that they need are sockets.

Knows: HTTP. Must not know: Services.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

import ipvskit as ik
from ipvskit import kube
from ipvskit.kube import HealthCheck, HealthServers, health_http
from ipvskit.netns import NetNS
from ipvskit.testing.fake import FakeKernel
from ipvskit.testing.fake.iptables import FakeIptables
from tests.unit.kube_cluster import endpoint, service, slice_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipvskit.testing.namespaces import TestNetNS

WEB = HealthCheck("shop", "web", 30100, 2)


@pytest.fixture
def servers(namespace: TestNetNS) -> Iterator[HealthServers]:
    with HealthServers(namespace) as made:
        yield made


def connected(namespace: TestNetNS, host: str, port: int) -> socket.socket:
    client = namespace.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    client.settimeout(10)
    try:
        client.connect((host, port))
    except OSError:
        client.close()
        raise
    return client


def ask(
    namespace: TestNetNS, host: str = "127.0.0.1", port: int = 30100, method: str = "GET", path: str = "/healthz"
) -> tuple[int, dict[str, str], Any]:
    connection = http.client.HTTPConnection(host, port)
    connection.sock = connected(namespace, host, port)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        body = response.read()
        return response.status, dict(response.headers), json.loads(body) if body else None
    finally:
        connection.close()


def refused(namespace: TestNetNS, host: str = "127.0.0.1", port: int = 30100) -> bool:
    try:
        connected(namespace, host, port).close()
    except ConnectionRefusedError:
        return True
    return False


# --- what is answered ------------------------------------------------------------------------------------------------------------------------


def test_a_node_with_endpoints(namespace: TestNetNS, servers: HealthServers) -> None:
    assert servers.update([WEB]) == ()
    for path in ("/healthz", "/", "/anything?else"):
        status, headers, body = ask(namespace, path=path)
        assert status == 200
        assert headers["X-Load-Balancing-Endpoint-Weight"] == "2"
        assert headers["Content-Type"] == "application/json"
        assert body == {
            "service": {"namespace": "shop", "name": "web"},
            "localEndpoints": 2,
            "serviceProxyHealthy": True,
        }


@pytest.mark.parametrize(
    ("count", "healthy", "status"), [(0, True, 503), (1, False, 503), (0, False, 503), (1, True, 200)]
)
def test_when_it_is_not_to_be_used(
    namespace: TestNetNS, servers: HealthServers, count: int, healthy: bool, status: int
) -> None:
    servers.update([HealthCheck("shop", "web", 30100, count)])
    servers.healthy = healthy
    found, headers, body = ask(namespace)
    assert (found, headers["X-Load-Balancing-Endpoint-Weight"]) == (status, str(count))
    assert (body["localEndpoints"], body["serviceProxyHealthy"]) == (count, healthy)


def test_a_head_request_has_no_body_and_others_are_refused(namespace: TestNetNS, servers: HealthServers) -> None:
    servers.update([WEB])
    status, headers, body = ask(namespace, method="HEAD")
    assert (status, body) == (200, None)
    assert int(headers["Content-Length"]) > 0
    connection = connected(namespace, "127.0.0.1", 30100)
    with connection:
        connection.sendall(b"DELETE / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 501 ")


@pytest.mark.parametrize(
    "text", [b"\r\n\r\n", b"\x00\xff\x16\x03\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"x" * 20000]
)
def test_what_is_no_request(namespace: TestNetNS, servers: HealthServers, text: bytes) -> None:
    servers.update([WEB])
    with connected(namespace, "127.0.0.1", 30100) as connection:
        connection.sendall(text)
        try:
            assert not connection.recv(100).startswith(b"HTTP/1.1 200")
        except ConnectionResetError:
            assert len(text) == 20000
    assert ask(namespace)[0] == 200


# --- where ---------------------------------------------------------------------------------------------------------------------------------------


def test_everywhere_or_by_one_family_or_at_an_address(namespace: TestNetNS, servers: HealthServers) -> None:
    namespace.ip("addr add 192.0.2.1/32 dev lo")
    servers.update(
        [
            HealthCheck("a", "everywhere", 30001, 1),
            HealthCheck("a", "four", 30002, 4, ("0.0.0.0",)),
            HealthCheck("a", "six", 30002, 6, ("::",)),
            HealthCheck("a", "one", 30003, 1, ("192.0.2.1", "::1")),
        ]
    )
    places = ["0.0.0.0:30001", "0.0.0.0:30002", "192.0.2.1:30003", "[::]:30001", "[::]:30002", "[::1]:30003"]
    assert servers.places == places
    for host in ("127.0.0.1", "192.0.2.1", "::1"):
        assert ask(namespace, host, 30001)[0] == 200
    assert ask(namespace, "127.0.0.1", 30002)[2]["localEndpoints"] == 4
    assert ask(namespace, "::1", 30002)[2]["localEndpoints"] == 6
    assert ask(namespace, "192.0.2.1", 30003)[0] == 200
    assert refused(namespace, "127.0.0.1", 30003)


def test_only_in_its_own_namespace(namespace: TestNetNS, servers: HealthServers) -> None:
    servers.update([WEB])
    with type(namespace)() as other:
        assert refused(other)
        with HealthServers(other) as others:
            assert others.update([HealthCheck("x", "y", 30100, 7)]) == ()
            assert ask(other)[2]["localEndpoints"] == 7
    assert ask(namespace)[2]["localEndpoints"] == 2


def test_checks_come_change_and_go(namespace: TestNetNS, servers: HealthServers) -> None:
    other = HealthCheck("shop", "api", 30101, 1)
    assert servers.places == []
    servers.update([WEB])
    servers.update([WEB, other])
    assert ask(namespace, port=30101)[2]["service"]["name"] == "api"
    servers.update([HealthCheck("shop", "web", 30100, 5), other])
    assert ask(namespace)[2]["localEndpoints"] == 5
    servers.update([HealthCheck("shop", "renamed", 30100, 5)])
    assert ask(namespace)[2]["service"]["name"] == "renamed"
    assert refused(namespace, port=30101)
    servers.update([])
    assert refused(namespace)
    servers.update([WEB])
    assert ask(namespace)[0] == 200


# --- what goes wrong ------------------------------------------------------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_told_and_tried_again(namespace: TestNetNS, servers: HealthServers) -> None:
    other = HealthCheck("shop", "api", 30101, 1)
    with namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as rival:
        rival.bind(("127.0.0.1", 30100))
        rival.listen()
        four = HealthCheck("shop", "web", 30100, 2, ("0.0.0.0",))
        (told,) = servers.update([four, other])
        assert str(told) == "health check of shop/web at 0.0.0.0:30100: Address already in use"
        assert ask(namespace, port=30101)[0] == 200
    assert servers.update([four, other]) == ()
    assert ask(namespace)[0] == 200


def test_an_address_that_is_not_here(servers: HealthServers) -> None:
    here = HealthCheck("shop", "web", 30100, 2, ("127.0.0.1", "192.0.2.1"))
    (told,) = servers.update([here])
    assert (told.check, told.place) == (here, "192.0.2.1:30100")
    assert servers.places == ["127.0.0.1:30100"]


def test_of_two_that_want_a_port_the_first_has_it(namespace: TestNetNS, servers: HealthServers) -> None:
    first, second = HealthCheck("a", "x", 30100, 1, ("127.0.0.1",)), HealthCheck("b", "x", 30100, 2, ("127.0.0.1",))
    for order in ([first, second], [second, first]):
        (told,) = servers.update(order)
        assert (told.check, told.reason) == (second, "a/x has that port")
        assert ask(namespace)[2]["service"]["namespace"] == "a"


def test_without_ipv6_everywhere_is_everywhere_by_ipv4(namespace: TestNetNS, servers: HealthServers) -> None:
    namespace.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
    assert servers.update([WEB]) == ()
    assert ask(namespace)[0] == 200


def test_a_silent_client_holds_up_nobody_and_is_let_go(
    namespace: TestNetNS, servers: HealthServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_http, "PATIENCE", 0.5)
    servers.update([WEB])
    with connected(namespace, "127.0.0.1", 30100) as silent, connected(namespace, "127.0.0.1", 30100) as slow:

        def drip() -> None:
            with suppress(OSError):
                for _ in range(1000):
                    slow.send(b"x")
                    time.sleep(0.01)

        begun = time.monotonic()
        dripping = threading.Thread(target=drip)
        dripping.start()
        assert ask(namespace)[0] == 200
        assert silent.recv(10) == b""
        dripping.join()
        assert time.monotonic() < begun + 8


def test_more_clients_than_there_is_room_for(
    namespace: TestNetNS, servers: HealthServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_http, "MOST", 2)
    servers.update([WEB])
    with (
        connected(namespace, "127.0.0.1", 30100),
        connected(namespace, "127.0.0.1", 30100),
        connected(namespace, "127.0.0.1", 30100) as third,
    ):
        assert third.recv(10) == b""
    deadline = time.monotonic() + 10
    while True:
        try:
            assert ask(namespace)[0] == 200
            break
        except (ConnectionError, http.client.HTTPException):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_many_at_once(namespace: TestNetNS, servers: HealthServers) -> None:
    checks = [HealthCheck("n", f"s{number}", 30000 + number, number) for number in range(1, 101)]
    assert servers.update(checks) == ()
    found: list[int] = []

    def several(begin: int) -> None:
        for number in range(begin, 101, 8):
            found.append(ask(namespace, port=30000 + number)[2]["localEndpoints"])  # noqa: PERF401 - as they come

    threads = [threading.Thread(target=several, args=(begin,)) for begin in range(1, 9)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        servers.update(checks)
    for thread in threads:
        thread.join(60)
    assert sorted(found) == list(range(1, 101))
    assert sum(thread.name == "ipvskit-health" for thread in threading.enumerate()) < 20


def test_closed_means_closed(namespace: TestNetNS) -> None:
    with HealthServers(namespace) as made:
        made.update([WEB])
        threads = [thread for thread in threading.enumerate() if thread.name == "ipvskit-health"]
        assert threads
    assert refused(namespace)
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    made.close()
    with pytest.raises(ik.ClosedError):
        made.update([])
    HealthServers(namespace).close()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"port": 0}, "port"),
        ({"port": 65536}, "port"),
        ({"local_endpoints": -1}, "local_endpoints"),
        ({"addresses": ("x",)}, "addresses"),
    ],
)
def test_what_cannot_be(given: dict[str, Any], field: str) -> None:
    with pytest.raises(ik.InvalidConfig) as caught:
        HealthCheck(**{"namespace": "a", "name": "b", "port": 1, "local_endpoints": 0, **given})
    assert caught.value.field == field


# --- of a node -------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def tools() -> dict[ik.Family, FakeIptables]:
    return {family: FakeIptables(family) for family in ik.Family}


@pytest.fixture
def proxy(namespace: TestNetNS, tools: dict[ik.Family, FakeIptables]) -> Iterator[kube.Proxy]:
    """A node in memory, but for its sockets."""

    class Node(FakeKernel):
        def _open_netns(self, netns: object) -> NetNS:
            return NetNS.of(namespace)

    with Node() as kernel, kube.Proxy(kernel, kube.Node("n1"), iptables=tools.__getitem__) as made:
        kernel.devices.add_addresses("eth0", ["172.18.0.2/16"]).raise_for_failures()
        yield made


def balanced(name: str, ip: str, port: int = 30100) -> dict[str, Any]:
    more: dict[str, Any] = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": port}
    return service(name, (ip,), ingress=["203.0.113.7"], **more)


def test_a_port_that_cannot_be_had_is_told_and_tried_again(namespace: TestNetNS, proxy: kube.Proxy) -> None:
    with namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as somebody:
        somebody.bind(("0.0.0.0", 30100))
        somebody.listen()
        proxy.tracker.resync([balanced("web", "10.96.0.10"), slice_of("web", endpoint("10.0.0.1", "n1"))])
        told = "health check of default/web at 0.0.0.0:30100: Address already in use"
        for _ in range(2):
            report = proxy.sync()
            assert [str(each) for each in report.unserved] == [told]
            assert report.to_dict()["unserved"] == [told]
            assert report.ok
    assert proxy.sync().unserved == ()
    assert ask(namespace)[0] == 200


def test_two_services_with_one_port(namespace: TestNetNS, proxy: kube.Proxy) -> None:
    two = [balanced("one", "10.96.0.10"), balanced("two", "10.96.0.11")]
    proxy.tracker.resync([*two, slice_of("two", endpoint("10.0.0.1", "n1"))])
    reasons = {each.reason for each in proxy.sync().unserved}
    assert reasons == {"default/one has that port"}
    status, _, body = ask(namespace)
    assert (status, body["service"]["name"]) == (503, "one")
    proxy.tracker.delete(two[0])
    assert proxy.sync().unserved == ()
    status, _, body = ask(namespace)
    assert (status, body["service"]["name"]) == (200, "two")


def test_a_node_without_its_guards_sends_balancers_away(
    namespace: TestNetNS, proxy: kube.Proxy, tools: dict[ik.Family, FakeIptables]
) -> None:
    proxy.tracker.resync([balanced("web", "10.96.0.10"), slice_of("web", endpoint("10.0.0.1", "n1"))])
    assert proxy.sync().ok
    assert ask(namespace)[0] == 200
    proxy.tracker.add(service("bad", ("10.96.0.11",), annotations={"ipvskit/scheduler": "nosuch"}))
    assert proxy.sync().failures
    assert ask(namespace)[0] == 200, "the guards are as they were"
    tools[ik.Family.IPV4].broken = "no"
    proxy.tracker.add(service("ext", ("10.96.0.12",), externalIPs=["203.0.113.1"]))
    report = proxy.sync()
    assert report.rule_errors
    assert not report.full
    assert ask(namespace)[0] == 503
    tools[ik.Family.IPV4].broken = ""
    proxy.sync()
    assert ask(namespace)[0] == 200
