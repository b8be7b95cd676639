"""What a kernel lacks and what a process may not do, as exceptions.

Knows: how to ask for what is not there, and without the right to. Must not know: error numbers, bytes.
"""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

import ipvskit as ik
from ipvskit.model.settype import SET_TYPES
from tests.kernel.ipset_support import run_python

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipvskit.testing.namespaces import TestNetNS

pytestmark = pytest.mark.ipset


@pytest.fixture
def kernel(namespace: TestNetNS) -> Iterator[ik.Kernel]:
    with ik.Kernel(namespace) as handle:
        yield handle


# --- what this kernel lacks -----------------------------------------------------------------------------------------------------------


def test_set_type_not_available(kernel: ik.Kernel) -> None:
    missing = SET_TYPES.keys() - kernel.ipset.types().keys()
    if not missing:
        pytest.skip("this kernel has every type, so that none is missing")
    for name in missing:
        with pytest.raises(ik.SetTypeNotAvailable, match=name):
            kernel.ipset.create("s", name)
        with pytest.raises(ik.SetTypeNotAvailable):
            kernel.ipset.revisions(name)
    with pytest.raises(ik.InvalidConfig):
        kernel.ipset.revisions("hash:nonsense")
    assert kernel.ipset.names() == []


FEATURES: dict[str, object] = {"bucketsize": 4, "initval": 5, "netmask": 24, "bitmask": "255.255.0.0", "skbinfo": True}


@pytest.mark.parametrize("feature", FEATURES)
def test_set_feature_not_available(kernel: ik.Kernel, feature: str) -> None:
    came_with = "bucketsize" if feature == "initval" else feature
    for name, (_, newest) in kernel.ipset.types().items():
        if feature not in SET_TYPES[name].create_options or "bitmap" in name:
            continue
        wanted = ik.Set("s", name, **{feature: FEATURES[feature]})  # type: ignore[arg-type]
        needed = SET_TYPES[name].revision_of(came_with)
        if needed > newest:
            with pytest.raises(ik.SetFeatureNotAvailable, match=f"{came_with} needs revision {needed} of {name}"):
                kernel.ipset.create(wanted)
            assert kernel.ipset.names() == []
        else:
            kernel.ipset.create(wanted)
            kernel.ipset.destroy("s")


_ATTEMPTS = """
import json, time
import ipvskit as ik
start = time.monotonic()
said = []
with ik.Kernel(timeout=5) as kernel:
    ipset = kernel.ipset
    many = [f"10.{n >> 8}.{n & 255}.1" for n in range(5000)]
    of = ik.Set("s", "hash:ip")
    for call in (
        ipset.names, ipset.sets, ipset.status, ipset.protocol, ipset.types, ipset.destroy_all, ipset.flush_all, ipset.clean,
        lambda: ipset.exists("s"), lambda: ipset.get("s"), lambda: ipset.create(of), lambda: ipset.destroy("s"),
        lambda: ipset.flush("s"), lambda: ipset.rename("s", "t"), lambda: ipset.swap("s", "t"), lambda: ipset.index("s"),
        lambda: ipset.add("s", "10.0.0.1"), lambda: ipset.add(of, "10.0.0.1"), lambda: ipset.add_entries(of, many),
        lambda: ipset.delete_entries(of, many), lambda: ipset.test_entries(of, many), lambda: ipset.replace("s", many),
        lambda: ipset.save(), lambda: ipset.revisions("hash:ip"), lambda: ipset.add_entries(of, many, on_error="stop"),
    ):
        try:
            said.append(repr(call()))
        except ik.IpvskitError as error:
            said.append(type(error).__name__ + (" CAP_NET_ADMIN" if "CAP_NET_ADMIN" in str(error) else ""))
print(json.dumps([time.monotonic() - start, said]))
"""


def test_permission_denied(kernel: ik.Kernel, namespace: TestNetNS) -> None:
    kernel.ipset.create(ik.Set("s", "hash:ip", entries=["10.0.0.1"]))
    dropped = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"]
    seconds, said = json.loads(run_python(namespace, _ATTEMPTS, before=dropped).stdout)
    assert set(said) == {"PermissionDenied CAP_NET_ADMIN"}, said
    assert len(said) == 25
    assert seconds < 4  # no call waited for an answer that does not come
    assert [str(each) for each in kernel.ipset.entries("s")] == ["10.0.0.1"]


def test_an_ordinary_user_in_a_namespace_of_his_own(namespace: TestNetNS) -> None:
    program = """
import ipvskit as ik
with ik.Kernel() as kernel:
    kernel.ipset.create(ik.Set("s", "hash:ip", entries=["10.0.0.0/24"]))
    print(len(kernel.ipset.entries("s")), kernel.ipset.names())
"""
    try:
        done = run_python(namespace, program, before=["unshare", "-Urn"])
    except subprocess.CalledProcessError as error:
        if "unshare" in (error.stderr or ""):
            pytest.skip(f"this machine has no user namespaces: {error.stderr.strip()}")
        raise
    assert done.stdout == "256 ['s']\n"
