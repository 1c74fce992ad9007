"""The manhole over SSH: public keys alone, one prompt per session, no other services."""

import struct
from collections import Counter
from typing import Any

from twisted.conch import recvline
from twisted.conch.avatar import ConchUser
from twisted.conch.error import ConchError
from twisted.conch.insults import insults
from twisted.conch.interfaces import IConchUser, ISession
from twisted.conch.manhole_ssh import TerminalSessionTransport
from twisted.conch.ssh.common import NS, getNS
from twisted.conch.ssh.connection import (
    MSG_CHANNEL_OPEN_FAILURE,
    OPEN_UNKNOWN_CHANNEL_TYPE,
    SSHConnection,
)
from twisted.conch.ssh.factory import SSHFactory
from twisted.conch.ssh.keys import Key
from twisted.conch.ssh.session import SSHSession
from twisted.conch.ssh.transport import SSHServerTransport
from twisted.conch.ssh.userauth import SSHUserAuthServer
from twisted.cred.portal import IRealm, Portal
from twisted.internet.error import ProcessDone
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.python import components
from twisted.python.failure import Failure
from zope.interface import Interface, implementer

from twisted_gantry.manhole.console import Console, Context
from twisted_gantry.manhole.keys import AuthorizedKeys, KeyChecker
from twisted_gantry.net.addresses import host_of
from twisted_gantry.net.budget import Slices
from twisted_gantry.net.slots import Progress, Slot, Slots
from twisted_gantry.net.timers import Timer

_log = Logger(namespace="twisted_gantry.manhole")

# Seconds to log in; tries of a key; size in characters of a terminal that reports none.
LOGIN_PATIENCE = 60
LOGIN_TRIES = 6
WIDTH, HEIGHT = 80, 24
_CTRL_A, _CTRL_C, _CTRL_D, _CTRL_E, _CTRL_H = b"\x01", b"\x03", b"\x04", b"\x05", b"\x08"


class _Terminal(recvline.HistoricRecvLine):
    def __init__(self, context: Context, who: str) -> None:
        self._context, self._who = context, who
        self._prompting = False
        self._letter = b""  # the first bytes of a non-ASCII letter
        self.console: Console | None = None

    def connectionMade(self) -> None:
        super().connectionMade()  # type: ignore[no-untyped-call]
        self.keyHandlers |= {
            _CTRL_A: self.handle_HOME,
            _CTRL_C: self._interrupt,
            _CTRL_D: self._end,
            _CTRL_E: self.handle_END,
            _CTRL_H: self.handle_BACKSPACE,
        }
        self.console = Console(self._context, self._who, self)

    def initializeScreen(self) -> None:  # noqa: N802
        """Keep the contents of the screen: the default clears it."""
        self.setInsertMode()  # type: ignore[no-untyped-call]

    def terminalSize(self, width: int, height: int) -> None:  # noqa: N802
        self.width, self.height = width, height

    def keystrokeReceived(self, keyID: Any, modifier: Any) -> None:  # noqa: N802, N803
        """Take a key; a non-ASCII letter comes in several bytes."""
        if not isinstance(keyID, bytes) or keyID < b"\x80":
            self._letter = b""
            if keyID in self.keyHandlers or keyID in self._printableChars:
                super().keystrokeReceived(keyID, modifier)  # type: ignore[no-untyped-call]
            return
        self._letter += keyID
        try:
            self._letter.decode()
        except UnicodeDecodeError as error:
            if error.reason == "unexpected end of data":
                return
        else:
            self.characterReceived(self._letter, False)  # type: ignore[no-untyped-call]
        self._letter = b""

    def lineReceived(self, line: bytes) -> None:
        self._prompting = False
        if self.console is not None:
            self.console.enter(line.decode("utf-8", "replace"))

    def _interrupt(self) -> None:
        self.lineBuffer, self.lineBufferIndex = [], 0
        self._prompting = False
        self.terminal.nextLine()
        if self.console is not None:
            self.console.interrupt()

    def _end(self) -> None:
        if not self.lineBuffer and self.console is not None:
            self.console.end()

    def say(self, text: str) -> None:
        if self._prompting:
            self.terminal.write(b"\r\x1b[K")
        self.terminal.write(text.encode())
        if self._prompting:
            self._draw()

    def prompt(self, *, more: bool) -> None:
        self.pn, self._prompting = int(more), True
        self._draw()

    def _draw(self) -> None:
        self.lineBufferIndex = len(self.lineBuffer)
        self.drawInputLine()  # type: ignore[no-untyped-call]

    def leave(self) -> None:
        self.setTypeoverMode()  # type: ignore[no-untyped-call]  # the mode before ours
        self.terminal.loseConnection()


class _Screen(insults.ServerProtocol):
    """The operator's terminal; its contents stay when the session ends."""

    def __init__(self, terminal: _Terminal, proto: Any) -> None:
        super().__init__(lambda: terminal)  # type: ignore[no-untyped-call]
        self._proto = proto

    def loseConnection(self) -> None:  # noqa: N802
        self._proto.processEnded(Failure(ProcessDone(0)))


class _Channel(SSHSession):
    """A session that refuses commands and subsystems."""

    def request_exec(self, data: bytes) -> int:
        return 0

    request_subsystem = request_exec


class _Connection(SSHConnection):
    """Refuses all channels but sessions (port forwarding), without a traceback in the log. This
    service starts when the operator has logged in.
    """

    def serviceStarted(self) -> None:  # noqa: N802
        transport: Any = self.transport
        transport.slot.reached(Progress.PROVED)
        super().serviceStarted()  # type: ignore[no-untyped-call]

    def ssh_CHANNEL_OPEN(self, packet: bytes) -> None:  # noqa: N802
        kind, rest = getNS(packet)
        if kind == SSHSession.name:
            super().ssh_CHANNEL_OPEN(packet)  # type: ignore[no-untyped-call]
            return
        assert self.transport is not None
        refusal = rest[:4] + struct.pack(">L", OPEN_UNKNOWN_CHANNEL_TYPE)
        self.transport.sendPacket(MSG_CHANNEL_OPEN_FAILURE, refusal + NS(b"no such") + NS(b""))


class _Operator(ConchUser):
    """A logged-in operator; `name` is that of the key."""

    def __init__(self, name: str, context: Context) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.name, self.context = name, context
        self.channelLookup[b"session"] = _Channel


@implementer(ISession)
class _Session:
    def __init__(self, operator: _Operator) -> None:
        self._operator = operator
        self._size = (HEIGHT, WIDTH)
        self._terminal: _Terminal | None = None

    def getPty(self, term: bytes, windowSize: Any, modes: Any) -> None:  # noqa: N802, N803
        self._size = windowSize[:2]

    def openShell(self, proto: Any) -> None:  # noqa: N802
        operator = self._operator
        peer = operator.conn.transport.transport.getPeer()
        who = f"manhole {getattr(peer, 'host', 'unix')} {operator.name}"
        self._terminal = _Terminal(operator.context, who)
        server = _Screen(self._terminal, proto)
        height, width = self._size
        TerminalSessionTransport(proto, server, operator, width, height)

    def execCommand(self, proto: Any, command: bytes) -> None:  # noqa: N802
        raise ConchError("this is a prompt, and no shell")

    def windowChanged(self, newWindowSize: Any) -> None:  # noqa: N802, N803
        self._size = newWindowSize[:2]
        if self._terminal is not None:
            self._terminal.terminalSize(self._size[1], self._size[0])

    def eofReceived(self) -> None:  # noqa: N802
        if self._terminal is not None and self._terminal.console is not None:
            self._terminal.console.end()

    def closed(self) -> None:
        if self._terminal is not None and self._terminal.console is not None:
            self._terminal.console.closed()


components.registerAdapter(_Session, _Operator, ISession)


@implementer(IRealm)
class _Realm:
    def __init__(self, context: Context) -> None:
        self._context = context

    def requestAvatar(  # noqa: N802
        self,
        avatarId: Any,  # noqa: N803
        mind: object,
        *interfaces: type[Interface],
    ) -> tuple[Any, Any, Any]:
        return IConchUser, _Operator(str(avatarId), self._context), lambda: None


class _Login(SSHUserAuthServer):
    loginTimeout = LOGIN_PATIENCE
    attemptsBeforeDisconnect = LOGIN_TRIES


class _Transport(SSHServerTransport):
    """A connection that must log in in time; odd packets end it without a traceback."""

    factory: "SshFactory"
    transport: Any
    slot: Slot
    _late: Timer | None = None

    def connectionMade(self) -> None:
        self.slot.close = self.transport.abortConnection
        clock = self.factory.context.clock
        self._slices = Slices(clock, self._feed, self.slot.pay, self._flooded)
        self._slices.transport = self.transport
        super().connectionMade()  # type: ignore[no-untyped-call]
        self._late = Timer(self.factory.context.clock, self._too_late)
        self._late.start(LOGIN_PATIENCE)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.factory.open.discard(self)
        self.slot.free()
        self._slices.drop()
        if self._late is not None:
            self._late.cancel()
        super().connectionLost(reason)

    def _too_late(self) -> None:
        if not hasattr(self, "avatar"):
            self.factory.count("late")
            self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        self.slot.reached(Progress.BEGUN)
        self._slices.take(data)

    def _flooded(self) -> None:
        self.slot.flooded()
        self.transport.abortConnection()

    def _feed(self, data: bytes) -> None:
        try:
            super().dataReceived(data)  # type: ignore[no-untyped-call]
        except Exception as error:
            if hasattr(self, "avatar"):  # perhaps a mistake of the manhole
                _log.failure("the manhole failed")
            self.factory.count(f"odd-packet, {type(error).__name__}")
            self.transport.abortConnection()


class SshFactory(SSHFactory):
    noisy = False
    protocol = _Transport
    services = {b"ssh-userauth": _Login, b"ssh-connection": _Connection}  # noqa: RUF012 - conch's way

    def __init__(self, context: Context, keys: AuthorizedKeys, key: Key, slots: Slots) -> None:
        self.context, self._slots = context, slots
        self.portal = Portal(_Realm(context), [KeyChecker(keys)])
        self.publicKeys = self.privateKeys = {key.sshType(): key}
        self.open: set[_Transport] = set()
        self._counts: Counter[str] = Counter()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        slot = self._slots.admit(host_of(addr))
        if slot is None:
            return None
        protocol: Any = super().buildProtocol(addr)
        protocol.slot = slot
        self.open.add(protocol)
        return protocol

    def count(self, event: str) -> None:
        """Count an error before a login; each kind is logged once."""
        if not self._counts[event]:
            _log.warn("at the manhole: {event}; logged once", event=event)
        self._counts[event] += 1

    def close(self) -> None:
        for session in list(self.open):
            session.transport.abortConnection()
