"""Random ipset requests, valid and malformed, and that there are enough of both.

Knows: how requests can be wrong. Must not know: kernels, real or not.
"""

from __future__ import annotations

import random
import socket
from typing import TYPE_CHECKING, Any

from ipvskit.testing.fake.ipset import TYPES, FakeIpset
from tests.unit import ipset_wire as wire

if TYPE_CHECKING:
    from collections.abc import Iterator

Fields = dict[str, Any]

_V4 = [f"10.0.0.{n}" for n in (*range(9), 16)]
_V6 = ["fd00::", "fd00::1", "fd00::2", "fd00::3", "fd00::1:0", "fd00::1:1"]
_COUNT32 = (0, 1, 2, 3, 4, 64, 65, 1000, 2**31, 2**32 - 1)


class Requests:
    """Makes random requests."""

    def __init__(self, rng: random.Random, types: list[str]) -> None:
        self.rng = rng
        self.types = types
        self.families: dict[str, tuple[str, int]] = {}

    def chance(self, part: float) -> bool:
        return self.rng.random() < part

    def address(self, family: int, *, odd: bool = True) -> str:
        if odd and self.chance(0.03):
            return self.rng.choice(["0.0.0.0", "::", "255.255.255.255", "10.0.0.1", "fd00::1"])
        return self.rng.choice(_V6 if family == socket.AF_INET6 else _V4)

    def create(self, name: str, kind: str) -> bytes:
        """A creation, mostly of a set that can be used."""
        hash_family = socket.AF_INET6 if self.chance(0.35) else socket.AF_INET
        family = hash_family if kind.startswith("hash") and kind != "hash:mac" else 0
        family = socket.AF_INET if kind in {"bitmap:ip", "bitmap:ip,mac"} else family
        if self.chance(0.03):
            family = self.rng.choice([0, 2, 10, 3])
        self.families.setdefault(name, (kind, family))
        data = self._options(kind, family)
        fields: Fields = {
            "setname": name,
            "typename": kind if not self.chance(0.01) else "hash:none",
            "revision": self.rng.choice([0, 1, 1, 3, 4, 5, 6, 7, 8] if self.chance(0.5) else [0, 1]),
            "family": family,
            "data": data,
        }
        if self.chance(0.04):
            del fields[self.rng.choice(["setname", "revision", "family", "data"])]
        if "data" in fields:
            self._spoil(fields, "data", wire.CREATE, 0.1)
        return wire.build("CREATE", exist=self.chance(0.5), ack=self.chance(0.1), **fields)

    def _options(self, kind: str, family: int) -> Fields:
        rng = self.rng
        data: Fields = {}
        extra: Fields = {
            "timeout": rng.choice([0, 600, 1000, 2147483, 2147484, 2**32 - 1]),
            "cadt_flags": rng.choice([8, 16, 64, 24, 88, 120, 255, 0]),
        }
        if kind.startswith("hash"):
            extra |= {
                "hashsize": rng.choice([0, 1, 64, 65, 100, 1024]),
                "maxelem": rng.choice([*_COUNT32, 65536, 65536, 1000]),
                "bucketsize": rng.choice([0, 1, 2, 3, 7, 12, 13, 14, 255]),
                "initval": rng.choice(_COUNT32),
                "resize": 3,
            }
        if kind == "list:set":
            extra["size"] = rng.choice([0, 3, 4, 9])
        if kind in {"hash:ip", "hash:ip,port", "hash:net,net", "bitmap:ip"}:
            extra["netmask"] = rng.choice([0, 1, 24, 28, 30, 31, 32, 33, 64, 127, 128, 129])
        if kind in {"hash:ip", "hash:ip,port", "hash:net,net"}:
            masks = ["255.255.255.0", "255.255.255.3", "0.0.0.0", "255.255.255.255", "ffff::3", "::"]
            extra["bitmask"] = rng.choice(masks if self.chance(0.3) else masks[:2] if family == 2 else masks[4:5])
        if kind == "hash:ip,mark":
            extra["markmask"] = rng.choice([0, 1, 0xFF00, 0x0FF0, 2**32 - 1])
        for name, value in extra.items():
            if self.chance(0.45 if name in {"timeout", "cadt_flags"} else 0.2):
                data[name] = value
        if data.get("cadt_flags", 0) & 32 and data.get("maxelem", 0) < 1000:
            data.pop("maxelem", 0)  # what is evicted from a full set depends on the seed of the hash
        if kind == "bitmap:port":
            data |= {"port": rng.choice([0, 1, 80]), "port_to": rng.choice([0, 3, 90, 65535])}
        elif kind.startswith("bitmap"):
            data["ip"] = self.address(socket.AF_INET)
            if self.chance(0.4):
                data["ip_to"] = rng.choice(["10.0.0.7", "10.0.0.255", "10.1.0.0", "10.0.255.255", "9.0.0.0"])
            else:
                data["cidr"] = rng.choice([24, 24, 28, 30, 31, 32, 16, 15, 8, 0, 33])
        return data

    def element(self, kind: str, family: int) -> Fields:
        """Attributes of an element."""
        rng = self.rng
        parts = kind.split(":")[1].split(",")
        fields: Fields = {}
        if kind == "list:set":
            fields["name"] = rng.choice("abcdefgx")
            if self.chance(0.4):
                fields["nameref"] = rng.choice("abcdefgx")
            if self.chance(0.3):
                fields["cadt_flags"] = rng.choice([1, 1, 1, 0, 4])
        if parts[0] in {"ip", "net"}:
            fields["ip"] = self.address(family)
            if self.chance(0.3):
                fields["cidr"] = self._cidr(family, wide=parts[0] == "net")
            if self.chance(0.15):
                fields["ip_to"] = self.address(family, odd=False)
        if parts[-1] in {"ip", "net"} and len(parts) > 1:
            fields["ip2"] = self.address(family)
            if parts[-1] == "net" and self.chance(0.4):
                fields["cidr2"] = self._cidr(family, wide=True)
            if parts[-1] == "net" and self.chance(0.15):
                fields["ip2_to"] = self.address(family, odd=False)
        for end in ("ip_to", "ip2_to"):
            if fields.get(end[:-3]) in {"0.0.0.0", "255.255.255.255"} and not self.chance(0.02 * (parts[0] == "net")):
                fields.pop(end, 0)  # it would take a while
        if "port" in parts:
            fields["port"] = rng.choice([0, 1, 2, 3, 80])
            if self.chance(0.2):
                fields["port_to"] = rng.choice([0, 1, 2, 3, 5])
            if kind.startswith("hash"):
                fields["proto"] = rng.choice([6, 6, 17, 1, 58, 132, 136, 47, 33, 0])
        if "mac" in parts and (kind != "bitmap:ip,mac" or self.chance(0.6)):
            fields["ether"] = rng.choice([b"\1\2\3\4\5\6", b"\1\2\3\4\5\7", bytes(6), b"\2" * 6])
        if "mark" in parts:
            fields["mark"] = rng.choice([0, 1, 0xFF, 0xFFFF, 0x1234])
        if "iface" in parts:
            fields["iface"] = rng.choice(["eth0", "eth1", "eth", "lo", "e", "et", "a" * 15, "a" * 16, ""])
        if "net" in parts and self.chance(0.25):
            fields["cadt_flags"] = rng.choice([4, 4, 2, 128, 130, 6, 132, 0, 1])
        return fields | self._extensions()

    def _cidr(self, family: int, *, wide: bool) -> int:
        if family == socket.AF_INET6:
            return self.rng.choice([128, 128, 127, 126, 112, 64, 1, 0, 129, 32])
        return self.rng.choice([32, 32, 31, 30, 29, 28, 33, 0, *([24, 8, 1] if wide else [27])])

    def _extensions(self) -> Fields:
        rng = self.rng
        found: Fields = {
            "timeout": rng.choice([0, 0, 500, 600, 2147484, 2**32 - 1]),
            "bytes": rng.choice([0, 1, 2**64 - 1, 2**40]),
            "packets": rng.choice([0, 7, 2**64 - 1]),
            "comment": rng.choice(["", "a", 'q"ü', "x" * 255, "x" * 256]),
            "skbmark": rng.choice([0, 1 << 32, 0xFF, 2**64 - 1]),
            "skbprio": rng.choice([0, 0x10001]),
            "skbqueue": rng.choice([0, 3]),
        }
        return {name: value for name, value in found.items() if self.chance(0.06)}

    def _spoil(self, fields: Fields, name: str, table: wire.Table, part: float) -> None:
        if self.chance(part):
            inner = wire.read_attributes(wire.pack_fields(table, fields[name]))
            if inner:
                fields[name] = wire.Raw(7 | wire.NLA_F_NESTED, self._damaged(inner))
                if self.chance(0.05):
                    fields[name] = wire.Raw(7, fields[name].payload)

    def _damaged(self, inner: list[tuple[int, bytes]]) -> bytes:
        at = self.rng.randrange(len(inner))
        kind, payload = inner[at]
        how = self.rng.randrange(9)
        if how == 0:
            del inner[at]
        elif how == 1:
            inner[at] = (kind ^ wire.NLA_F_NET_BYTEORDER, payload)
        elif how == 2:
            inner[at] = (kind ^ wire.NLA_F_NESTED, payload)
        elif how == 3:
            inner[at] = (kind, payload[:-1])
        elif how == 4:
            inner[at] = (kind, payload + b"\0")
        elif how == 5:
            inner.append((self.rng.randrange(40) | self.rng.choice([0, 0x4000, 0x8000]), bytes(self.rng.randrange(9))))
        elif how == 6:
            inner.append(inner[at])
        elif how == 7 and kind & wire.NLA_F_NESTED:
            (deep,) = wire.read_attributes(payload)
            flip = self.rng.choice([0x4000, 0x8000, 3])
            inner[at] = (kind, wire.attribute(deep[0] ^ flip, deep[1][: self.rng.choice([99, 3, 15])]))
        packed = b"".join(wire.attribute(*one) for one in inner)
        return packed + (bytes(self.rng.choice([1, 4])) if how == 8 else b"")

    def change(self, name: str) -> bytes:
        """An addition, deletion or test."""
        kind, family = self.families.get(name, ("hash:ip", socket.AF_INET))
        command = self.rng.choice(["ADD", "ADD", "ADD", "ADD", "DEL", "TEST", "TEST"])
        if self.chance(0.02):
            family = self.rng.choice([2, 10])
        fields: Fields = {"setname": name}
        if self.chance(0.3):
            fields["lineno"] = self.rng.choice([0, 9])
        if self.chance(0.25) and command != "TEST":
            inner = b""
            for line in range(self.rng.randrange(5)):
                one: Fields = {"data": self.element(kind, family) | ({"lineno": line} if self.chance(0.8) else {})}
                self._spoil(one, "data", wire.ELEMENT, 0.1)
                inner += wire.pack_fields(wire.COMMAND, one, wire.ELEMENT)
            fields["adt"] = wire.Raw(8 | (0 if self.chance(0.03) else wire.NLA_F_NESTED), inner)
        else:
            fields["data"] = self.element(kind, family) | ({"lineno": 5} if self.chance(0.2) else {})
            self._spoil(fields, "data", wire.ELEMENT, 0.15)
        if self.chance(0.02):
            del fields[self.rng.choice(list(fields))]
        if self.chance(0.02):
            fields["odd"] = wire.Raw(self.rng.randrange(14), bytes(self.rng.randrange(6)))
        version: Any = 7 if self.chance(0.97) else self.rng.choice([0, 5, 6, 8, None])
        return wire.build(command, exist=self.chance(0.4), ack=self.chance(0.1), protocol=version, **fields)

    def manage(self) -> bytes:
        """Anything else."""
        rng = self.rng
        command = rng.choice(
            ["DESTROY", "FLUSH", "RENAME", "SWAP", "SWAP", "HEADER", "TYPE", "GET_BYNAME", "GET_BYINDEX", "NONE"]
        )
        fields: Fields = {"setname": rng.choice("abcdefgx")}
        if command in {"RENAME", "SWAP"}:
            fields["setname2"] = rng.choice("abcdefgx")
        if command == "TYPE":
            fields = {"typename": rng.choice([*self.types, "hash:none"]), "family": rng.choice([0, 2, 10])}
        if command == "GET_BYINDEX":
            fields = {"index": rng.randrange(9)}
        if self.chance(0.05):
            del fields[rng.choice(list(fields))]
        if self.chance(0.03):
            fields["odd"] = wire.Raw(rng.randrange(14), bytes(rng.randrange(40)))
        if self.chance(0.03):
            fields["protocol"] = rng.choice([0, 5, 6, 8])
        return wire.build(command, exist=self.chance(0.4), ack=self.chance(0.2), **fields)

    def listing(self) -> bytes:
        """A question for sets."""
        fields: Fields = {"protocol": self.rng.choice([6, 7, 7, 5])}
        if self.chance(0.4):
            fields["setname"] = self.rng.choice("abcdefgx")
        if self.chance(0.3):
            fields["flags"] = self.rng.choice([0, 2, 4, 6])
        if self.chance(0.05):
            fields["odd"] = wire.Raw(self.rng.randrange(14), bytes(self.rng.randrange(6)))
        return wire.build(self.rng.choice(["LIST", "SAVE"]), ack=self.chance(0.3), **fields)


def requests_of_round(requests: Requests, kind: str | None) -> Iterator[bytes]:
    """Sets of several types, what is done with them, and what they hold then."""
    rng = requests.rng
    names = "abcdefg"[: rng.choice([1, 2, 7])]
    for name in names:
        yield requests.create(name, kind or rng.choice(requests.types))
    everything = wire.build("LIST")
    for step in range(60):
        if requests.chance(0.06):
            yield requests.manage()
        elif requests.chance(0.03):
            yield requests.create(rng.choice(names), requests.families[rng.choice(names)][0])
        elif requests.chance(0.02):
            yield requests.listing()
        else:
            yield requests.change(rng.choice(names if requests.chance(0.99) else "x"))
        if step % 10 == 9:
            yield everything


def test_most_requests_succeed_and_many_fail() -> None:
    errors: list[int] = []
    for seed in range(30):
        requests = Requests(random.Random(seed), list(TYPES))
        transport = FakeIpset("7.2").transport()
        for data in requests_of_round(requests, None):
            if data[4] not in {7, 8}:
                errors += [one["error"] for one in wire.read(transport.exchange(data, 1).data) if "error" in one] or [0]
    assert len(errors) * 0.15 < errors.count(0) < len(errors) * 0.8
    assert len(set(errors)) > 20
