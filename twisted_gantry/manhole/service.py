"""The manhole: a Python prompt inside the running daemon, off unless an endpoint is set.

At `unix:PATH` it is a plain line protocol on a socket of mode 600 in a folder of mode 700
(`socat READLINE UNIX-CONNECT:PATH`). At other endpoints it is SSH, by public key alone
(`ssh -p PORT gantry@HOST`). There is never a password.
"""

import pwd
import socket
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from twisted.application.strports import service as listening
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import quoteStringArgument
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.core.site import Site
from twisted_gantry.manhole.console import Console, Context
from twisted_gantry.net.addresses import host_of
from twisted_gantry.net.endpoints import wrong_server
from twisted_gantry.net.service import ServiceGroup
from twisted_gantry.net.slots import Progress, Slots

UNIX = "unix:"
MAX_SESSIONS = 16  # connections at a time, including those that have not logged in
RESERVED = 8  # of these that are not for strangers (`net/slots.py`)
PER_ADDRESS = 4  # connections of one address that have not logged in
MAX_LINE = 16_384  # bytes of one line on the UNIX socket


class ManholeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[manhole]`: the endpoint, empty for none; files for SSH, relative to the data folder."""

    listen: str = ""
    authorized_keys: str = "manhole_authorized_keys"
    host_key: str = "manhole_host_key"

    def wrong_listen(self) -> str:
        if self.listen.startswith(UNIX):
            path = self.listen.removeprefix(UNIX)
            if not path.startswith("/") or ":" in path or "\\" in path:
                return (
                    "a socket is written unix:/PATH/NAME, without options; its mode is always 600;"
                    f" it is {self.listen!r}"
                )
        elif self.listen:
            return wrong_server(self.listen, "tcp:2222:interface=127.0.0.1")
        return ""


class CannotOpen(Exception):
    """The manhole cannot be opened; the text is for the operator."""


class _Manhole(ServiceGroup):
    def __init__(self, listen: str, factory: Any, reactor: Any) -> None:
        super().__init__()
        self._factory = factory
        self.add(listening(listen, factory, reactor))

    def stopService(self) -> Deferred[Any]:
        self._factory.close()
        return super().stopService()


def manhole_service(
    settings: ManholeSettings,
    site: Site,
    folder: Path,
    reactor: Any,
    now: Callable[[], float],
    counts: Counter[str] | None = None,
    crowded: Callable[[str], object] = lambda address: None,
) -> ServiceGroup:
    """Return the service of the manhole; `folder` is the data folder. `counts` and `crowded` are
    those of `net.slots.Slots`.

    A missing host key is made. Raises CannotOpen; starting the service may raise CannotListenError.
    """
    wrong = settings.wrong_listen()
    if wrong or not settings.listen:
        raise CannotOpen(f"[manhole] listen: {wrong or 'is missing'}")
    context = Context(site, reactor, now)
    slots = Slots(
        reactor,
        connections=MAX_SESSIONS,
        per_address=PER_ADDRESS,
        reserved=RESERVED,
        counts=Counter() if counts is None else counts,
        crowded=crowded,
    )
    if settings.listen.startswith(UNIX):
        path = Path(settings.listen.removeprefix(UNIX))
        own_folder(path.parent)
        address = quoteStringArgument(str(path))
        return _Manhole(f"unix:{address}:mode=600", _SocketFactory(context, slots), reactor)
    # The import of conch installs a reactor, so it must come after twistd has chosen one.
    from twisted_gantry.manhole.keys import AuthorizedKeys, host_key
    from twisted_gantry.manhole.ssh import SshFactory

    keys = AuthorizedKeys(folder / settings.authorized_keys)
    key = host_key(folder / settings.host_key)
    return _Manhole(settings.listen, SshFactory(context, keys, key, slots), reactor)


def own_folder(folder: Path) -> None:
    """Make the folder of a socket, mode 700; a folder open to others is refused.

    The folder protects the socket in the moment before its own mode is set. Raises CannotOpen.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = folder.stat().st_mode
    except OSError as error:
        raise CannotOpen(f"the folder {folder} cannot be used: {error.strerror}") from None
    if mode & 0o077:
        raise CannotOpen(
            f"the folder {folder} is open to others, so the manhole stays closed: "
            f"use a folder of its own, or chmod 700 {folder}"
        )


@implementer(IHalfCloseableProtocol)
class _SocketSession(LineOnlyReceiver):
    transport: Any
    delimiter = b"\n"
    MAX_LENGTH = MAX_LINE

    def __init__(self, context: Context, gone: Callable[["_SocketSession"], None]) -> None:
        self._context, self._gone = context, gone
        self._console: Console | None = None
        self._prompting = False

    def connectionMade(self) -> None:
        who = f"manhole unix {_peer(self.transport.getHandle())}"
        self._console = Console(self._context, who, self)

    def lineReceived(self, line: bytes) -> None:
        self._prompting = False
        if self._console is not None:
            self._console.enter(line.removesuffix(b"\r").decode("utf-8", "replace"))

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802
        self.say(f"a line has at most {MAX_LINE} bytes\n")
        self.leave()

    def readConnectionLost(self) -> None:  # noqa: N802
        """Run what was entered, then leave: `echo … | socat - UNIX-CONNECT:…`."""
        if self._console is not None:
            self._console.end()

    def writeConnectionLost(self) -> None:  # noqa: N802
        self.leave()

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._gone(self)
        if self._console is not None:
            self._console.closed()

    def say(self, text: str) -> None:
        begin, self._prompting = ("\n" if self._prompting else ""), False
        self.transport.write((begin + text).encode())
        if begin:
            self.prompt(more=False)

    def prompt(self, *, more: bool) -> None:
        self._prompting = not more
        self.transport.write(b"... " if more else b">>> ")

    def leave(self) -> None:
        self.transport.loseConnection()


class _SocketFactory(Factory[_SocketSession]):
    noisy = False

    def __init__(self, context: Context, slots: Slots) -> None:
        self._context, self._slots = context, slots
        self._open: set[_SocketSession] = set()

    def buildProtocol(self, addr: IAddress | None) -> _SocketSession | None:
        slot = self._slots.admit(host_of(addr))
        if slot is None:
            return None
        slot.reached(Progress.PROVED)  # by the mode of the socket

        def gone(session: _SocketSession) -> None:
            self._open.discard(session)
            slot.free()

        session = _SocketSession(self._context, gone)
        self._open.add(session)
        return session

    def close(self) -> None:
        for session in list(self._open):
            if session.transport is not None:
                session.transport.abortConnection()


def _peer(handle: socket.socket) -> str:
    shape = struct.Struct("3i")
    _, uid, _ = shape.unpack(handle.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, shape.size))
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
