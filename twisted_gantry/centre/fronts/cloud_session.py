"""One connection of a Fogslink device: lines in, answers out, both bounded.

The order of messages is the table in `wire/fogslink/cloud.py`. Two kinds of lines of a logged-in
device go past the table, for they are nearly all that comes: a heartbeat that is, byte for byte,
one that the table took on this connection, and data in its plain spelling (`wire/fogslink/plain`).
A test holds both ways against each other.

Answers to data come after the commit, in the order of the data. Heartbeats do not wait for them: a
device whose heartbeat is late drops the connection, and a slow disk must not end all sessions.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any
from typing import Protocol as Interface

from twisted.internet import interfaces
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.centre.registry import Entry, digest_of
from twisted_gantry.net import direct
from twisted_gantry.net.slots import Progress, Slot
from twisted_gantry.wire.errors import CannotEncode
from twisted_gantry.wire.fogslink import messages
from twisted_gantry.wire.fogslink.cloud import NO_HEARTBEAT, CloudSession
from twisted_gantry.wire.fogslink.messages import (
    DELIMITER,
    MAX_LINE,
    Configure,
    FogslinkCode,
    Pack,
    PackAnswer,
    Single,
    SingleAnswer,
    encode,
)
from twisted_gantry.wire.fogslink.plain import read_data, taken
from twisted_gantry.wire.frames import whole

IN_FLIGHT = 64
"""Messages of data of one session that wait for their commit; beyond them nothing is read."""
_LONGEST_BEAT = 512  # bytes of a heartbeat that is remembered

# Why a session reads nothing.
_ANSWERS, _WRITING = 1, 2


class Keeper(Interface):
    """The front, as its sessions see it. `thread_time` returns CPU seconds of this thread."""

    clock: IReactorTime
    counts: Counter[str]
    new_key: Callable[[], str]
    thread_time: Callable[[], float]
    unended: "dict[DeviceSession, float]"

    def ready(self) -> bool: ...  # whether the registry is known
    def account(self, eq_sn: str) -> Entry | None: ...
    def put(self, message: Pack | Single, gantry: str, body: bytes) -> Deferred[object]: ...
    def not_stored(self) -> None: ...
    def settle(self, session: "DeviceSession") -> None: ...  # soon, once for all that was stored
    def refused(self) -> None: ...  # data that was answered with 9
    def logged_in(self, session: "DeviceSession") -> None: ...
    def configured(self, session: "DeviceSession", message: messages.Configured) -> None: ...
    def left(self, session: "DeviceSession") -> None: ...


class _Due:
    """The answer to a message of data: to be sent, in its turn, once `told`; None for none."""

    __slots__ = ("answer", "told")

    def __init__(self, answer: bytes | None, told: bool = False) -> None:
        self.answer, self.told = answer, told


@implementer(interfaces.IPushProducer)
class DeviceSession(Protocol):
    """The session of one device. `entry` is its gantry once it is logged in."""

    def __init__(self, keeper: Keeper, slot: Slot) -> None:
        self.entry: Entry | None = None
        self.number = 0
        self.since = 0.0
        self.heard_at = keeper.clock.seconds()
        self._keeper, self._slot = keeper, slot
        self._machine = CloudSession(self, keeper.new_key, keeper.counts)
        self._rest = b""
        self._lines: list[bytes] = []  # that wait while nothing is read
        self._due: list[_Due] = []
        self._out: list[bytes] | None = None  # the answers of the read under way
        self._beat: bytes | None = None
        self._beaten = b""
        self._held = 0
        self._over = self._finishing = self._was_heard = self._settling = False

    @property
    def eq_sn(self) -> str:
        return self._machine.eq_sn

    @property
    def gantry(self) -> str:
        """The id of the gantry; empty before the login."""
        return "" if self.entry is None else self.entry.gantry.id

    @property
    def pending(self) -> int:
        """Messages of data that wait for their commit, or for an answer before theirs."""
        return len(self._due)

    # -- the connection

    def connectionMade(self) -> None:
        transport: Any = self.transport
        if hasattr(transport, "setTcpNoDelay"):
            transport.setTcpNoDelay(True)
        transport.registerProducer(self, True)
        self._slot.close = self.abortConnection
        self._machine.opened()

    def dataReceived(self, data: bytes) -> None:
        if self._over or self._finishing:
            return
        lines = (self._rest + data if self._rest else data).split(DELIMITER)
        rest = self._rest = lines.pop()
        if not rest:
            self._keeper.unended.pop(self, None)
        elif len(rest) > MAX_LINE:
            self.cut("too-long")
            return
        else:
            self._keeper.unended.setdefault(self, self._keeper.clock.seconds())
        if self._held:
            self._lines += lines
        elif self.entry is not None:
            self._take(lines)
        else:
            self._take_of_stranger(lines)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._over = True
        self._due, self._lines, self._rest = [], [], b""
        self._machine.closed()
        self._slot.free()
        self._keeper.left(self)

    def abortConnection(self) -> None:
        """Close at once; what is not sent yet is lost."""
        self._over = True
        transport: Any = self.transport
        transport.abortConnection()

    def cut(self, reason: str) -> None:
        """End the session for a reason that the machine does not know."""
        if not self._over:
            self._keeper.counts[reason] += 1
            self._machine.closed()
            self.drop(reason)

    def configure(self, message: Configure) -> None:
        """Send a configuration; nothing happens to a session that is not logged in."""
        if self._machine.online and not self._over:
            self._machine.configure(message)

    # -- lines

    def _take_of_stranger(self, lines: list[bytes]) -> None:
        """Take lines before the login: their CPU time is bounded."""
        if not lines:
            self._slot.reached(Progress.BEGUN)
            return
        began = self._keeper.thread_time()
        self._slot.reached(Progress.WHOLE)
        self._take(lines)
        if not self._over and not self._slot.pay(self._keeper.thread_time() - began):
            self._slot.flooded()
            self.abortConnection()

    def _take(self, lines: list[bytes]) -> None:
        """Take whole lines; their answers leave in one write."""
        out = self._out = []
        for at, line in enumerate(lines, 1):
            if line == self._beat:
                self.heard_at = self._keeper.clock.seconds()
                out.append(self._beaten)
                continue
            self._line(line)
            if self._over:
                return
            if len(self._due) >= IN_FLIGHT:
                self._lines = lines[at:]
                self._hold(_ANSWERS)
                break
        self._flush()

    def _line(self, line: bytes) -> None:
        message = None if self.entry is None else read_data(line)
        if message is not None and self._is_whole(message):
            self._put(message, line)
            return
        if len(line) > MAX_LINE:
            self.cut("too-long")
            return
        if not self._keeper.ready():  # nobody can be told from a stranger: no code is right
            self.cut("not-ready")
            return
        repaired, self._was_heard = self._keeper.counts["repaired"], False
        self._machine.received(line)
        if self._over or not self._machine.online:
            return
        if self.entry is None:
            self._log_in()
        # Two braces make one message, so that the line is a heartbeat and nothing else.
        one = self._was_heard and line.count(b"{") == 2 and len(line) <= _LONGEST_BEAT
        if one and self._keeper.counts["repaired"] == repaired:
            self._beat = line
            self._beaten = encode(messages.HeartbeatAnswer(eq_sn=self._machine.eq_sn))

    def _is_whole(self, message: Pack | Single) -> bool:
        """Tell whether the machine would take a message."""
        if message.eq_sn != self._machine.eq_sn:
            return False
        return isinstance(message, Single) or message.total_size == len(message.eq_data)

    def _log_in(self) -> None:
        self.entry = self._keeper.account(self._machine.eq_sn)
        if self.entry is None:  # it left the registry within this very line
            self.cut("revoked")
            return
        self._slot.reached(Progress.PROVED)
        self._keeper.logged_in(self)

    def take_rest(self) -> None:
        """Take what is whole of a line whose end does not come."""
        if self._over or self._held:
            return
        began = self._keeper.thread_time()
        length = whole(self._rest)
        if self.entry is None and not self._slot.pay(self._keeper.thread_time() - began):
            self._slot.flooded()
            self.abortConnection()
        elif length:
            line, self._rest = self._rest[:length], self._rest[length:]
            self._take([line])

    def overdue(self) -> None:
        """Look at a session without a heartbeat for SILENCE seconds."""
        if self._over:
            self.abortConnection()  # its peer does not read
        elif not self._held & _ANSWERS:  # else it is not heard, because it is not read
            self._machine.silent()

    # -- data

    def _put(self, message: Pack | Single, body: bytes) -> None:
        due = _Due(taken(message, self._machine.eq_sn))
        self._due.append(due)
        stored = self._keeper.put(message, self.gantry, body)
        stored.addCallbacks(self._stored, self._not_stored, callbackArgs=(due,), errbackArgs=(due,))

    def _stored(self, _: object, due: _Due) -> None:
        due.told = True
        self._settle_soon()

    def _not_stored(self, failure: Failure, due: _Due) -> None:
        """Give no answer: the device sends the same pack again, and never gives it up, as it would
        after ten answers of 9.
        """
        self._keeper.not_stored()
        due.answer, due.told = None, True
        self._settle_soon()

    def _settle_soon(self) -> None:
        """Answer together what is committed together."""
        if self._out is not None:  # committed at once: the answer leaves with those of the read
            self.settle()
        elif not self._settling:
            self._settling = True
            self._keeper.settle(self)

    def settle(self) -> None:
        """Send the answers whose turn has come."""
        self._settling = False
        due = self._due
        ready = 0
        while ready < len(due) and due[ready].told:
            ready += 1
        answers = [each.answer for each in due[:ready] if each.answer is not None]
        del due[:ready]
        if self._over:
            return
        if answers:
            if self._out is not None:
                self._out += answers
            else:
                direct.write(self.transport, b"".join(answers))
        if self._finishing and not due:
            self.cut("stopped")
        elif self._held & _ANSWERS and len(due) <= IN_FLIGHT // 2:
            self._release(_ANSWERS)

    # -- what the machine does and asks

    def transmit(self, answer: messages.Response) -> None:
        try:
            line = encode(answer)
        except CannotEncode:  # it echoes what the device sent
            self._keeper.counts["malformed"] += 1
            return
        if isinstance(answer, PackAnswer | SingleAnswer):
            self._keeper.refused()
            if self._due:
                self._due.append(_Due(line, told=True))
                return
        if self._out is not None:
            self._out.append(line)
        else:
            direct.write(self.transport, line)

    def drop(self, reason: str) -> None:
        """Close the connection after the waiting messages; at once for a silent peer."""
        transport: Any = self.transport
        self._flush()
        self._over = True
        if reason == NO_HEARTBEAT:
            transport.abortConnection()
        else:
            transport.unregisterProducer()
            transport.loseConnection()

    def heard(self) -> None:
        self.heard_at, self._was_heard = self._keeper.clock.seconds(), True

    def knows(self, eq_sn: str) -> bool:
        return self._keeper.account(eq_sn) is not None

    def accepts(self, eq_sn: str, api_key: str) -> bool:
        given = digest_of(api_key)  # always, so that an unknown device takes as long
        entry = self._keeper.account(self._machine.eq_sn)
        return entry is not None and entry.has_key(given)

    def take_pack(self, pack: Pack) -> str | None:
        return None if self._put_again(pack) else FogslinkCode.FAILED

    def take_single(self, single: Single) -> None:
        self._put_again(single)

    def _put_again(self, message: Pack | Single) -> bool:
        """Store data that came in an odd spelling, in the plain one; False if there is none."""
        try:
            body = encode(message)[: -len(DELIMITER)]
        except CannotEncode:
            self._keeper.counts["malformed"] += 1
            return False
        self._put(message, body)
        return True

    def configured(self, message: messages.Configured) -> None:
        self._keeper.configured(self, message)

    # -- flow

    def _flush(self) -> None:
        out, self._out = self._out, None
        if out:
            direct.write(self.transport, b"".join(out))

    def finish(self) -> None:
        """Take nothing any more, and close once what waits for its commit is answered."""
        self._finishing = True
        self._lines, self._rest = [], b""
        if not self._due:
            self.cut("stopped")

    def _hold(self, why: int) -> None:
        if not self._held:
            transport: Any = self.transport
            transport.pauseProducing()
        self._held |= why

    def _release(self, why: int) -> None:
        self._held &= ~why
        if self._held or self._over:
            return
        self.heard_at = self._keeper.clock.seconds()
        lines, self._lines = self._lines, []
        self._take(lines)
        if not self._held and not self._over:
            transport: Any = self.transport
            transport.resumeProducing()

    def pauseProducing(self) -> None:  # noqa: N802 - interfaces.IPushProducer's
        """Read nothing while the peer does not read; without heartbeats it is then let go."""
        self._hold(_WRITING)

    def resumeProducing(self) -> None:  # noqa: N802 - interfaces.IPushProducer's
        self._release(_WRITING)

    def stopProducing(self) -> None:  # noqa: N802 - interfaces.IPushProducer's
        """Nothing to do: the connection is going."""
