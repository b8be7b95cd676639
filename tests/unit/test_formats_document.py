"""The native form: what is taken, what is written, and every refusal with its place.

Knows: JSON and YAML texts. Must not know: how they are read.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ipvskit as ik
from ipvskit import formats
from ipvskit.errors import Fault
from ipvskit.formats import schema
from ipvskit.formats.contents import Contents
from ipvskit.model.device import Device
from ipvskit.model.keep import KEEP

FULL = Contents(
    services=[
        ik.VirtualService(
            "192.0.2.10:443/tcp",
            scheduler="sh",
            scheduler_flags=["sh-port"],
            persistence_timeout=300,
            persistence_netmask="255.0.255.0",
            reals=[
                "10.0.0.1:8443 weight=100",
                ik.RealServer("10.0.0.2:80", weight=KEEP),
                "[2001:db8::1]:443 forwarding=tunnel tunnel=gue:6080+csum",
            ],
        ),
        ik.VirtualService("fwmark:7/v6", reals=KEEP),
    ],
    sets=[
        ik.Set("web", "hash:net", comment=True, entries=["10.0.0.0/8", '10.9.0.0/16 nomatch comment "a \\ ü"']),
        ik.Set("empty", "bitmap:port", range="0-1023", entries=[]),
        ik.Set("unstated", "hash:ip", family="inet6", timeout=0),
    ],
    devices=[Device("kube-ipvs0", up=False, addresses=["192.0.2.10"]), Device("eth0", kind=None, up=None)],
    sysctls={"sync_threshold": (3, 50), "conntrack": True},
    timeouts=ik.Timeouts(900, 0, 300),
    daemons=[ik.SyncDaemon("master", "eth0", sync_id=1, group="224.0.0.9")],
)
JSON = """\
{
  "ipvskit": 1,
  "services": [
    {
      "key": "192.0.2.10:443/tcp",
      "scheduler": "sh",
      "scheduler_flags": ["sh-port"],
      "persistence_timeout": 300,
      "persistence_netmask": "255.0.255.0",
      "reals": [
        {"address": "10.0.0.1:8443", "weight": 100},
        {"address": "10.0.0.2:80", "weight": "keep"},
        {"address": "[2001:db8::1]:443", "forwarding": "tunnel", "tunnel": "gue:6080+csum"}
      ]
    },
    {
      "key": "fwmark:7/v6",
      "reals": "keep"
    }
  ],
  "sets": [
    {
      "name": "web",
      "type": "hash:net",
      "comment": true,
      "entries": [
        "10.0.0.0/8",
        "10.9.0.0/16 nomatch comment \\"a \\\\ ü\\""
      ]
    },
    {
      "name": "empty",
      "type": "bitmap:port",
      "range": "0-1023",
      "entries": []
    },
    {
      "name": "unstated",
      "type": "hash:ip",
      "family": "inet6",
      "timeout": 0
    }
  ],
  "devices": [
    {
      "name": "kube-ipvs0",
      "up": false,
      "addresses": [
        "192.0.2.10/32"
      ]
    },
    {
      "name": "eth0",
      "kind": null,
      "up": null
    }
  ],
  "sysctls": {
    "conntrack": true,
    "sync_threshold": [3, 50]
  },
  "timeouts": {"tcp": 900, "udp": 300},
  "daemons": [
    {"role": "master", "interface": "eth0", "sync_id": 1, "group": "224.0.0.9"}
  ]
}
"""
YAML = """\
ipvskit: 1
services:
  - key: "192.0.2.10:443/tcp"
    scheduler: sh
    scheduler_flags: [sh-port]
    persistence_timeout: 300
    persistence_netmask: "255.0.255.0"
    reals:
      - {address: "10.0.0.1:8443", weight: 100}
      - {address: "10.0.0.2:80", weight: keep}
      - {address: "[2001:db8::1]:443", forwarding: tunnel, tunnel: "gue:6080+csum"}
  - key: "fwmark:7/v6"
    reals: keep
sets:
  - name: web
    type: "hash:net"
    comment: true
    entries:
      - "10.0.0.0/8"
      - "10.9.0.0/16 nomatch comment \\"a \\\\ ü\\""
  - name: empty
    type: "bitmap:port"
    range: "0-1023"
    entries: []
  - name: unstated
    type: "hash:ip"
    family: inet6
    timeout: 0
devices:
  - name: kube-ipvs0
    up: false
    addresses:
      - "192.0.2.10/32"
  - name: eth0
    kind: null
    up: null
sysctls:
  conntrack: true
  sync_threshold: [3, 50]
timeouts: {tcp: 900, udp: 300}
daemons:
  - {role: master, interface: eth0, sync_id: 1, group: "224.0.0.9"}
"""


def faults_of(parse: Any, text: Any) -> tuple[Fault, ...]:
    with pytest.raises(ik.InvalidState) as caught:
        parse(text)
    return caught.value.faults


def document(body: str) -> str:
    """A document with one line before the body."""
    return '{"ipvskit": 1,\n' + body + "\n}"


# --- what is written, and taken -----------------------------------------------------------------------------------------------------


def test_the_layout() -> None:
    assert formats.write_json(FULL) == JSON
    assert "".join(formats.write_json_pieces(FULL)) == JSON
    assert formats.parse_json(JSON) == FULL
    assert formats.write_yaml(FULL) == YAML
    assert formats.parse_yaml(YAML) == FULL
    assert formats.from_dict(formats.to_dict(FULL)) == FULL


def test_nothing_stated_is_nothing_written() -> None:
    assert formats.to_dict(Contents()) == {"ipvskit": 1}
    assert formats.to_dict(Contents(daemons=[], timeouts=ik.Timeouts(0, 0, 0))) == {
        "ipvskit": 1,
        "timeouts": {},
        "daemons": [],
    }
    assert formats.parse_json('{"ipvskit": 1}') == Contents()
    assert formats.parse_json('{"ipvskit": 1, "daemons": [], "timeouts": {}}') == Contents(
        daemons=[], timeouts=ik.Timeouts(0, 0, 0)
    )


def test_text_forms_of_services_and_real_servers() -> None:
    tree = {
        "ipvskit": 1,
        "services": [
            "10.0.0.1:80/tcp scheduler=rr",
            {"key": "10.0.0.2:80/tcp", "reals": ["10.9.0.1:80 weight=5", "10.9.0.2"]},
        ],
    }
    first, second = formats.from_dict(tree).services
    assert first == ik.VirtualService("10.0.0.1:80/tcp", scheduler="rr")
    assert [(real.weight, real.port) for real in second.reals] == [(5, 80), (1, 0)]


def test_old_names_and_forms_of_sets() -> None:
    tree = {"ipvskit": 1, "sets": [{"name": "a", "type": "iphash", "family": "ipv6", "bitmask": "ffff::"}]}
    assert formats.from_dict(tree).sets == [ik.Set("a", "hash:ip", family="inet6", bitmask="ffff::")]


def test_large_sets_are_written_in_pieces() -> None:
    text = "".join(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}\n" for i in range(200_000))
    big = ik.Set("big", "hash:ip", maxelem=200_000)
    contents = Contents(sets=[big.replace(entries=ik.Elements.parse(big, text))])
    pieces = list(formats.write_json_pieces(contents))
    assert len(pieces) > 5
    assert max(map(len, pieces)) < 3_000_000
    assert formats.parse_json("".join(pieces)) == contents
    assert formats.parse_yaml(formats.write_yaml(contents)) == contents


def test_the_schema_is_that_of_the_code() -> None:
    held = Path(schema.__file__).with_name("state.schema.json").read_text()
    assert held == schema.schema_text(), (
        "write it anew: python -m ipvskit.formats.schema > ipvskit/formats/state.schema.json"
    )


def test_yaml_is_imported_only_when_it_is_read() -> None:
    program = "import sys, ipvskit.formats as f; f.write_yaml(f.Contents()); assert 'yaml' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_without_yaml_the_error_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ImportError, match=r"ipvskit\[yaml\]"):
        formats.parse_yaml("ipvskit: 1")


# --- what is refused ----------------------------------------------------------------------------------------------------------------

SERVICE = '"services": [{"key": "10.0.0.1:80/tcp",\n%s}]'
REAL = SERVICE % '"reals": [{"address": "10.9.0.1:80",\n%s}]'
SET = '"sets": [{"name": "a", "type": "hash:ip",\n%s}]'

#: (body, path, line, what the message must say)
REFUSED: list[tuple[str, str, int, str]] = [
    ('"service": []', "service", 2, 'did you mean "services"?'),
    ('"services": {}', "services", 2, "an object is not usable: a list"),
    ('"services": [5]', "services[0]", 2, "5 is not usable: a service, which is an object"),
    ('"services": ["10.0.0.1"]', "services[0]", 2, "ADDRESS:PORT/PROTOCOL"),
    ('"services": [{"scheduler": "rr"}]', "services[0]", 2, "a service needs key"),
    ('"services": [{"key": "10.0.0.1:80"}]', "services[0].key", 2, "ADDRESS:PORT/PROTOCOL"),
    ('"services": [{"key":\n "10.0.0.1:0/tcp"}]', "services[0]", 2, "must be persistent"),
    (SERVICE % '"wheduler": "rr"', "services[0].wheduler", 3, 'did you mean "scheduler"?'),
    (SERVICE % '"zzz": 1', "services[0].zzz", 3, "known are key, scheduler"),
    (SERVICE % '"a b": 1', 'services[0]["a b"]', 3, "no such key"),
    (SERVICE % '"scheduler": "a b"', "services[0].scheduler", 3, "1 to 15 letters"),
    (SERVICE % '"scheduler": null', "services[0].scheduler", 3, "null is not usable: a text"),
    (SERVICE % '"scheduler_flags": "sh-port"', "services[0].scheduler_flags", 3, "a list"),
    (SERVICE % '"scheduler_flags":\n["mh-prt"]', "services[0].scheduler_flags[0]", 4, 'did you mean "mh-port"?'),
    (SERVICE % '"scheduler_flags": ["mh-port"]', "services[0].scheduler_flags", 3, 'with scheduler'),
    (SERVICE % '"persistence_timeout": 0', "services[0].persistence_timeout", 3, "1 to 4294967 seconds"),
    (SERVICE % '"persistence_timeout": 1.5', "services[0].persistence_timeout", 3, "1.5 is not usable: a whole number"),
    (SERVICE % '"persistence_timeout": true', "services[0].persistence_timeout", 3, "true is not usable"),
    (SERVICE % '"persistence_timeout": NaN', "services[0].persistence_timeout", 3, "NaN is not usable"),
    (SERVICE % ('"persistence_timeout": ' + "9" * 5000), "services[0].persistence_timeout", 3, "5000 characters"),
    (SERVICE % ('"persistence_timeout": ' + "9" * 100), "services[0].persistence_timeout", 3, "of 333 bits"),
    (SERVICE % '"persistence_netmask": 24', "services[0].persistence_netmask", 3, "as long as there is no"),
    (SERVICE % '"persistence_timeout": 1, "persistence_netmask": "255.0.0.300"', "services[0].persistence_netmask", 3, "a mask"),
    (SERVICE % '"persistence_timeout": 1, "persistence_netmask": 33', "services[0].persistence_netmask", 3, "0 to 32 bits"),
    (SERVICE % '"one_packet": true', "services[0].one_packet", 3, "only udp and fwmark"),
    (SERVICE % '"one_packet": 1', "services[0].one_packet", 3, "true or false"),
    (SERVICE % '"reals": 5', "services[0].reals", 3, "a list"),
    (SERVICE % '"reals": [\n{"weight": 1}]', "services[0].reals[0]", 4, "a real server needs address"),
    (SERVICE % '"reals": [\n{"address": "10.0.0.x"}]', "services[0].reals[0].address", 4, "an IPv4 or IPv6 address"),
    (SERVICE % '"reals": [\n"10.9.0.1:80 wight=5"]', "services[0].reals[0]", 4, "weight"),
    (SERVICE % '"reals": [\n"[::2]:80"]', "services[0].reals[0]", 4, "is not an ipv4 address"),
    (SERVICE % '"reals": ["10.9.0.1:80",\n"10.9.0.1:80"]', "services[0].reals[1]", 4, "reals[0] as well"),
    (REAL % '"weight": -1', "services[0].reals[0].weight", 4, "0 to 2147483647"),
    (REAL % '"weight": "5"', "services[0].reals[0].weight", 4, '"5" is not usable: a whole number'),
    (REAL % '"forwarding": "nat"', "services[0].reals[0].forwarding", 4, "masquerade"),
    (REAL % '"lower_threshold": 5', "services[0].reals[0].lower_threshold", 4, "at most the upper_threshold"),
    (REAL % '"tunnel": "ipip"', "services[0].reals[0].tunnel", 4, "forwarding method is masquerade"),
    (REAL % '"forwarding": "tunnel", "tunnel": "gue"', "services[0].reals[0].tunnel", 4, "gue needs the UDP port"),
    (REAL % '"port": 80', "services[0].reals[0].port", 4, "no such key in a real server"),
    ('"services": ["10.0.0.1:80/tcp",\n"10.0.0.1:80/tcp"]', "services[1].key", 3, "it is that of services[0]"),
    ('"sets": [{"name": "a"}]', "sets[0]", 2, "a set needs type"),
    ('"sets": [{"name": "a b", "type": "hash:ip"}]', "sets[0].name", 2, "without white space"),
    ('"sets": [{"name": "a", "type": "hash:ipp"}]', "sets[0].type", 2, 'did you mean "hash:ip'),
    (SET % '"family": "v6"', "sets[0].family", 3, "inet"),
    (SET % '"range": "0-1"', "sets[0].range", 3, "hash:ip has no such option, but family, hashsize"),
    (SET % '"netmask": 33', "sets[0].netmask", 3, "1 to 32"),
    (SET % '"bitmask": "x"', "sets[0].bitmask", 3, "address"),
    (SET % '"entries": "10.0.0.1"', "sets[0].entries", 3, "a list of texts"),
    (SET % '"entries": [\n5]', "sets[0].entries[0]", 4, "5 is not usable: a text"),
    (SET % '"entries": ["1.1.1.1",\n\n"10.0.0.x"]', "sets[0].entries[1]", 5, 'address "10.0.0.x" is not usable'),
    (SET % '"entries": [""]', "sets[0].entries[0]", 3, "neither empty nor a comment"),
    (SET % '"entries": [" # x"]', "sets[0].entries[0]", 3, "neither empty nor a comment"),
    (SET % '"entries": ["1.1.1.1\\n2.2.2.2"]', "sets[0].entries[0]", 3, "without line breaks"),
    (SET % '"entries": ["\\ud800"]', "sets[0].entries[0]", 3, "in UTF-8"),
    (SET % '"entries": ["1.1.1.1 timeout 5"]', "sets[0].entries[0]", 3, "created with them"),
    ('"sets": [{"name": "a", "type": "hash:ip"},\n{"name": "a", "type": "hash:net"}]', "sets[1].name", 3, "sets[0]"),
    ('"devices": [{"name": "a/b"}]', "devices[0].name", 2, "a device's name"),
    ('"devices": [{"name": "a", "up": "yes"}]', "devices[0].up", 2, "true or false"),
    ('"devices": [{"name": "a", "addresses": ["10.0.0.1",\n"x"]}]', "devices[0].addresses[1]", 3, "prefix length"),
    ('"devices": [{"name": "a", "addresses": ["10.0.0.1", "10.0.0.1"]}]', "devices[0].addresses", 2, "once"),
    ('"devices": [{"name": "a"},\n{"name": "a"}]', "devices[1].name", 3, "devices[0]"),
    ('"sysctls": {"contrack": true}', "sysctls.contrack", 2, 'did you mean "conntrack"?'),
    ('"sysctls": {"conntrack": 1}', "sysctls.conntrack", 2, "true or false"),
    ('"sysctls": {"sync_threshold": [3]}', "sysctls.sync_threshold", 2, "a list of 2"),
    ('"sysctls": {"sync_threshold": [3, 2]}', "sysctls.sync_threshold", 2, "above the first"),
    ('"sysctls": {"sync_ports": 3}', "sysctls.sync_ports", 2, "a power of two"),
    ('"timeouts": {"tcp": -1}', "timeouts.tcp", 2, "0 to 21474836 seconds"),
    ('"timeouts": null', "timeouts", 2, "null is not usable: timeouts"),
    ('"daemons": [{"role": "master"}]', "daemons[0]", 2, "needs interface"),
    ('"daemons": [{"role": "x", "interface": "eth0"}]', "daemons[0].role", 2, "master, backup"),
    ('"daemons": [{"role": "master", "interface": "eth0",\n"group": "10.0.0.1"}]', "daemons[0].group", 3, "multicast"),
    ('"daemons": [{"role": "master", "interface": "\\ud800"}]', "daemons[0]", 2, "UTF-8"),
    ('"timeouts": {"tcp": 1,\n"tcp": 2}', "timeouts.tcp", 3, "second time"),
    ('"ipvskit": 1', "ipvskit", 2, "second time"),
    ('"ipvskit": 2', "ipvskit", 2, "1 to 1"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "path", "line", "says"), REFUSED)
def test_refused(body: str, path: str, line: int, says: str) -> None:
    text = document(body)
    faults = faults_of(formats.parse_json, text)
    fault = next(fault for fault in faults if fault.path == path and says in fault.message)
    assert fault.line == line
    if body == '"ipvskit": 2':
        return
    assert len(faults) == 1, faults
    # The same in YAML, of which JSON is a part but for what neither has.
    if "NaN" not in text and "\\ud800" not in text:
        (other,) = faults_of(formats.parse_yaml, text)
        assert (other.path, other.line) == (path, line)


def test_all_faults_at_once() -> None:
    text = document(
        '"sets": [{"name": "a", "type": "hash:ip", "entries": ["x", 5, "10.0.0.1", "y"]},\n'
        '{"name": "b c", "type": "hash:ip", "netmask": 129, "maxelem": 0}],\n'
        '"services": [{"key": "nonsense", "weight": 1, "reals": [{"address": "10.0.0.1", "weight": -1, "tunnel": 1}]}]'
    )
    faults = faults_of(formats.parse_json, text)
    assert [(fault.path, fault.line) for fault in faults] == [
        ("sets[0].entries[0]", 2),
        ("sets[0].entries[1]", 2),
        ("sets[0].entries[3]", 2),
        ("sets[1].name", 3),
        ("sets[1].netmask", 3),
        ("sets[1].maxelem", 3),
        ("services[0].key", 4),
        ("services[0].weight", 4),
        ("services[0].reals[0].weight", 4),
        ("services[0].reals[0].tunnel", 4),
    ]


def test_the_error() -> None:
    entries = ", ".join(['"x"'] * 25)
    with pytest.raises(ik.InvalidState) as caught:
        formats.parse_json(document(SET % f'"entries": [{entries}]'))
    error = caught.value
    assert isinstance(error, ik.InvalidConfig)
    assert isinstance(error, ValueError)
    assert len(error.faults) == 25
    assert len(str(error).splitlines()) == 11
    assert str(error).endswith("and 15 more")
    assert error.field == "sets[0].entries[0]"
    assert str(error).startswith('line 3, sets[0].entries[0]: address "x" is not usable: an IPv4')
    copy = pickle.loads(pickle.dumps(error))
    assert copy.faults == error.faults
    assert str(copy) == str(error)


#: (text, line, what the message must say)
NO_JSON: list[tuple[str | bytes, int, str]] = [
    ("", 1, "not JSON: expecting value"),
    ("{}", 1, "a state needs ipvskit"),
    ("[]", 1, "a list is not usable: a state"),
    ('{"ipvskit": 1\n"services": []}', 2, "not JSON: expecting ',' delimiter"),
    ("\ufeff{}", 1, "byte order mark"),
    (b'{\n"\xff"}', 2, "not UTF-8: the byte 0xff"),
    ("\n" + "[" * 100_000, 2, "nested too deeply"),
    ('{"ipvskit": 1, "services": ' + "[" * 100_000 + "]" * 100_000 + "}", 1, "nested too deeply"),
]


@pytest.mark.parametrize(("text", "line", "says"), NO_JSON, ids=range(len(NO_JSON)))
def test_no_json(text: str | bytes, line: int, says: str) -> None:
    (fault,) = faults_of(formats.parse_json, text)
    assert fault.line == line
    assert says in fault.message


def test_no_text() -> None:
    with pytest.raises(ik.InvalidConfig, match="text or bytes"):
        formats.parse_json(5)  # type: ignore[arg-type]


def test_objects_need_no_text() -> None:
    (fault,) = faults_of(formats.from_dict, {"ipvskit": 1, 5: 6})
    assert fault == Fault('["5"]', 0, "a key is a text, not 5")
    assert str(fault) == '["5"]: a key is a text, not 5'


# --- YAML's own ---------------------------------------------------------------------------------------------------------------------

#: (text behind the version, path, line, what the message must say)
NO_YAML: list[tuple[str, str | None, int, str]] = [
    ("services: [a", "", 2, "not YAML"),
    ("sets:\n- name: no\n  type: hash:ip", "sets[0].name", 3, "YAML takes no for true or false: put it in quotes"),
    ("sets:\n- name: 10:30\n  type: hash:ip", "sets[0].name", 3, "YAML takes 10:30 for a number: put it in quotes"),
    ("sets:\n- {name: a, type: hash:mac, entries: [\n12:34:56:12:34:56]}", "sets[0].entries[0]", 4, "takes 12:34:56:12:34:56 for a number"),
    ("sets:\n- {name: a, type: hash:ip, entries: [2001-99-99]}", "sets[0].entries[0]", 3, "takes 2001-99-99 for a date"),
    ("services:\n- key: ~", "services[0].key", 3, "takes ~ for nothing"),
    ("on: 1", "true", 2, "YAML takes on for true or false"),
    ("1: 1", '["1"]', 2, "YAML takes 1 for a number"),
    ("services: []\nservices: []", "services", 3, "second time"),
    ("services: *a", "", 2, "the alias *a has no anchor before it"),
    ("services: &a [*a]", "services", 2, "inside of what it stands for"),
    ("services: !!python/name:os.system x", "", 2, "means nothing here"),
    ("services: !x [a]", "", 2, "the tag !x means nothing here"),
    ("timeouts: {tcp: !!int x}", "timeouts.tcp", 2, "x is not usable"),
    ("? [a]\n: b", "", 2, "a key is a text, not a list"),
    ("---\nb: 1", "", 2, "second document"),
    ("a: \x01", "", 2, "control characters"),
    ("<<: 5", "", 0, "<< takes objects"),
    ("services: " + "[" * 500, "services" + "[0]" * 98, 2, "nested too deeply"),
    ("services: " + "[" * 10_000, None, 2, "nested too deeply"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "path", "line", "says"), NO_YAML, ids=[each[0][:30] for each in NO_YAML])
def test_no_yaml(text: str, path: str | None, line: int, says: str) -> None:
    faults = faults_of(formats.parse_yaml, f"ipvskit: 1\n{text}\n")
    fault = next(fault for fault in faults if says in fault.message)
    # Where a very deep one is given up depends on the version of PyYAML.
    assert path is None or fault.path == path
    assert abs(fault.line - line) <= (text == "services: [a")


def test_anchors_and_merging() -> None:
    text = """\
ipvskit: 1
services:
  - &first
    key: 10.0.0.1:80/tcp
    scheduler: rr
    reals: &reals [10.9.0.1:80, {address: 10.9.0.2:80, weight: 5}]
  - <<: *first
    key: 10.0.0.2:80/tcp
  - {key: 10.0.0.3:80/tcp, reals: *reals, <<: [{scheduler: sh}, *first]}
"""
    first, second, third = formats.parse_yaml(text).services
    assert first.reals == second.reals == third.reals
    assert [one.scheduler for one in (first, second, third)] == ["rr", "rr", "sh"]


def test_aliases_that_stand_for_too_much() -> None:
    levels = "".join(f"- &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    (fault,) = faults_of(formats.parse_yaml, f"- &a0 [x, x]\n{levels}")
    assert "aliases stand for more than" in fault.message


def test_what_yaml_cannot_express() -> None:
    contents = Contents(sets=[ik.Set("a", "hash:ip", comment=True, entries=['10.0.0.1 comment "\udc80"'])])
    assert formats.parse_json(formats.write_json(contents)) == contents
    with pytest.raises(ik.InvalidConfig, match="no others in YAML"):
        formats.write_yaml(contents)


# --- which form it is ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("{}", "json"),
        ("\n [", "json"),
        ("", "json"),
        ("ipvskit: 1", "yaml"),
        ("# state\n---\nipvskit: 1", "yaml"),
        ("- a", "yaml"),
        ("-A -t 10.0.0.1:80", "ipvsadm"),
        ("# rules\n\n  -C\n", "ipvsadm"),
        ("ipvsadm -A -t 10.0.0.1:80", "ipvsadm"),
        ("--add-service -t 10.0.0.1:80", "ipvsadm"),
        ("create a hash:ip", "ipset"),
        ("-N a hash:ip", "ipset"),
        ("-A a 10.0.0.1", "ipset"),
        ("-exist create a hash:ip", "ipset"),
        ("create -exist a hash:ip", "ipset"),
        ("flush", "ipset"),
        ("COMMIT", "ipset"),
    ],
)
def test_detecting(text: str, form: str) -> None:
    assert formats.detect(text) == form
    assert formats.detect(text.encode()) == form


def test_parsing_any_form() -> None:
    assert formats.parse(JSON) == (FULL, ())
    assert formats.parse(YAML.encode()) == (FULL, ())
    contents, warnings = formats.parse("-A -t 10.0.0.1:80\n-Z\n")
    assert contents.services == [ik.VirtualService("10.0.0.1:80/tcp")]
    assert len(warnings) == 1
    assert formats.parse("create a hash:ip\n")[0].sets == [ik.Set("a", "hash:ip", entries=[])]
