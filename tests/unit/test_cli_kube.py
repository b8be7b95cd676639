"""`ipvskit kube` as far as it needs no kernel, and the files that it reads.

Knows: what is printed. Must not know: how objects are translated.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

import ipvskit as ik
from ipvskit import kube
from ipvskit.cli.main import main
from ipvskit.kube.files import read_config, read_node, read_objects
from tests.unit.kube_cluster import BOTH, endpoint, service, slice_of

if TYPE_CHECKING:
    from pathlib import Path

NODE: dict[str, Any] = {
    "name": "n1",
    "addresses": {"eth0": ["172.18.0.2/16"]},
    "labels": {"topology.kubernetes.io/zone": "a"},
    "primary": ["172.18.0.2"],
    "podCIDRs": ["10.10.1.0/24"],
    "kernel": "6.1.0",
}
LB = service(
    "lb",
    ("10.96.0.11",),
    type="LoadBalancer",
    ingress=["203.0.113.1"],
    externalTrafficPolicy="Local",
    healthCheckNodePort=32000,
    annotations={"ipvskit/drain-seconds": "30"},
    loadBalancerSourceRanges=["nonsense", "198.51.100.0/24"],
)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "node.json").write_text(json.dumps(NODE))
    (tmp_path / "objects.json").write_text(json.dumps({"kind": "List", "items": [service(), BOTH, LB]}))
    return tmp_path


def state(files: Path, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["kube", "state", "-f", str(files / "objects.json"), "--node", str(files / "node.json"), *words]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_state_is_the_native_document(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = state(files, capsys)
    keys = {each["key"] for each in found["services"]}
    assert keys == {"10.96.0.10:80/tcp", "10.96.0.11:80/tcp", "203.0.113.1:80/tcp"}
    assert len(found["sets"]) == 34
    assert found["devices"] == [
        {"name": "kube-ipvs0", "up": False, "addresses": ["10.96.0.10/32", "10.96.0.11/32", "203.0.113.1/32"]}
    ]
    assert set(found["iptables"]) == {"ipv4", "ipv6"}
    assert "KUBE-LOAD-BALANCER-FW" in found["iptables"]["ipv4"]
    assert [(each["name"], each["port"], each["local_endpoints"]) for each in found["health_checks"]] == [
        ("lb", 32000, 0)
    ]
    assert found["drain_seconds"] == {"10.96.0.11:80/tcp": 30, "203.0.113.1:80/tcp": 30}
    assert [each["code"] for each in found["diagnostics"]] == ["ignored-source-range"]


def test_what_is_printed_is_a_state_file(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state(files, capsys)
    main(["kube", "state", "-f", str(files / "objects.json"), "--node", str(files / "node.json")])
    loaded = ik.State.load(capsys.readouterr().out)
    expected = kube.translate([service(), BOTH, LB], read_node(str(files / "node.json")))
    assert loaded == expected.state


def test_one_family(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = state(files, capsys, "--family", "ipv6")
    assert "services" not in found
    assert {each["name"] for each in found["sets"]} == set(kube.set_names(ik.Family.IPV6))
    assert set(found["iptables"]) == {"ipv6"}


def test_a_configuration(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("yaml")
    (files / "config.yaml").write_text(
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\n"
        "ipvs: {scheduler: lc, tcpTimeout: 15m, strictARP: true}\nipvskit: {maxelem: 200000}\n"
    )
    found = state(files, capsys, "--config", str(files / "config.yaml"))
    assert {each["scheduler"] for each in found["services"]} == {"lc"}
    assert found["timeouts"] == {"tcp": 900}
    assert found["sysctls"]["arp_ignore"] == 1
    assert found["sets"][0]["maxelem"] == 200000


# --- files ------------------------------------------------------------------------------------------------------------------------------


def names(found: list[Any]) -> list[str]:
    return [each["metadata"]["name"] for each in found]


def test_json_of_all_shapes(tmp_path: Path) -> None:
    one, two = service("one"), service("two")
    (tmp_path / "single.json").write_text(json.dumps(one))
    (tmp_path / "array.json").write_text(json.dumps([one, two]))
    (tmp_path / "many.json").write_text(json.dumps(one) + "\n" + json.dumps(two, indent=2) + "\n\n")
    assert names(read_objects([str(tmp_path / "single.json")])) == ["one"]
    assert names(read_objects([str(tmp_path / "array.json")])) == ["one", "two"]
    assert names(read_objects([str(tmp_path / "many.json")])) == ["one", "two"]


def test_yaml_of_all_shapes(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    path = tmp_path / "many.yaml"
    path.write_text(
        "---\n" + yaml.safe_dump(service("one")) + "---\n# nothing\n---\n" + yaml.safe_dump([service("two")])
    )
    assert names(read_objects([str(path)])) == ["one", "two"]
    # A time that is not in quotes stays the text that it is in JSON.
    path.write_text("kind: Service\nmetadata: {name: x, creationTimestamp: 2026-01-01T00:00:00Z}\n")
    assert read_objects([str(path)])[0]["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"


def test_folders_and_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "b.json").write_text(json.dumps(service("b")))
    (tmp_path / "deep" / "a.json").write_text(json.dumps(service("a")))
    (tmp_path / "notes.txt").write_text("not read")
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(service("c"))))
    assert names(read_objects([str(tmp_path), "-"])) == ["b", "a", "c"]


def test_a_node_of_the_api(tmp_path: Path) -> None:
    path = tmp_path / "node.json"
    api = {
        "kind": "Node",
        "metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "a"}},
        "spec": {"podCIDRs": ["10.10.1.0/24"]},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "172.18.0.2"}, {"type": "Hostname", "address": "n1"}]
        },
    }
    path.write_text(json.dumps(api))
    found = read_node(str(path))
    assert (found.name, found.zone) == ("n1", "a")
    assert [each.text for each in found.primary.values()] == ["172.18.0.2"]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("objects.json", '{"kind": "Service",\n "metadata": }', "objects.json, line 2"),
        ("objects.yaml", "kind: Service\nmetadata: [", "objects.yaml, line"),
        ("node.json", '{"name": "n1", "address": {}}', "address"),
        ("node.json", '{"name": "n1", "addresses": ["10.0.0.1"]}', "addresses"),
        ("node.json", '{"name": "n1", "addresses": {"eth0": ["nowhere"]}}', "nowhere"),
        ("node.json", '{"addresses": {}}', "name"),
        ("node.json", "[]", "one object"),
        ("config.json", '{"ipvs": {"scedhuler": "rr"}}', "scedhuler"),
        ("config.json", '{"ipvskit": {"maxelm": 5}}', "maxelm"),
        ("config.json", '{"ipvskit": 5}', "ipvskit"),
    ],
)
def test_what_cannot_be_read_is_told_in_a_line(
    files: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, says: str
) -> None:
    (files / name).write_text(text)
    kind = name.partition(".")[0]
    paths = {"objects": "objects.json", "node": "node.json", "config": "config.json"} | {kind: name}
    (files / "config.json").touch() if kind != "config" else None
    words = ["kube", "state", "-f", str(files / paths["objects"]), "--node", str(files / paths["node"])]
    words += ["--config", str(files / "config.json")] if kind == "config" else []
    assert main(words) == 1
    told = capsys.readouterr().err
    assert told.startswith("ipvskit: ")
    assert says in told
    assert len(told.splitlines()) <= 2


def test_files_that_are_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["kube", "state", "-f", str(tmp_path / "none"), "--node", "x"]) == 1
    assert "No such file" in capsys.readouterr().err
    with pytest.raises(ik.InvalidConfig, match="end in"):
        read_objects([str(tmp_path)])
    with pytest.raises(ik.InvalidConfig):
        read_config(str(tmp_path / "config.json")) if (tmp_path / "config.json").write_text("{} {}") else None


@pytest.mark.parametrize("words", [["kube"], ["kube", "state"], ["kube", "fly"], ["kube", "plan", "-f", "x"]])
def test_wrong_use(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: ipvskit" in capsys.readouterr().err


def test_endpoints_are_counted_once(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twice = [slice_of("web", endpoint("10.0.0.1"), name=name) for name in ("a", "b")]
    (files / "objects.json").write_text("\n".join(map(json.dumps, [service(), *twice])))
    assert [each["address"] for each in state(files, capsys)["services"][0]["reals"]] == ["10.0.0.1:8080"]
