"""What ipvsadm says: its help, its version, and its words for what the kernel refuses.

Knows: texts. Must not know: when they are said.
"""

from __future__ import annotations

import errno
import os

from ipvskit.ipvs import layout

__all__ = ["NOT_THERE", "VERSION", "refusal", "usage"]

VERSION = "ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)\n"
NOT_THERE = "Can't initialize ipvs: {}\nAre you sure that IP Virtual Server is built in the kernel or as module?"

_NO_SERVICE, _NO_MODULE = "No such service", "Scheduler or persistence engine not found"
#: By the command (layout) and the kernel's error number.
_REFUSALS = {
    (layout.NEW_SERVICE, errno.EEXIST): "Service already exists",
    (layout.NEW_SERVICE, errno.ENOENT): _NO_MODULE,
    (layout.SET_SERVICE, errno.ESRCH): _NO_SERVICE,
    (layout.SET_SERVICE, errno.ENOENT): _NO_MODULE,
    (layout.DEL_SERVICE, errno.ESRCH): _NO_SERVICE,
    (layout.ZERO, errno.ESRCH): _NO_SERVICE,
    (layout.NEW_DEST, errno.ESRCH): "Service not defined",
    (layout.NEW_DEST, errno.EEXIST): "Destination already exists",
    (layout.SET_DEST, errno.ESRCH): "Service not defined",
    (layout.SET_DEST, errno.ENOENT): "No such destination",
    (layout.DEL_DEST, errno.ESRCH): "Service not defined",
    (layout.DEL_DEST, errno.ENOENT): "No such destination",
    (layout.NEW_DAEMON, errno.EEXIST): "Daemon has already run",
    (layout.DEL_DAEMON, errno.ESRCH): "No daemon is running",
    (layout.GET_SERVICE, errno.ESRCH): _NO_SERVICE,
    (layout.GET_DEST, errno.ESRCH): _NO_SERVICE,
}
_ANY = {
    errno.EPERM: "Permission denied (you must be root)",
    errno.EINVAL: "Invalid operation.  Possibly wrong module version, address not unicast, ...",
    errno.ENOPROTOOPT: "Protocol not available",
    errno.ENOMEM: "Memory allocation problem",
    errno.EOPNOTSUPP: "Operation not supported with IPv6",
    errno.EAFNOSUPPORT: "Operation not supported with specified address family",
    errno.EMSGSIZE: "Module is wrong version",
}


def refusal(command: int, error: int) -> str:
    """The tool's words for an error number of a command."""
    return _REFUSALS.get((command, error)) or _ANY.get(error) or os.strerror(error)


def usage(program: str) -> str:
    """The help."""
    return VERSION + _USAGE.replace("%s", program)


_USAGE = """\
Usage:
  %s -A|E virtual-service [-s scheduler] [-p [timeout]] [-M netmask] [--pe persistence_engine] [-b sched-flags]
  %s -D virtual-service
  %s -C
  %s -R
  %s -S [-n]
  %s -a|e virtual-service -r server-address [options]
  %s -d virtual-service -r server-address
  %s -L|l [virtual-service] [options]
  %s -Z [virtual-service]
  %s --set tcp tcpfin udp
  %s --start-daemon {master|backup} [daemon-options]
  %s --stop-daemon {master|backup}
  %s -h

Commands:
Either long or short options are allowed.
  --add-service     -A        add virtual service with options
  --edit-service    -E        edit virtual service with options
  --delete-service  -D        delete virtual service
  --clear           -C        clear the whole table
  --restore         -R        restore rules from stdin
  --save            -S        save rules to stdout
  --add-server      -a        add real server with options
  --edit-server     -e        edit real server with options
  --delete-server   -d        delete real server
  --list            -L|-l     list the table
  --zero            -Z        zero counters in a service or all services
  --set tcp tcpfin udp        set connection timeout values
  --start-daemon              start connection sync daemon
  --stop-daemon               stop connection sync daemon
  --help            -h        display this help message

virtual-service:
  --tcp-service|-t  service-address   service-address is host[:port]
  --udp-service|-u  service-address   service-address is host[:port]
  --sctp-service    service-address   service-address is host[:port]
  --fwmark-service|-f fwmark          fwmark is an integer greater than zero

Options:
  --ipv6         -6                   fwmark entry uses IPv6
  --scheduler    -s scheduler         one of rr|wrr|lc|wlc|lblc|lblcr|dh|sh|sed|nq|fo|ovf|mh,
                                      the default scheduler is wlc.
  --pe            engine              alternate persistence engine may be sip,
                                      not set by default.
  --persistent   -p [timeout]         persistent service
  --netmask      -M netmask           persistent granularity mask
  --real-server  -r server-address    server-address is host (and port)
  --gatewaying   -g                   gatewaying (direct routing) (default)
  --ipip         -i                   ipip encapsulation (tunneling)
  --masquerading -m                   masquerading (NAT)
  --tun-type      type                one of ipip|gue|gre,
                                      the default tunnel type is ipip.
  --tun-port      port                tunnel destination port
  --tun-nocsum                        tunnel encapsulation without checksum
  --tun-csum                          tunnel encapsulation with checksum
  --tun-remcsum                       tunnel encapsulation with remote checksum
  --weight       -w weight            capacity of real server
  --u-threshold  -x uthreshold        upper threshold of connections
  --l-threshold  -y lthreshold        lower threshold of connections
  --connection   -c                   output of current IPVS connections
  --timeout                           output of timeout (tcp tcpfin udp)
  --daemon                            output of daemon information
  --stats                             output of statistics information
  --rate                              output of rate information
  --exact                             expand numbers (display exact values)
  --thresholds                        output of thresholds information
  --persistent-conn                   output of persistent connection info
  --tun-info                          output of tunnel information
  --nosort                            disable sorting output of service/server entries
  --sort                              does nothing, for backwards compatibility
  --ops          -o                   one-packet scheduling
  --numeric      -n                   numeric output of addresses and ports
  --sched-flags  -b flags             scheduler flags (comma-separated)
Daemon Options:
  --syncid sid                        syncid for connection sync (default=255)
  --sync-maxlen length                Max sync message length (default=1472)
  --mcast-interface interface         multicast interface for connection sync
  --mcast-group address               IPv4/IPv6 group (default=224.0.0.81)
  --mcast-port port                   UDP port (default=8848)
  --mcast-ttl ttl                     Multicast TTL (default=1)
"""
