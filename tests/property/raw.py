"""Packed requests with any values in them, such as the client never sends; and all that a backend has, to compare two of them.

Knows: the records. Must not know: which backend it is.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from ipvskit.ipvs import records
from ipvskit.ipvs.backend import RowKind
from ipvskit.ipvs.records import NLM_F_ACK, NLM_F_DUMP, Command

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ipvskit.ipvs.backend import Backend


class Packed(bytes):
    """A request that can be read when a test fails."""

    def __repr__(self) -> str:
        command, flags = records.HEAD.unpack_from(self)
        service = records.SERVICE.unpack_from(self, records.HEAD.size)
        part = self[records.HEAD.size + records.SERVICE.size :]
        return f"<{Command(command).name} flags={flags:#x} service={service} part={part.hex()}>"


U32 = 2**32 - 1
INT_MAX = 2**31 - 1
CHANGES = [
    *[Command.NEW_SERVICE] * 8,
    *[Command.NEW_DEST] * 16,
    *[Command.SET_SERVICE, Command.SET_DEST, Command.DEL_DEST] * 4,
    Command.DEL_SERVICE,
    Command.NEW_DAEMON,
    Command.DEL_DAEMON,
    Command.SET_CONFIG,
    Command.ZERO,
    Command.FLUSH,
    Command.SET_INFO,
    Command.GET_INFO,
    Command.GET_DEST,
    Command.GET_DAEMON,
]
_IPV4 = ["0.0.0.0", "10.0.0.1", "127.0.0.0", "127.0.0.1", "127.255.255.255", "224.0.0.1", "255.255.255.255"]
_IPV6 = ["2001:db8::1", "::", "::1", "::ffff:10.0.0.1", "::10.0.0.1", "fe80::1", "fec0::1", "ff02::1"]


def often(usual: Sequence[object], odd: Sequence[object]) -> st.SearchStrategy[object]:
    """Mostly what is usual, so that something comes into being."""
    return st.sampled_from([*usual] * (len(odd) * 4 // len(usual) + 1) + [*odd])


def _packed(addresses: Iterable[str]) -> list[bytes]:
    return [ip_address(address).packed.ljust(16, b"\0") for address in addresses]


_FAMILIES = often([2, 10], [0, 1, 3, 65535])
_ADDRESSES = often(
    _packed(["10.0.0.1", "10.0.0.2", "2001:db8::1"]), [*_packed(_IPV4 + _IPV6), b"\x0a\0\0\1" + b"\xff" * 12]
)
_PORTS = often([0, 80], [65535])
_NUMBERS = often([0, 1, 50], [2, 100, INT_MAX, INT_MAX + 1, U32])


# A missing module costs the kernel a program that looks for it, so few are asked for.
_SCHEDULERS = st.sampled_from([b"rr", b"wlc", b"sh", b"mh", b"none"] * 12 + [b"", b"missing"])
_ENGINES = st.sampled_from([b""] * 40 + [b"sip"] * 10 + [b"x" * 17, b"x" * 19] * 3 + [b"x" * 16])


def _without(present: int) -> st.SearchStrategy[int]:
    """Presence bits, now and then with one turned over."""
    turned = st.integers(1, 15).map(lambda bit: present ^ 1 << bit)
    return st.one_of(*[st.just(present)] * 6, turned)


_BY_ADDRESS, _BY_MARK = records.KEY_ADDRESS, records.KEY_FWMARK
_HERE, _THERE, _WIDE = _packed(["10.0.0.1", "10.0.0.2", "2001:db8::1"])
#: Presence bits, family, protocol, port, mark, address.
_USUAL_KEYS = [(_BY_ADDRESS, 2, 6, 80, 0, _HERE), (_BY_ADDRESS, 10, 17, 80, 0, _WIDE), (_BY_MARK, 2, 0, 0, 1, _HERE)]
_ODD_KEYS = st.tuples(
    st.sampled_from([_BY_ADDRESS, _BY_MARK]).flatmap(_without),
    _FAMILIES,
    often([6, 17], [0, 255, 262]),
    _PORTS,
    often([1, 2], [0, U32]),
    _ADDRESSES,
)
#: Family, port, address.
_USUAL_PLACES = [(2, 80, _HERE), (2, 80, _THERE), (10, 80, _WIDE), (10, 0, _WIDE)]
_ODD_PLACES = st.tuples(_FAMILIES, _PORTS, _ADDRESSES)


@st.composite
def service_parts(draw: st.DrawFn, full: bool) -> bytes:
    usual = draw(st.integers(0, 5)) > 0
    present, family, protocol, port, mark, address = draw(st.sampled_from(_USUAL_KEYS) if usual else _ODD_KEYS)
    present |= draw(_without(records.SERVICE_FULL)) if full else 0
    return records.SERVICE.pack(
        0,
        present,
        family,
        protocol,
        port,
        0,
        mark,
        address,
        draw(_NUMBERS),
        draw(often([U32, records.OWN_FLAGS], [0, 1, 2, 0x8000])),
        draw(often([0, 300], [4294967, 42949673, INT_MAX, U32])),
        draw(often([128, 64], [0, 1, 129, 0xFFFFFF00, U32])),
        draw(_SCHEDULERS),
        draw(_ENGINES),
    )


@st.composite
def real_parts(draw: st.DrawFn, full: bool) -> bytes:
    usual = draw(st.integers(0, 5)) > 0
    family, port, address = draw(st.sampled_from(_USUAL_PLACES) if usual else _ODD_PLACES)
    present = (records.REAL_FULL | draw(st.sampled_from([0, records.REAL_TUNNEL]))) if full else records.REAL_KEY
    return records.REAL.pack(
        0,
        draw(_without(present)),
        family,
        port,
        draw(often([0, 6080], [65535])),
        draw(often([0, 1], [3, 65535])),
        draw(often([0, 2], [1, 3, 9, 255])),
        address,
        draw(often([2], [0, 1, 3, 4, 5, 6, 7, 8, 10, 256, U32])),
        draw(often([0, 1, 100], [-1, INT_MAX, -INT_MAX - 1])),
        draw(_NUMBERS),
        draw(often([0], [1, 2, 100, INT_MAX, INT_MAX + 1, U32])),
        0,
        0,
        0,
    )


@st.composite
def daemon_parts(draw: st.DrawFn) -> bytes:
    present = draw(st.sampled_from([0x0E, 0x19E, 0x1BE, 0x1DE, 0x1FE]))
    return records.DAEMON.pack(
        0,
        draw(_without(present)),
        draw(often([1, 2], [0, 3, U32])),
        draw(often([0, 1], [256, U32])),
        draw(often([0, 1400], [1, 1023, 65487, 65507, 65535])),
        draw(_PORTS),
        draw(st.sampled_from([0, 1, 255])),
        draw(often([b"\xe0\0\0\x51"], [bytes(4), b"\x0a\0\0\1", b"\xef\1\2\3"])),
        draw(often([b"\xff\x02".ljust(16, b"\0")], _packed(["::", "2001:db8::1", "ff05::1"]))),
        draw(often([b"lo"], [b"", b"missing", b"x" * 16])),
    )


@st.composite
def config_parts(draw: st.DrawFn) -> bytes:
    numbers = often([0, 60], [1, INT_MAX // 1000, INT_MAX // 250 + 1, INT_MAX // 100, INT_MAX // 100 + 1, INT_MAX, U32])
    return records.CONFIG.pack(0, draw(_without(0x70)), draw(numbers), draw(numbers), draw(numbers))


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """One request of any command, with any values."""
    command = draw(st.sampled_from(CHANGES))
    flags = draw(st.sampled_from([0, 0, 0, NLM_F_ACK]))
    about_all = command in {Command.FLUSH, Command.SET_CONFIG} or draw(st.integers(0, 30)) == 0
    full = command in {Command.NEW_SERVICE, Command.SET_SERVICE}
    service = bytes(records.SERVICE.size) if about_all else draw(service_parts(full))
    if command in {Command.NEW_DAEMON, Command.DEL_DAEMON}:
        # Acknowledged, so that none is left over: an answer to stopping a daemon gets lost now and then.
        flags, part = NLM_F_ACK, draw(daemon_parts())
    elif command is Command.SET_CONFIG:
        part = draw(config_parts())
    elif command in {Command.NEW_DEST, Command.SET_DEST, Command.DEL_DEST}:
        part = draw(real_parts(command is not Command.DEL_DEST))
    else:
        part = b""
    return Packed((records.HEAD.pack(command, flags) + service + part).ljust(records.REQUEST_SIZE, b"\0"))


def usual() -> list[bytes]:
    """Requests that make the usual services with the usual real servers, to begin with."""
    some = []
    for present, family, protocol, port, mark, address in _USUAL_KEYS:
        key = (family, protocol, port, 0, mark, address)
        options = (0, records.OWN_FLAGS, 0, 128, b"wlc", b"")
        new = records.SERVICE.pack(0, present | records.SERVICE_FULL, *key, *options)
        some.append((records.HEAD.pack(Command.NEW_SERVICE, 0) + new).ljust(records.REQUEST_SIZE, b"\0"))
        for real_family, real_port, real_address in _USUAL_PLACES[:3]:
            numbers = (0, 0, 0, real_address, 2, 1, 0, 0, 0, 0, 0)
            real = records.REAL.pack(0, records.REAL_FULL, real_family, real_port, *numbers)
            about = records.SERVICE.pack(0, present, *key, 0, 0, 0, 0, b"", b"")
            some.append(records.HEAD.pack(Command.NEW_DEST, 0) + about + real)
    return [Packed(one) for one in some]


def verdicts(backend: Backend, some: Sequence[bytes]) -> list[tuple[int, int]]:
    """(number, errno) of all that was answered. Stopping a daemon may go unanswered: then only refusals of it are told."""
    execution = backend.execute(b"".join(some), len(some))
    assert not execution.lost
    silent = {at for at, one in enumerate(some) if records.HEAD.unpack_from(one)[0] == Command.DEL_DAEMON}
    return sorted(
        (answer.index, answer.error) for answer in execution.answers if answer.error or answer.index not in silent
    )


def everything(backend: Backend) -> dict[str, object]:
    """All rows that a backend lists, the services' ones in an order of their own."""
    request = records.plain_request(Command.GET_SERVICE, NLM_F_DUMP)
    services = sorted(_rows(backend.dump(RowKind.SERVICES, request, 1).data, records.SERVICE_ROW.size))
    found: dict[str, object] = {"services": services}
    for at, row in enumerate(services):
        held = records.SERVICE_ROW.unpack(row)
        fields = (0, held[1] & (records.KEY_ADDRESS | records.KEY_FWMARK), *held[2:8], 0, 0, 0, 0, b"", b"")
        about = records.SERVICE.pack(*fields) + bytes(records.REAL.size)
        single = backend.get(RowKind.SERVICES, records.HEAD.pack(Command.GET_SERVICE, 0) + about, 1)
        assert single.data == row, "asked for one, the answer is another than in the dump"
        question = records.HEAD.pack(Command.GET_DEST, NLM_F_DUMP) + about
        found[f"real servers {at}"] = _rows(backend.dump(RowKind.REALS, question, 1).data, records.REAL_ROW.size)
        configs = backend.dump(RowKind.REAL_CONFIGS, question, 1)
        found[f"real servers {at} without stats"] = _rows(configs.data, records.REAL.size)
    found["timeouts"] = backend.get(RowKind.CONFIG, records.plain_request(Command.GET_CONFIG), 1).data
    request = records.plain_request(Command.GET_DAEMON, NLM_F_DUMP)
    found["daemons"] = _rows(backend.dump(RowKind.DAEMONS, request, 1).data, records.DAEMON.size)
    return found


def _rows(data: bytes | bytearray, size: int) -> list[bytes]:
    return [bytes(data[at : at + size]) for at in range(0, len(data), size)]
