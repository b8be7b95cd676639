#!/bin/sh
# Proves the wheel: one abi3 wheel, with the type marker and without sources, that works in a virtual environment of its own.
# Knows: what a user installs. Must not know: the checkout (it is not on the path).
set -eu

wheel=$(ls -t dist/ipvskit-*-cp311-abi3-linux_*.whl | head -n 1)
contents=$(python3 -m zipfile -l "$wheel")
for part in ipvskit/py.typed ipvskit/_core.abi3.so ipvskit/testing/namespaces.py; do
    echo "$contents" | grep -q "^$part " || { echo "$wheel lacks $part" >&2; exit 1; }
done
if echo "$contents" | grep -qE '^(csrc|tests|docs)/'; then
    echo "$wheel has more in it than the package" >&2
    exit 1
fi
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
.venv/bin/python -m venv "$room/venv"
"$room/venv/bin/pip" install --quiet "$wheel"
cd "$room"
venv/bin/python -Ic '
import ipvskit as ik
service = ik.VirtualService("192.0.2.10:443/tcp", scheduler="wlc", reals=[ik.RealServer("10.0.0.1:8443")])
assert ik.VirtualService.parse(str(service)) == service
print("the wheel works:", service)
'
venv/bin/ipvskit --version
venv/bin/ipvskit --help > /dev/null
venv/bin/ipvskit-ipset version | grep -q protocol
# It looks for IPVS before it looks at anything else, as the tool does.
test -x venv/bin/ipvskit-ipvsadm
venv/bin/python -Ic 'import ipvskit.cli.ipvsadm.program'
echo '{"name": "n1"}' > node.json
echo '{"kind": "List", "items": []}' > objects.json
venv/bin/ipvskit kube state -f objects.json --node node.json | grep -q KUBE-6-LOAD-BALANCER-SOURCE-CID
