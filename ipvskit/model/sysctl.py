"""The IPVS settings under net.ipv4.vs, and those of net.ipv4 without which a load balancer does not forward or answers for what it should not.

Knows: their names, types, ranges and meaning (Documentation/networking/ipvs-sysctl.rst, ip-sysctl.rst). Must not know: files.
"""

from __future__ import annotations

from dataclasses import dataclass

from ipvskit.errors import InvalidConfig
from ipvskit.model.address import is_number

__all__ = ["SYSCTLS", "Sysctl"]

INT_MAX = 2**31 - 1
#: Automatic defences are at 1, and at 2 while memory is short (update_defense_level in ip_vs_ctl.c).
_DEFENCES = {"drop_entry", "drop_packet", "secure_tcp"}
_ACTIVE = 2
#: More than any kernel is built for.
_CPUS = 1 << 16


@dataclass(frozen=True, slots=True)
class Sysctl:
    """One setting. `kind` is bool, int, str (a list of CPUs) or tuple (two numbers); `low` and `high` bound numbers.

    `folder` is where it is under net/ipv4: "vs" for those of IPVS.
    """

    name: str
    kind: type
    low: int
    high: int
    meaning: str
    folder: str = "vs"

    @property
    def path(self) -> str:
        """Where it is under net/ipv4: "vs/conntrack", "ip_forward"."""
        return f"{self.folder}/{self.name}" if self.folder else self.name

    @property
    def full_name(self) -> str:
        """As sysctl(8) has it: "net.ipv4.vs.conntrack"."""
        return "net.ipv4." + self.path.replace("/", ".")

    @property
    def is_ipvs(self) -> bool:
        """Whether it is one of IPVS itself."""
        return self.folder == "vs"

    def parse(self, text: str) -> Value:
        """The value from the file's text. Raises InvalidConfig."""
        words = text.split()
        try:
            if self.kind is str:
                return text.strip()
            if self.kind is tuple:
                return (int(words[0]), int(words[1]))
            return bool(int(words[0])) if self.kind is bool else int(words[0])
        except (ValueError, IndexError):
            raise InvalidConfig(self.name, text, f"text of a {self.kind.__name__}") from None

    def write(self, value: Value) -> str:
        """The file's text for a value. Raises InvalidConfig."""
        if self.kind is str:
            if not isinstance(value, str) or not set(value) <= set("0123456789,-"):
                raise InvalidConfig(self.name, value, 'a list of CPUs such as "0,2-3", or "" for none')
            return value + "\n"
        if self.kind is tuple:
            if not isinstance(value, tuple) or len(value) != 2 or not all(self._fits(number) for number in value):
                raise InvalidConfig(self.name, value, f"two numbers, each from {self.low} to {self.high}")
            if 0 < value[1] <= value[0]:
                raise InvalidConfig(self.name, value, "a second number that is 0 or above the first")
            return f"{value[0]} {value[1]}"
        if self.kind is bool:
            if value not in (0, 1) or not isinstance(value, int):
                raise InvalidConfig(self.name, value, "True or False")
            return str(int(value))
        if isinstance(value, bool) or not self._fits(value):
            raise InvalidConfig(self.name, value, f"a whole number from {self.low} to {self.high}")
        if self.name == "sync_ports" and isinstance(value, int) and value.bit_count() != 1:
            raise InvalidConfig(self.name, value, "a power of two")
        return str(value)

    def normal(self, value: Value) -> Value:
        """A value for comparing: of CPUs, ranges in order; of defences, 1 for both 1 and 2, between which the kernel changes by itself."""
        if self.name in _DEFENCES and value == _ACTIVE:
            return 1
        if self.kind is not str or not isinstance(value, str):
            return value
        cpus: set[int] = set()
        for part in filter(None, value.strip().split(",")):
            first, _, last = part.partition("-")
            if not is_number(first) or (last and not is_number(last)):
                return value
            cpus.update(range(int(first), min(int(last or first), _CPUS) + 1))
        ordered = sorted(cpus)
        starts = [cpu for cpu in ordered if cpu - 1 not in cpus]
        ends = [cpu for cpu in ordered if cpu + 1 not in cpus]
        return ",".join(str(one) if one == two else f"{one}-{two}" for one, two in zip(starts, ends, strict=True))

    def _fits(self, number: object) -> bool:
        return isinstance(number, int) and self.low <= number <= self.high


#: What a setting can hold.
Value = bool | int | str | tuple[int, int]


def _flag(name: str, meaning: str) -> Sysctl:
    return Sysctl(name, bool, 0, 1, meaning)


def _number(name: str, low: int, high: int, meaning: str) -> Sysctl:
    return Sysctl(name, int, low, high, meaning)


SYSCTLS: dict[str, Sysctl] = {
    one.name: one
    for one in (
        _number("am_droprate", 0, INT_MAX, "rate of the drop_packet mode 3: one packet in this many"),
        _number("amemthresh", 0, INT_MAX, "pages of free memory below which the automatic defences start"),
        _flag("backup_only", "do not forward on a backup director"),
        _flag("cache_bypass", "forward to the original destination when a cache cluster has no server"),
        _number("conn_lfactor", -8, 8, "load factor of the connection table as a power of two (Linux 7)"),
        _number("conn_max", 0, 2**30, "most connections of the namespace (Linux 7)"),
        _number(
            "conn_reuse_mode",
            0,
            3,
            "what to do when a client reuses a port: bit 0 reschedule, bit 1 also without conntrack",
        ),
        _flag("conntrack", "keep connection tracking entries for IPVS connections"),
        _number("debug_level", 0, INT_MAX, "verbosity of kernels built with IP_VS_DEBUG; the same for all namespaces"),
        _number(
            "drop_entry", 0, 3, "drop half-open connections under memory pressure: 0 never, 1 and 2 automatic, 3 always"
        ),
        _number("drop_packet", 0, 3, "drop packets under memory pressure: 0 never, 1 and 2 automatic, 3 always"),
        Sysctl("est_cpulist", str, 0, 0, "CPUs that the estimation threads may run on; none stops estimation"),
        _number("est_nice", -20, 19, "priority of the estimation threads"),
        _flag("expire_nodest_conn", "end a connection at once when its real server is gone"),
        _flag("expire_quiescent_template", "forget a persistence template whose real server has weight 0"),
        _flag("ignore_tunneled", "do not schedule packets that a tunnel of this host carries"),
        _number(
            "lblc_expiration",
            0,
            INT_MAX,
            "seconds after which scheduler lblc forgets a destination; there once it is loaded",
        ),
        _number(
            "lblcr_expiration",
            0,
            INT_MAX,
            "seconds after which scheduler lblcr forgets a destination; there once it is loaded",
        ),
        _flag("nat_icmp_send", "send ICMP errors for masqueraded connections that are unknown"),
        _flag("pmtu_disc", "discover the path MTU of tunnels"),
        _flag("run_estimation", "keep counters and rates up to date"),
        _flag("schedule_icmp", "schedule ICMP packets that belong to no connection"),
        _number("secure_tcp", 0, 3, "stricter TCP states: 0 never, 1 and 2 automatic, 3 always"),
        _flag("sloppy_sctp", "create connections for any SCTP packet"),
        _flag("sloppy_tcp", "create connections for any TCP packet"),
        _flag("snat_reroute", "route masqueraded answers again"),
        _number("svc_lfactor", -8, 8, "load factor of the service table as a power of two (Linux 7)"),
        _flag("sync_persist_mode", "synchronise persistence templates only"),
        _number("sync_ports", 1, 64, "threads per sync daemon, each with a port of its own; a power of two"),
        _number("sync_qlen_max", 0, INT_MAX, "most sync messages in a queue"),
        _number(
            "sync_refresh_period",
            0,
            INT_MAX,
            "seconds after which a connection is reported again without a change of state",
        ),
        _number("sync_retries", 0, 3, "how often a sync message is repeated"),
        _number("sync_sock_size", 0, INT_MAX, "socket buffer of the sync daemons in bytes; 0 is the system's default"),
        Sysctl(
            "sync_threshold", tuple, 0, INT_MAX, "packets before a connection is reported, and the period after that"
        ),
        _flag("sync_version", "version of the sync protocol, 0 or 1"),
        Sysctl("ip_forward", bool, 0, 1, "forward packets between interfaces (net.ipv4.ip_forward)", ""),
        Sysctl(
            "arp_ignore",
            int,
            0,
            8,
            "which addresses ARP answers for: 1 only those of the interface that is asked (net.ipv4.conf.all.arp_ignore)",
            "conf/all",
        ),
        Sysctl(
            "arp_announce",
            int,
            0,
            2,
            "which source addresses ARP requests have: 2 the best of the interface (net.ipv4.conf.all.arp_announce)",
            "conf/all",
        ),
    )
}
