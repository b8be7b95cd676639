"""The settings under /proc/sys/net/ipv4 of the fake kernel, IPVS's and a few others.

Knows: their defaults, what each takes and since when it is there (tried on 5.10.46, 6.1.176, 6.12.101 and 7.2.7). Must not know: services.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipvskit.testing.fake.requests import Refused, refuse_if

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from ipvskit.testing.fake.releases import Release, Version

__all__ = ["SETTINGS", "Setting", "Settings"]

INT_MIN, INT_MAX = -(2**31), 2**31 - 1
ULONG_MAX = 2**64 - 1

#: From the text held, the text written and the number of CPUs, makes the text that is held then. Raises Refused.
Take = Callable[[str, str, int], str]


def _numbers(text: str) -> list[int]:
    """The kernel reads as many numbers as it wants, and does not look at what follows."""
    try:
        return [int(word) for word in text.split()]
    except ValueError:
        raise Refused(errno.EINVAL) from None


def _number(low: int, high: int, settles: Mapping[int, int] | None = None) -> Take:
    def take(_held: str, text: str, _cpus: int) -> str:
        value = _numbers(text.split()[0])[0]
        refuse_if(not low <= value <= high, errno.EINVAL)
        return str((settles or {}).get(value, value))

    return take


def _power_of_two(held: str, text: str, cpus: int) -> str:
    taken = _number(1, INT_MAX)(held, text, cpus)
    refuse_if(int(taken).bit_count() != 1, errno.EINVAL)
    return taken


def _threshold(held: str, text: str, _cpus: int) -> str:
    given = _numbers(text)[:2]
    first, period = given if len(given) == 2 else (given[0], int(held.split()[1]))
    refuse_if(first < 0 or period < 0 or (period and first >= period), errno.EINVAL)
    return f"{first}\t{period}"


def _cpus(_held: str, text: str, cpus: int) -> str:
    chosen: set[int] = set()
    for part in text.split()[0].split(",") if text.split() else []:
        first, dash, last = part.partition("-")
        refuse_if(not first.isdigit() or (dash and not last.isdigit()), errno.EINVAL)
        some = range(int(first), int(last if dash else first) + 1)
        refuse_if(not some, errno.EINVAL)
        refuse_if(some[-1] >= cpus, errno.ERANGE)
        chosen |= set(some)
    return _cpu_list(chosen)


def _cpu_list(chosen: set[int]) -> str:
    starts = sorted(cpu for cpu in chosen if cpu - 1 not in chosen)
    ends = sorted(cpu for cpu in chosen if cpu + 1 not in chosen)
    return ",".join(f"{start}-{end}" if end > start else str(start) for start, end in zip(starts, ends, strict=True))


_WHOLE = _number(INT_MIN, INT_MAX)
_SECONDS = _number(0, INT_MAX // 1000)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    `read_only_since` says from which release on only the first namespace can write it; `scheduler`, that it comes with this scheduler's module.
    """

    default: str
    take: Take = _WHOLE
    since: Version = (0,)
    read_only_since: Version | None = None
    scheduler: str | None = None


_FLAG = Setting("0")
_ON = Setting("1")
# With memory to spare the automatic defence (2) switches itself off again (1).
_DEFENCE = Setting("0", _number(0, 3, {2: 1}))

SETTINGS: dict[str, Setting] = {
    "am_droprate": Setting("10"),
    "amemthresh": Setting("1024"),
    "backup_only": _FLAG,
    "cache_bypass": _FLAG,
    "conn_lfactor": Setting("-2", _number(-8, 8), (7,)),
    "conn_max": Setting(str(2**30), _number(0, 2**30), (7,)),
    "conn_reuse_mode": _ON,
    "conntrack": _FLAG,
    "debug_level": Setting("0", read_only_since=(6, 1)),
    "drop_entry": _DEFENCE,
    "drop_packet": _DEFENCE,
    "est_cpulist": Setting("", _cpus, (6, 2)),
    "est_nice": Setting("0", _number(-20, 19), (6, 2)),
    "expire_nodest_conn": _FLAG,
    "expire_quiescent_template": _FLAG,
    "ignore_tunneled": _FLAG,
    "lblc_expiration": Setting("86400", _SECONDS, scheduler="lblc"),
    "lblcr_expiration": Setting("86400", _SECONDS, scheduler="lblcr"),
    "nat_icmp_send": _FLAG,
    "pmtu_disc": _ON,
    "run_estimation": Setting("1", since=(5, 15)),
    "schedule_icmp": _FLAG,
    "secure_tcp": _DEFENCE,
    "sloppy_sctp": _FLAG,
    "sloppy_tcp": _FLAG,
    "snat_reroute": _ON,
    "svc_lfactor": Setting("-2", _number(-8, 8), (7,)),
    "sync_persist_mode": _FLAG,
    "sync_ports": Setting("1", _power_of_two),
    "sync_qlen_max": Setting("15928", _number(0, ULONG_MAX)),
    "sync_refresh_period": Setting("0", _SECONDS),
    "sync_retries": Setting("0", _number(0, 3)),
    "sync_sock_size": _FLAG,
    "sync_threshold": Setting("3\t50", _threshold),
    "sync_version": Setting("1", _number(0, 1)),
    "ip_forward": _FLAG,
    "arp_ignore": _FLAG,
    "arp_announce": _FLAG,
}


class Settings:
    """What the settings hold. `given` replaces defaults, and takes away what it has as None; `loaded` are the schedulers in use so far."""

    def __init__(self, release: Release, cpus: int, given: Mapping[str, str | None], loaded: AbstractSet[str]) -> None:
        unknown = given.keys() - SETTINGS.keys()
        if unknown:
            raise ValueError(f"no settings of IPVS: {sorted(unknown)}")
        self._release = release
        self._cpus = cpus
        self._loaded = loaded
        defaults = {name: one.default for name, one in SETTINGS.items() if release.since(one.since)}
        if "est_cpulist" in defaults:
            defaults["est_cpulist"] = _cpu_list(set(range(cpus)))
        self._held = {name: value for name, value in {**defaults, **given}.items() if value is not None}

    def _find(self, name: str) -> Setting:
        refuse_if(name not in self._held, errno.ENOENT)
        setting = SETTINGS[name]
        refuse_if(setting.scheduler is not None and setting.scheduler not in self._loaded, errno.ENOENT)
        return setting

    def read(self, name: str) -> str:
        """The file's text. Raises Refused."""
        self._find(name)
        return self._held[name] + "\n"

    def check_writable(self, name: str) -> None:
        """What happens when the file is opened for writing. Raises Refused."""
        since = self._find(name).read_only_since
        refuse_if(since is not None and self._release.since(since), errno.EACCES)

    def write(self, name: str, text: str) -> None:
        """Take a text. Raises Refused."""
        refuse_if(not text.split() and name != "est_cpulist", errno.EINVAL)
        self._held[name] = self._find(name).take(self._held[name], text, self._cpus)

    def on(self, name: str) -> bool:
        """Whether a setting is there and not 0."""
        return self._held.get(name, "0") not in {"0", ""}
