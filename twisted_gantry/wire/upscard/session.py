"""A conversation with a UPS card: one command in flight, over any transport.

The order of events is the table in `_build`; the sentences beside the states say what holds there.
Decisions: `docs/protocols/ups-card.md` ("One command in flight per card ...").
"""

import math
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from automat import TypeMachineBuilder

from twisted_gantry.wire.clock import Clock, Timer
from twisted_gantry.wire.errors import CannotEncode, WireError
from twisted_gantry.wire.numbers import unpadded, whole
from twisted_gantry.wire.quote import quote
from twisted_gantry.wire.upscard import messages

# A session number is not used again within this many commands.
REMEMBERED_SESSIONS = 1000
# The most commands that wait behind the one in flight.
MAX_QUEUE = 32
# Seconds before a BUSY card is asked again: doubled each time, and never past the deadline.
BUSY_PAUSE = 0.2
# Seconds in which the awaited reply may still follow one that cannot be read.
GRACE = 0.5
REPEATABLE = frozenset({"QAD", "RTD"})
"""The queries of the document: executing one twice changes nothing."""


class NoReply(Exception):
    """No reply in time, or the link was lost before it: the outcome is unknown."""


class Odd(Enum):
    """What came instead of the awaited reply."""

    UNREADABLE = "an object that cannot be read"
    NO_OBJECT = "bytes that are no JSON object"
    OTHER_CARD = "the reply of another card"
    OTHER_REPLY = "a reply to something else"


class Unread(NoReply):
    """A reply came, and could not be read or was not the awaited one: the outcome is unknown. The
    text says why, and quotes the reply without passwords, as `quoted` does alone.
    """

    def __init__(self, why: str, odd: Odd = Odd.OTHER_REPLY, quoted: str = "") -> None:
        super().__init__(why)
        self.odd, self.quoted = odd, quoted


class StayedBusy(NoReply):
    """The card answered nothing but BUSY (201) until the deadline."""


class NotSent(Exception):
    """The command was not sent: no link, a full queue, or text that the card would refuse."""


class Unreachable(NotSent):
    """The command was not sent: the card cannot be reached, or takes no commands."""


Ending = messages.Reply | NoReply | NotSent


@dataclass(eq=False)
class Exchange:
    """One command; `ended` is called once, with its ending. `deadline` is the seconds for the
    whole, BUSY retries included, from the first transmission; `patience` those for one reply. An
    exchange that is `withdrawn` in the queue, or while the card is BUSY, is not sent. Neither is
    one whose turn comes at `until` or later, seconds of the clock. One that is `ahead` waits only
    behind others that are.
    """

    cmd: str
    ended: Callable[[Ending], None]
    deadline: float = 5.0
    patience: float = 5.0
    ahead: bool = False
    new_password: str | None = field(default=None, repr=False)  # it may be logged
    withdrawn: bool = False
    until: float = math.inf
    session: str = ""
    expires: float | None = None


class SessionInputs(Protocol):
    """What can happen to a session."""

    def opened(self) -> None:
        """The link is up."""

    def closed(self) -> None:
        """The link is gone."""

    def submit(self, exchange: Exchange) -> None:
        """A command is to be sent."""

    def answered(self, reply: messages.Reply) -> None:
        """The outstanding command has its reply."""

    def busy(self) -> None:
        """The card asks for patience (201)."""

    def resend(self) -> None:
        """The pause after a BUSY is over."""

    def silent(self) -> None:
        """The time for the reply, or for the whole command, is over."""

    def undelivered(self, ending: NoReply | NotSent) -> None:
        """No reply will come to the current command: it is not sent, cannot be, or was lost."""


@dataclass(eq=False)
class SessionCore:
    """The memory of a session and its actions."""

    transmit: Callable[[bytes], None]
    clock: Clock
    new_session: Callable[[], str]
    password: Callable[[], str | None]
    host: str | None = None
    unfinished: Callable[[], bytes] = bytes
    take: Callable[[bytes], None] = field(default=lambda frame: None, repr=False)
    current: Exchange | None = None
    odd: Unread | None = None
    """What came instead of the awaited reply."""
    until: float = 0.0
    """The end of the time for the reply, by the clock."""
    sent: bool = True
    """Whether the card may have read the current command."""
    missed: set[str] = field(default_factory=set)
    """The commands of this connection whose replies may still come."""
    queue: deque[Exchange] = field(default_factory=deque)
    timer: Timer | None = None
    pause: float = BUSY_PAUSE
    uid: str | None = None
    recent: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def after(self, delay: float, call: Callable[[], None]) -> None:
        self.stop_timer()

        def due() -> None:
            self.timer = None
            call()

        self.timer = self.clock.callLater(delay, due)

    def stop_timer(self) -> None:
        timer, self.timer = self.timer, None
        if timer is not None:
            timer.cancel()

    def remember(self, session: str, what: str) -> None:
        self.recent[session] = what
        while len(self.recent) > REMEMBERED_SESSIONS:
            del self.recent[next(iter(self.recent))]

    @property
    def is_awaiting(self) -> bool:
        return self.current is not None and self.recent.get(self.current.session) == "outstanding"


def start(machine: SessionInputs, core: SessionCore, exchange: Exchange) -> None:
    core.current, core.pause = exchange, BUSY_PAUSE
    exchange.expires = core.clock.seconds() + exchange.deadline
    again(machine, core)


def again(machine: SessionInputs, core: SessionCore) -> None:
    exchange = core.current
    assert exchange is not None
    assert exchange.expires is not None
    if exchange.withdrawn:
        machine.undelivered(NotSent("given up while the card was BUSY"))
        return
    if core.clock.seconds() >= exchange.until:
        machine.undelivered(NotSent("it expired before its turn"))
        return
    while (session := core.new_session()) and _key(session) in core.recent:
        pass
    exchange.session = _key(session)
    old, new, cmd = core.password(), exchange.new_password, exchange.cmd
    command = messages.CardCommand(
        session=session, password=old, new_password=new, host=core.host, cmd=cmd
    )
    try:
        data = command.encode()
    except CannotEncode as error:
        machine.undelivered(NotSent(str(error)))
        return
    core.remember(exchange.session, "outstanding")
    now = core.clock.seconds()
    core.odd, core.until = None, min(now + exchange.patience, exchange.expires)
    wait(machine, core)
    core.transmit(data)


def wait(machine: SessionInputs, core: SessionCore) -> None:
    """Wait for the reply until `until`. An object that is not finished by then is taken as it is:
    its end may have been lost.
    """

    def over() -> None:
        exchange, rest = core.current, core.unfinished()
        if rest:
            core.take(rest)
        if core.current is exchange and core.is_awaiting:
            machine.silent()

    core.after(max(core.until - core.clock.seconds(), 0.0), over)


def pause(machine: SessionInputs, core: SessionCore) -> None:
    """Pause after a BUSY; a deadline within the pause ends the exchange."""
    exchange = core.current
    assert exchange is not None
    assert exchange.expires is not None
    core.counts["busy"] += 1
    core.remember(exchange.session, "answered")
    left = exchange.expires - core.clock.seconds()
    if core.pause < left:
        core.after(core.pause, machine.resend)
    else:
        core.after(max(left, 0.0), machine.silent)
    core.pause *= 2


def queue(machine: SessionInputs, core: SessionCore, exchange: Exchange) -> None:
    """Queue `exchange`, in order within those that are ahead and those that are not."""
    if len(core.queue) >= MAX_QUEUE:
        core.counts["queue-full"] += 1
        exchange.ended(NotSent(f"{MAX_QUEUE} commands wait already"))
        return
    place = len(core.queue)
    if exchange.ahead:
        place = sum(1 for waiting in core.queue if waiting.ahead)
    core.queue.insert(place, exchange)


def end(machine: SessionInputs, core: SessionCore, ending: Ending, became: str) -> None:
    exchange, core.current = core.current, None
    assert exchange is not None
    core.stop_timer()
    core.remember(exchange.session, became)
    while core.queue:
        following = core.queue.popleft()
        if not following.withdrawn:
            machine.submit(following)
            break
    exchange.ended(ending)


def down(machine: SessionInputs, core: SessionCore) -> None:
    """End everything: the one in flight is lost, the others never left."""
    core.stop_timer()
    exchange, core.current = core.current, None
    waiting = list(core.queue)
    core.queue.clear()
    if exchange is not None:
        core.remember(exchange.session, "missed")
        lost = NoReply("the link was lost before the reply came")
        exchange.ended(lost if core.sent else NotSent("the link was lost"))
    for each in waiting:
        each.ended(NotSent("the link was lost"))


def _build() -> Callable[[SessionCore], SessionInputs]:
    builder = TypeMachineBuilder(SessionInputs, SessionCore)

    closed = builder.state("Closed")
    """No link. Commands end at once, unsent."""
    idle = builder.state("Idle")
    """A link, nothing in flight, nothing queued."""
    waiting = builder.state("Waiting")
    """One command is sent, and its reply awaited. Others queue."""
    paused = builder.state("Paused")
    """The card said BUSY; the command is sent again when the pause is over. Others queue."""

    closed.upon(SessionInputs.closed).loop().returns(None)
    for state in (closed, idle, paused):
        state.upon(SessionInputs.answered).loop().returns(None)
        state.upon(SessionInputs.busy).loop().returns(None)
        state.upon(SessionInputs.undelivered).loop().returns(None)
    idle.upon(SessionInputs.submit).to(waiting)(start)
    for state in (waiting, paused):
        state.upon(SessionInputs.submit).loop()(queue)
    waiting.upon(SessionInputs.busy).to(paused)(pause)
    paused.upon(SessionInputs.resend).to(waiting)(again)
    for state in (idle, waiting, paused):
        state.upon(SessionInputs.closed).to(closed)(down)

    @closed.upon(SessionInputs.opened).to(idle)
    def up(machine: SessionInputs, core: SessionCore) -> None:
        core.uid = None  # another card may be at this address
        core.missed.clear()

    @closed.upon(SessionInputs.submit).loop()
    def refuse(machine: SessionInputs, core: SessionCore, exchange: Exchange) -> None:
        exchange.ended(NotSent("not connected"))

    @waiting.upon(SessionInputs.answered).to(idle)
    def finish(machine: SessionInputs, core: SessionCore, reply: messages.Reply) -> None:
        end(machine, core, reply, "answered")

    @waiting.upon(SessionInputs.silent).to(idle)
    def miss(machine: SessionInputs, core: SessionCore) -> None:
        core.counts["missed"] += 1
        assert core.current is not None
        core.missed.add(_bare(core.current.cmd))
        end(machine, core, core.odd or NoReply("no reply in time"), "missed")

    @waiting.upon(SessionInputs.undelivered).to(idle)
    def skip(machine: SessionInputs, core: SessionCore, ending: NoReply | NotSent) -> None:
        end(machine, core, ending, "missed" if isinstance(ending, NoReply) else "unsent")

    @paused.upon(SessionInputs.silent).to(idle)
    def give_up(machine: SessionInputs, core: SessionCore) -> None:
        end(machine, core, StayedBusy("the card stayed BUSY (201)"), "answered")

    return builder.build()


_machine = _build()


class Session:
    """The client's side of the conversation, driven by a transport. `transmit` takes the bytes of
    one command; `host` is the URL for results, over HTTP. `unfinished` returns and forgets the
    beginning of an object that the transport has. `counts` counts late, duplicate, foreign,
    unknown, malformed, repaired and missed replies, and BUSY answers. A transport that will get no
    reply to its last command calls `undelivered`.
    """

    def __init__(
        self,
        transmit: Callable[[bytes], None],
        clock: Clock,
        new_session: Callable[[], str],
        password: Callable[[], str | None],
        host: str | None = None,
        unfinished: Callable[[], bytes] = bytes,
    ) -> None:
        self._core = SessionCore(
            transmit, clock, new_session, password, host, unfinished, self.received
        )
        self._machine = _machine(self._core)
        self.opened = self._machine.opened
        self.submit = self._machine.submit
        self.undelivered = self._machine.undelivered

    @property
    def counts(self) -> Counter[str]:
        return self._core.counts

    @property
    def uid(self) -> str:
        """The `uid` of the card, empty before its first reply."""
        return self._core.uid or ""

    @property
    def cmd(self) -> str:
        """The command in flight, or about to be sent; empty if there is none."""
        return "" if self._core.current is None else self._core.current.cmd

    @property
    def in_flight(self) -> bool:
        return self._core.current is not None

    def knows(self, session: str | None) -> bool:
        """Tell whether `session` is the number of one of the last commands."""
        return session is not None and _key(session) in self._core.recent

    @property
    def is_awaiting(self) -> bool:
        """Whether a command was transmitted, and its reply did not come yet."""
        return self._core.is_awaiting

    @property
    def is_repeatable(self) -> bool:
        """Whether the current command may be executed twice."""
        current = self._core.current
        return current is None or (current.cmd in REPEATABLE and current.new_password is None)

    @property
    def is_expired(self) -> bool:
        """Whether the current command may no longer be sent."""
        current = self._core.current
        return current is not None and self._core.clock.seconds() >= current.until

    def closed(self, *, sent: bool = True) -> None:
        """End all commands; `sent`: the card may have read the current one."""
        self._core.sent = sent
        self._machine.closed()

    def received(self, frame: bytes) -> None:
        """Take one object from the card. No content raises an error."""
        try:
            read = messages.read_reply(frame)
        except WireError as error:
            self._core.counts["malformed"] += 1
            self._odd(Odd.UNREADABLE, f"the reply cannot be read: {error}", frame, hurry=True)
        else:
            self._take(read)

    def skipped(self, junk: bytes) -> None:
        """Note bytes from the card that belong to no object: if no reply follows, they were it."""
        self._odd(Odd.NO_OBJECT, "what came is no JSON object", junk, hurry=False)

    def offered(self, frame: bytes) -> bool:
        """Take an object from anybody, with a session of ours; returns whether it was awaited."""
        try:
            read = messages.read_reply(frame)
        except WireError as error:
            self._odd(Odd.UNREADABLE, f"the result cannot be read: {error}", frame, hurry=False)
            return False
        if read.reply.session is None:
            self._odd(Odd.OTHER_REPLY, "a result without a session came", frame, hurry=False)
        elif not self.knows(read.reply.session):
            self._odd(Odd.OTHER_REPLY, "a result of another session came", frame, hurry=False)
        return self.knows(read.reply.session) and self._take(read)

    def _odd(self, odd: Odd, why: str, frame: bytes = b"", *, hurry: bool) -> None:
        """Note why what came is not the awaited reply. `hurry`: it came in its place, and the
        right one is awaited for GRACE at the most.
        """
        core = self._core
        if not core.is_awaiting or core.current is None:
            return
        hidden = [core.password(), core.current.new_password]
        quoted = quote(frame, hidden) if frame else ""
        told = f"{why}; it is {quoted}" if quoted else why
        core.odd = core.odd or Unread(told, odd, quoted)
        if hurry:
            core.until = min(core.until, core.clock.seconds() + GRACE)
            wait(self._machine, core)

    def _take(self, read: messages.ReadReply) -> bool:
        reply, core = read.reply, self._core
        stray, current = self._stray(reply), core.current
        if stray is not None or current is None:
            core.counts[stray or "unknown"] += 1
            return False
        if read.repairs:
            core.counts["repaired"] += 1
        core.recent[current.session] = "answered"  # any further reply is a duplicate
        if isinstance(reply, messages.CardRefusal) and reply.result == messages.ErrorCode.BUSY:
            self._machine.busy()
        else:
            if reply.uid is not None:
                core.uid = _key(reply.uid)
            self._machine.answered(reply)
        return True

    def _stray(self, reply: messages.Reply) -> str | None:
        """Return what is wrong with `reply`, None for the awaited one."""
        core, current = self._core, self._core.current
        session = None if reply.session is None else _key(reply.session)
        # A reply may name no session: it belongs to the one command in flight.
        if current is None or session not in (None, current.session):
            known = core.recent.get(session or "", "")
            if not known:
                why = f"a reply to session {(session or '')[:20]!r} came"
                self._odd(Odd.OTHER_REPLY, why, hurry=False)
            return {"missed": "late", "answered": "duplicate"}.get(known, "unknown")
        if not core.is_awaiting:
            return "duplicate"  # a second BUSY while the pause runs
        if core.uid is not None and reply.uid is not None and _key(reply.uid) != core.uid:
            why = f"a reply of another card came, {reply.uid[:20]!r}"
            self._odd(Odd.OTHER_CARD, why, hurry=True)
            return "foreign"
        if isinstance(reply, messages.CardRefusal):
            return None
        cmd = None if reply.cmd is None else _bare(reply.cmd)
        if cmd not in (None, _bare(current.cmd)):
            why = f"a reply to {(reply.cmd or '')[:20]!r} came"
            self._odd(Odd.OTHER_REPLY, why, hurry=True)
            return "foreign"
        # Without a session a late reply to the same control would pass for the one to this.
        late = session is None and cmd in core.missed and cmd not in REPEATABLE
        return "foreign" if late else None


def _bare(cmd: str) -> str:
    return str(unpadded(cmd)).strip().upper()


def _key(name: str) -> str:
    """Return a session number or a `uid` in one spelling: `12345678.0` is `12345678`."""
    name = str(unpadded(name)).strip()
    number = whole(name)
    return name if number is None else str(number)
