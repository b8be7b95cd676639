"""The program: from the words of its command line to its exit status.

Knows: which module does what, and in which order. Must not know: how options, tables or requests look.
"""

from __future__ import annotations

import errno
import os
import sys

from ipvskit.cli.ipvsadm import reading, requests, texts
from ipvskit.cli.ipvsadm.lookup import Names
from ipvskit.cli.ipvsadm.outcome import REFUSED, Failed, Finished, Refused, TryHelp
from ipvskit.cli.ipvsadm.output import Output, characters
from ipvskit.cli.ipvsadm.parse import PROGRAM, parse
from ipvskit.errors import IpvskitError
from ipvskit.ipvs import layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from ipvskit.cli.ipvsadm.entry import Entry
    from ipvskit.ipvs.backend import Backend

__all__ = ["Session", "run", "start"]

STRICT = "--strict"
CONNECTIONS = "/proc/thread-self/net/ip_vs_conn"
_MODPROBE = ("/sbin/modprobe", "--", "ip_vs")
_SIGINT, _SIGPIPE = 2, 13


def start(arguments: Sequence[str] | None) -> int:
    """The program with these words, or those of the command line; returns the exit status."""
    try:
        status = run(list(sys.argv[1:] if arguments is None else arguments), _open)
        Output().flush()
    except BrokenPipeError:
        _die(_SIGPIPE)
    except KeyboardInterrupt:
        _die(_SIGINT)
    return status


def _die(number: int) -> NoReturn:
    """End as the tool does: by the signal."""
    import signal

    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    raise SystemExit(128 + number)


def _open() -> Backend:
    """The kernel, in the calling thread's network namespace."""
    from ipvskit.ipvs.backend import KernelBackend
    from ipvskit.netns import NetNS

    return KernelBackend(NetNS.current())


def run(words: list[str], open_backend: Callable[[], Backend]) -> int:
    """The program on a kernel; returns the exit status."""
    output = Output()
    strict = words[:1] == [STRICT]
    try:
        session = _session(open_backend, output, strict)
        try:
            return session.process([characters(word) for word in words[strict:]])
        finally:
            session.backend.close()
    except Finished as end:
        if end.message:
            output.err(end.message)
        return end.status


def _session(open_backend: Callable[[], Backend], output: Output, strict: bool) -> Session:
    """Ask for the version first, as the tool does; load the module where it is missing. Raises Failed."""
    try:
        return Session(open_backend(), output, strict)
    except IpvskitError:
        _load()
    try:
        return Session(open_backend(), output, strict)
    except IpvskitError as error:
        raise Failed(texts.NOT_THERE.format(texts.refusal(layout.GET_INFO, _init_error(error)))) from None


def _load() -> None:
    """Load the module; what the loader says goes where our own messages go."""
    if os.access(_MODPROBE[0], os.X_OK):
        os.waitpid(os.posix_spawn(_MODPROBE[0], _MODPROBE, os.environ), 0)


def _init_error(error: IpvskitError) -> int:
    """The error number that the tool would meet: without the netlink family it tries a raw socket."""
    number = getattr(error, "errno", None) or errno.EINVAL
    if number != errno.ENOENT:
        return number
    import _socket

    try:
        _socket.socket(_socket.AF_INET, _socket.SOCK_RAW, _socket.IPPROTO_RAW).close()
    except OSError as refused:
        return refused.errno or errno.EPERM
    return errno.ENOPROTOOPT


class Session:
    """A run of the program, in which one command or, when restoring, many are executed."""

    def __init__(self, backend: Backend, output: Output, strict: bool) -> None:
        self.backend = backend
        self.output = output
        self.strict = strict
        try:
            #: Version and size of the connection table, when the program began.
            self.info = reading.info(backend)
        except BaseException:
            backend.close()
            raise

    def process(self, words: Sequence[str]) -> int:
        """Do what the words of the command line ask for; returns the exit status. Raises Finished."""
        if not words:
            return self._list_all(set())
        try:
            entry, given = parse(words)
        except Refused as error:
            self.output.err(str(error))
            return REFUSED
        if entry.command == "restore":
            return self._restore()
        return self.execute(entry, given)

    def execute(self, entry: Entry, given: set[str]) -> int:
        """Do what one entry asks for, but for restoring; returns the exit status. Raises Finished."""
        command = entry.command
        if command in requests.CHANGES:
            return self._change(entry)
        if command == "help":
            self.output.out(texts.usage(PROGRAM))
        elif command == "version":
            self.output.out(texts.VERSION)
        elif command == "restore":
            raise TryHelp(PROGRAM)
        elif command == "save":
            return self._save("numeric" in given)
        else:
            return self._list(entry, given)
        raise Finished(0)

    def _change(self, entry: Entry) -> int:
        from ipvskit.cli.ipvsadm.sending import Batch

        batch = Batch(self.backend, self.output)
        batch.add(requests.CHANGES[entry.command], requests.request(entry), entry)
        return batch.send()

    def _restore(self) -> int:
        if self.strict:
            from ipvskit.cli.ipvsadm.strict import restore

            return restore(self)
        from ipvskit.cli.ipvsadm.restore import Restore

        return Restore(self).run()

    # --- lists ----------------------------------------------------------------------------------------------------------------------

    def _list(self, entry: Entry, given: set[str]) -> int:
        if (given & {"connection", "timeout", "daemon"} and given & {"stats", "rate", "thresholds"}) or (
            given & {"timeout", "daemon"} and "persistent-conn" in given
        ):
            raise Failed("options conflicts in the list command")
        if "connection" in given:
            return self._list_connections(given)
        if "service-address" in given:
            return self._list_service(entry, given)
        if "timeout" in given:
            return self._list_timeouts()
        if "daemon" in given:
            return self._list_daemons()
        return self._list_all(given)

    def _list_all(self, given: set[str]) -> int:
        from ipvskit.cli.ipvsadm.tables import Table, heading

        self.output.out(heading(*self.info))
        try:
            found = reading.all_services(self.backend)
        except IpvskitError as error:
            raise _unreadable(error) from None
        table = Table(given, lossless=self.strict)
        self.output.out(table.title + table.services(found))
        return 0

    def _list_service(self, entry: Entry, given: set[str]) -> int:
        from ipvskit.cli.ipvsadm.tables import Table

        try:
            found = reading.one_service(self.backend, entry)
        except IpvskitError as error:
            raise _unreadable(error) from None
        table = Table(given, lossless=self.strict)
        self.output.out(table.title + table.service(found))
        return 0

    def _list_connections(self, given: set[str]) -> int:
        from ipvskit.cli.ipvsadm.connections import connections

        names = Names("numeric" in given)
        try:
            with self.backend.open(CONNECTIONS) as file:
                if not file.readline():
                    raise Finished(1, "unexpected input from /proc/net/ip_vs_conn")
                for line in connections(map(characters, file), names, engines="persistent-conn" in given):
                    self.output.out(line)
        except FileNotFoundError:
            raise Finished(1, "cannot open file /proc/net/ip_vs_conn") from None
        return 0

    def _list_timeouts(self) -> int:
        try:
            tcp, tcp_fin, udp = reading.timeouts(self.backend)
        except IpvskitError:
            raise Finished(1) from None
        self.output.out(f"Timeout (tcp tcpfin udp): {tcp} {tcp_fin} {udp}\n")
        return 0

    def _list_daemons(self) -> int:
        from ipvskit.cli.ipvsadm.daemons import daemon_text

        try:
            found = reading.daemons(self.backend)
        except IpvskitError:
            raise Finished(1) from None
        self.output.out("".join(map(daemon_text, found)))
        return 0

    def _save(self, numeric: bool) -> int:
        from ipvskit.cli.ipvsadm import save

        try:
            found = reading.all_services(self.backend)
            lines = save.rules(found, numeric=numeric, strict=self.strict)
            if self.strict:
                lines = save.timeouts_line(reading.timeouts(self.backend)) + lines
                lines += "".join(map(save.daemon_line, reading.daemons(self.backend)))
        except IpvskitError as error:
            raise _unreadable(error) from None
        self.output.out(lines)
        lost = save.unsayable(found) if self.strict else []
        for one in lost:
            self.output.err(f"{PROGRAM}: not saved: {one}")
        return 1 if lost else 0


def _unreadable(error: IpvskitError) -> Finished:
    return Finished(1, texts.refusal(layout.GET_SERVICE, getattr(error, "errno", None) or errno.EINVAL))
