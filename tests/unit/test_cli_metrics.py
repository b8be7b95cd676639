"""What Prometheus gets to see, and how it gets it.

Knows: names of metrics, the text format. Must not know: how anything is read from a kernel.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

import ipvskit as ik
from ipvskit.cli import main as program
from ipvskit.cli.metrics import server
from ipvskit.metrics import Collector, gather, text
from ipvskit.sets.definition import stored_set
from ipvskit.testing.fake import Command, FakeKernel, Refuse

if TYPE_CHECKING:
    from collections.abc import Iterator

WEB, FTP = "192.0.2.10:80/tcp", "fwmark:21/v6"
Labels = frozenset[tuple[str, str]]


@pytest.fixture
def kernel() -> Iterator[FakeKernel]:
    with FakeKernel() as fake:
        fake.ipvs.add_service(
            ik.VirtualService(
                WEB, reals=[ik.RealServer("10.0.0.1:8080", weight=3), ik.RealServer("10.0.0.2:8080", weight=0)]
            )
        )
        fake.ipvs.add_service(ik.VirtualService(FTP, reals=[ik.RealServer("[2001:db8::1]:0", weight=7)]))
        fake.set_connections(WEB, "10.0.0.1:8080", active=5, inactive=2, persistent=1)
        fake.set_connections(WEB, "10.0.0.2:8080", active=4, inactive=3)
        fake.set_stats(WEB, ik.Stats(11, 12, 13, 14, 15, 1, 2, 3, 4, 5))
        fake.set_stats(WEB, ik.Stats(6, 7, 8, 9, 10), "10.0.0.1:8080")
        fake.set_totals(ik.Stats(100, 200, 300, 400, 500))
        fake.ipset.create(ik.Set("web-allow", "hash:net", entries=["198.51.100.0/24"], maxelem=1000))
        yield fake


def samples(page: str) -> dict[tuple[str, Labels], float]:
    """By name and labels; a page with the same sample twice fails."""
    found: dict[tuple[str, Labels], float] = {}
    for family in text_string_to_metric_families(page):
        for one in family.samples:
            key = (one.name, frozenset(one.labels.items()))
            assert key not in found, key
            found[key] = one.value
    return found


def value(page: str, name: str, **labels: str) -> float:
    """The one sample of this name that has these labels."""
    wanted = [number for (known, has), number in samples(page).items() if known == name and has >= labels.items()]
    assert len(wanted) == 1, (name, labels, wanted)
    return wanted[0]


def test_real_servers_have_the_labels_of_node_exporter(kernel: FakeKernel) -> None:
    page = text(gather(kernel))
    line = (
        'node_ipvs_backend_connections_active{local_address="192.0.2.10",local_port="80",remote_address="10.0.0.1",'
        'remote_port="8080",proto="TCP",local_mark=""} 5\n'
    )
    assert line in page
    assert value(page, "node_ipvs_backend_connections_inactive", remote_address="10.0.0.2") == 3
    assert value(page, "node_ipvs_backend_weight", remote_address="10.0.0.1") == 3
    marked = {"local_address": "", "local_port": "0", "proto": "FWM", "local_mark": "00000015", "remote_port": "0"}
    assert value(page, "node_ipvs_backend_weight", remote_address="2001:db8::1", **marked) == 7


def test_the_namespace_has_the_counters_of_node_exporter(kernel: FakeKernel) -> None:
    page = text(gather(kernel))
    names = ("connections", "incoming_packets", "outgoing_packets", "incoming_bytes", "outgoing_bytes")
    assert [value(page, f"node_ipvs_{name}_total") for name in names] == [100, 200, 300, 400, 500]
    assert "# TYPE node_ipvs_connections_total counter\n" in page
    assert "# TYPE node_ipvs_backend_weight gauge\n" in page


def test_services_have_rates_counters_and_what_drains(kernel: FakeKernel) -> None:
    page = text(gather(kernel))
    of = {"local_address": "192.0.2.10", "family": "ipv4"}
    assert value(page, "ipvskit_service_connections_per_second", **of) == 1
    assert value(page, "ipvskit_service_outgoing_bytes_per_second", **of) == 5
    assert value(page, "ipvskit_service_incoming_bytes_total", **of) == 14
    assert value(page, "ipvskit_service_real_servers", **of) == 2
    assert value(page, "ipvskit_service_draining_real_servers", **of) == 1
    assert value(page, "ipvskit_service_draining_connections", **of) == 7
    assert value(page, "ipvskit_service_persistence_templates", **of) == 1
    assert value(page, "ipvskit_services") == 2


def test_sets(kernel: FakeKernel) -> None:
    page = text(gather(kernel))
    assert value(page, "ipvskit_set_entries", set="web-allow", type="hash:net") == 1
    assert value(page, "ipvskit_set_references", set="web-allow") == 0
    assert value(page, "ipvskit_set_memory_bytes", set="web-allow") > 0
    assert value(page, "ipvskit_set_max_entries", set="web-allow") == 1000


def test_a_set_without_a_limit_has_no_sample_for_it(kernel: FakeKernel) -> None:
    kernel.ipset.create("ports bitmap:port range 80-90")
    page = text(gather(kernel))
    assert value(page, "ipvskit_set_entries", set="ports") == 0
    assert not [
        labels for name, labels in samples(page) if name == "ipvskit_set_max_entries" and ("set", "ports") in labels
    ]


def test_names_of_sets_may_have_any_character(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    # The library makes no such sets, but the kernel takes any bytes from other programs.
    strange = [
        ik.SetStatus(stored_set(name=name, type="hash:ip"), 5, 1, entries, 0, 64)
        for entries, name in enumerate(['a"b\\c\nd', b"e\xff".decode(errors="surrogateescape")], 2)
    ]
    monkeypatch.setattr(kernel.ipset, "status", lambda: strange)
    page = text(gather(kernel)).encode().decode()
    assert value(page, "ipvskit_set_entries", set='a"b\\c\nd') == 2
    assert value(page, "ipvskit_set_entries", set="e\\xff") == 3


def test_per_service_sums_real_servers_up(kernel: FakeKernel) -> None:
    page = text(gather(kernel, per_service=True, counters=True))
    assert "remote_address" not in page
    assert value(page, "node_ipvs_backend_connections_active", local_address="192.0.2.10") == 9
    assert value(page, "node_ipvs_backend_weight", local_address="192.0.2.10") == 3
    assert value(page, "ipvskit_backend_incoming_packets_total", local_address="192.0.2.10") == 7


def test_counters_of_real_servers_are_extra(kernel: FakeKernel) -> None:
    assert "ipvskit_backend" not in text(gather(kernel))
    page = text(gather(kernel, counters=True))
    assert value(page, "ipvskit_backend_outgoing_bytes_total", remote_address="10.0.0.1") == 10


def test_one_mark_for_both_families_with_the_same_real_server(kernel: FakeKernel) -> None:
    tunnel = ik.RealServer("[2001:db8::1]:0", weight=2, forwarding="tunnel")
    kernel.ipvs.add_service(ik.VirtualService("fwmark:21/v4", reals=[tunnel]))
    page = text(gather(kernel))
    assert value(page, "node_ipvs_backend_weight", remote_address="2001:db8::1") == 9
    assert value(page, "ipvskit_service_real_servers", local_mark="00000015", family="ipv4") == 1


def test_stale_counters_are_told() -> None:
    with FakeKernel(sysctls={"run_estimation": "0"}) as kernel:
        assert value(text(gather(kernel)), "ipvskit_counters_stale") == 1


def test_a_kernel_without_ipvs(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> ik.Ipvs:
        raise ik.IPVSNotAvailable(errno.ENOENT, "none", operation="find IPVS")

    monkeypatch.setattr(FakeKernel, "ipvs", property(lambda _: missing()))
    page = text(gather(kernel))
    assert value(page, "ipvskit_available", part="ipvs") == 0
    assert value(page, "ipvskit_available", part="ipset") == 1
    assert "node_ipvs" not in page
    assert value(page, "ipvskit_set_entries", set="web-allow") == 1


@pytest.mark.parametrize("options", [{}, {"per_service": True}, {"counters": True}])
def test_a_registry_shows_what_the_text_does(kernel: FakeKernel, options: dict[str, bool]) -> None:
    registry = CollectorRegistry(auto_describe=True)
    registry.register(Collector(kernel, **options))
    assert samples(generate_latest(registry).decode()) == samples(text(gather(kernel, **options)))


def test_registering_does_not_read_and_names_collide() -> None:
    kernel = FakeKernel()
    kernel.close()
    registry = CollectorRegistry(auto_describe=True)
    registry.register(Collector(kernel, counters=True))
    with pytest.raises(ValueError, match="Duplicated"):
        registry.register(Collector(kernel))


# --- the command --------------------------------------------------------------------------------------------------------------------


def test_once(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("ipvskit.kernel.Kernel", lambda *_: kernel)
    assert program.main(["metrics", "--once", "--per-service"]) == 0
    assert value(capsys.readouterr().out, "node_ipvs_backend_connections_active", local_address="192.0.2.10") == 9


@pytest.mark.parametrize("where", ["nonsense", "127.0.0.1", "127.0.0.1:99999", "localhost:80"])
def test_a_place_that_is_none(where: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["metrics", "--listen", where]) == program.USAGE
    assert capsys.readouterr().err.startswith("ipvskit: --listen")


@contextlib.contextmanager
def serving(kernel: FakeKernel, address: str = "127.0.0.1") -> Iterator[str]:
    with server(f"{address}:0", lambda: text(gather(kernel))) as opened:
        thread = threading.Thread(target=opened.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://{address}:{opened.server_address[1]}"
        finally:
            opened.shutdown()
            thread.join()


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]"])
def test_over_http(kernel: FakeKernel, address: str) -> None:
    with serving(kernel, address) as url:
        with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert value(answer.read().decode(), "ipvskit_services") == 2
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert b'href="/metrics"' in answer.read()
        with pytest.raises(urllib.error.HTTPError, match="404") as refused:
            urllib.request.urlopen(f"{url}/other", timeout=10)
        refused.value.close()


def test_a_failed_scrape_is_an_error_and_the_next_one_works(
    kernel: FakeKernel, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(kernel) as url:
        kernel.lie(Refuse(errno.EPERM), command=Command.GET_SERVICE, nth=1)
        with pytest.raises(urllib.error.HTTPError, match="500") as refused:
            urllib.request.urlopen(f"{url}/metrics", timeout=10)
        assert b"CAP_NET_ADMIN" in refused.value.read()
        refused.value.close()
        with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
            assert value(answer.read().decode(), "ipvskit_available", part="ipvs") == 1
    assert "CAP_NET_ADMIN" in capsys.readouterr().err


def test_a_port_that_is_taken(kernel: FakeKernel) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        server(f"127.0.0.1:{taken.getsockname()[1]}", lambda: text(gather(kernel)))
