"""The device's side of a Fogslink session: login, heartbeats, one message of data at a time.

The order of events is the table in `_build`; the sentences beside the states say what holds there.
Source: the Fogslink document; decisions: `docs/protocols/fogslink.md` ("The client is a state
machine ...").
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from automat import TypeMachineBuilder

from twisted_gantry.wire.clock import Clock, Timer
from twisted_gantry.wire.errors import WireError
from twisted_gantry.wire.fogslink import messages
from twisted_gantry.wire.fogslink.messages import Configure, Configured, FogslinkCode, encode

# Seconds.
HEARTBEAT = 3.0
HEARTBEAT_PATIENCE = 10.0  # without a `res100` for so long the connection is dropped
HANDSHAKE_PATIENCE = 10.0
"""From the connection to the `res002`; the cloud itself gives up after ten seconds."""
DATA_PATIENCE = 5.0
PAUSES = (1.0, 60.0)
"""The first and the longest pause before a reconnection, both times a jitter of 0.5 to 1.

A cloud that is down is asked at most seven times in the first minute, then twice a minute.
"""
REFUSED_PAUSES = (60.0, 600.0)
"""The pauses after a refused login: with the jitter the first is 30 s at the least."""
_MAX_KEY = 1000  # characters: it is sent in every heartbeat


class Ending(Enum):
    """How a message of data ended."""

    TAKEN = "8"
    FAILED = "9"
    SILENT = "no answer in time"
    LOST = "the connection was lost"


_ENDINGS: Mapping[str, Ending] = {
    FogslinkCode.RECEIVED: Ending.TAKEN,
    FogslinkCode.FAILED: Ending.FAILED,
}
# Which credential is wrong, by the code of the answer.
_WRONG: Mapping[str, str] = {
    FogslinkCode.NO_DEVICE: "eq_sn",
    FogslinkCode.NOT_AUTHENTICATED: "api_key",
}


@dataclass(eq=False)
class Parcel:
    """One message of data; `ended` is called once. `answer_to` is what its answer names: the
    `packID` of a pack, the channel of a single value.
    """

    line: bytes
    answer_to: str
    single: bool
    ended: Callable[[Ending], None]


@dataclass(frozen=True)
class LoginRefusal:
    """The cloud refuses the login: `credential` is the wrong one, `eq_sn` or `api_key`."""

    code: str
    credential: str


class ClientOwner(Protocol):
    """What a session acts through, and reports to."""

    def transmit(self, line: bytes) -> None: ...  # send a line
    def drop(self, reason: str) -> None: ...  # cut the connection; `closed` is to follow
    def online(self) -> None: ...  # the cloud has authenticated us
    def refused(self, refusal: LoginRefusal) -> None: ...  # the drop follows
    def configure(self, message: Configure) -> None: ...  # as the cloud wants
    def malformed(self, reason: str) -> None: ...  # the cloud sent what cannot be read


class ClientInputs(Protocol):
    """What can happen to a session."""

    def opened(self) -> None:
        """The link is up."""

    def closed(self) -> None:
        """The link is gone."""

    def identified(self, message: str) -> None:
        """`res001` knows us, and gives the `tKey`."""

    def authenticated(self) -> None:
        """`res002` lets us in."""

    def refused(self, message: LoginRefusal) -> None:
        """`res001` or `res002` does not."""

    def submit(self, parcel: Parcel) -> None:
        """A message of data is to be sent."""

    def ended(self, ending: Ending) -> None:
        """The message in flight has its answer."""

    def silent(self) -> None:
        """The time for that answer is over."""

    def configure(self, message: Configure) -> None:
        """`res300`."""

    def say(self, message: Configured) -> None:
        """A configuration is to be acknowledged."""

    def beat(self) -> None:
        """A heartbeat is due."""

    def beaten(self) -> None:
        """`res100`."""

    def overdue(self, what: str) -> None:
        """The cloud has been silent for too long."""


@dataclass(eq=False)
class ClientCore:
    """The memory of a session, and its actions."""

    owner: ClientOwner
    clock: Clock
    eq_sn: str
    api_key: Callable[[], str] = field(repr=False)
    t_key: str = field(default="", repr=False)
    identifying: bool = False
    online: bool = False
    parcel: Parcel | None = None
    odd: str = ""
    """What came in place of what is awaited."""
    nameless: bool = False
    """Whether an answer to data without a number was taken on this connection."""
    heard: bool = False
    """Whether a message could be read on this connection."""
    silent: bool = False
    """Whether an answer to data may still come late on this connection."""
    timers: dict[str, Timer] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def after(self, name: str, delay: float, call: Callable[[], None]) -> None:
        """Set the timer `name`, anew if it runs."""
        self.stop_timer(name)

        def due() -> None:
            del self.timers[name]
            call()

        self.timers[name] = self.clock.callLater(delay, due)

    def stop_timer(self, name: str) -> None:
        timer = self.timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def watch(self, machine: ClientInputs) -> None:
        self.after("patience", HEARTBEAT_PATIENCE, lambda: machine.overdue("heartbeat"))

    def beat(self, machine: ClientInputs) -> None:
        self.after("heartbeat", HEARTBEAT, machine.beat)
        self.owner.transmit(encode(messages.Heartbeat(eq_sn=self.eq_sn, t_key=self.t_key)))

    def end(self, ending: Ending) -> None:
        self.stop_timer("silence")
        parcel, self.parcel = self.parcel, None
        assert parcel is not None
        parcel.ended(ending)

    def reset(self) -> None:
        self.identifying = self.online = self.nameless = self.silent = False
        self.t_key = self.odd = ""
        for name in list(self.timers):
            self.stop_timer(name)


def _build() -> Callable[[ClientCore], ClientInputs]:  # noqa: C901 - one table
    builder = TypeMachineBuilder(ClientInputs, ClientCore)

    connecting = builder.state("Connecting")
    """No link."""
    identifying = builder.state("Identifying")
    """`req001` is out."""
    authenticating = builder.state("Authenticating")
    """`req002` is out."""
    online = builder.state("Online")
    """Authenticated, heartbeats go, no data is in flight."""
    sending = builder.state("Sending")
    """Online, and one message of data is out: its 8, its 9 or its silence is next."""
    ending = builder.state("Ending")
    """The connection is being dropped; nothing that still comes counts."""

    @connecting.upon(ClientInputs.opened).to(identifying)
    def identify(machine: ClientInputs, core: ClientCore) -> None:
        core.identifying = True
        core.after("patience", HANDSHAKE_PATIENCE, lambda: machine.overdue("authentication"))
        core.owner.transmit(encode(messages.Identify(eq_sn=core.eq_sn)))

    @identifying.upon(ClientInputs.identified).to(authenticating)
    def authenticate(machine: ClientInputs, core: ClientCore, message: str) -> None:
        core.identifying = False
        core.t_key = message
        core.owner.transmit(encode(messages.Authenticate(eq_sn=core.eq_sn, api_key=core.api_key())))

    @authenticating.upon(ClientInputs.authenticated).to(online)
    def begin(machine: ClientInputs, core: ClientCore) -> None:
        core.online = True
        core.watch(machine)
        core.beat(machine)
        core.owner.online()

    @identifying.upon(ClientInputs.refused).to(ending)
    @authenticating.upon(ClientInputs.refused).to(ending)
    def let_go(machine: ClientInputs, core: ClientCore, message: LoginRefusal) -> None:
        core.reset()
        core.owner.refused(message)
        core.owner.drop(f"refused with code {message.code}")

    @online.upon(ClientInputs.submit).to(sending)
    def send(machine: ClientInputs, core: ClientCore, parcel: Parcel) -> None:
        core.parcel, core.odd = parcel, ""
        core.after("silence", DATA_PATIENCE, machine.silent)
        core.owner.transmit(parcel.line)

    @sending.upon(ClientInputs.ended).to(online)
    def answered(machine: ClientInputs, core: ClientCore, ending: Ending) -> None:
        core.end(ending)

    @sending.upon(ClientInputs.silent).to(online)
    def unanswered(machine: ClientInputs, core: ClientCore) -> None:
        core.silent = True
        core.end(Ending.SILENT)

    @online.upon(ClientInputs.configure).loop()
    @sending.upon(ClientInputs.configure).loop()
    def configure(machine: ClientInputs, core: ClientCore, message: Configure) -> None:
        core.owner.configure(message)

    @online.upon(ClientInputs.say).loop()
    @sending.upon(ClientInputs.say).loop()
    def say(machine: ClientInputs, core: ClientCore, message: Configured) -> None:
        core.owner.transmit(encode(message))

    @online.upon(ClientInputs.beat).loop()
    @sending.upon(ClientInputs.beat).loop()
    def beat(machine: ClientInputs, core: ClientCore) -> None:
        core.beat(machine)

    @online.upon(ClientInputs.beaten).loop()
    @sending.upon(ClientInputs.beaten).loop()
    def beaten(machine: ClientInputs, core: ClientCore) -> None:
        core.watch(machine)

    @identifying.upon(ClientInputs.overdue).to(ending)
    @authenticating.upon(ClientInputs.overdue).to(ending)
    @online.upon(ClientInputs.overdue).to(ending)
    @sending.upon(ClientInputs.overdue).to(ending)
    def give_up(machine: ClientInputs, core: ClientCore, what: str) -> None:
        core.counts[f"no-{what}"] += 1
        odd = f"; {core.odd}" if core.odd else ""
        core.owner.drop(f"the cloud does not answer the {what}{odd}")
        core.reset()

    @identifying.upon(ClientInputs.closed).to(connecting)
    @authenticating.upon(ClientInputs.closed).to(connecting)
    @online.upon(ClientInputs.closed).to(connecting)
    @sending.upon(ClientInputs.closed).to(connecting)
    @ending.upon(ClientInputs.closed).to(connecting)
    def closed(machine: ClientInputs, core: ClientCore) -> None:
        core.reset()
        if core.parcel is not None:
            core.end(Ending.LOST)

    def stray(machine: ClientInputs, core: ClientCore, message: object = None) -> None:
        """Count what the cloud says out of its turn, and ignore it."""
        core.counts["unexpected"] += 1

    for state in (authenticating, online, sending, ending):
        state.upon(ClientInputs.identified).loop()(stray)
    for state in (identifying, online, sending, ending):
        state.upon(ClientInputs.authenticated).loop()(stray)
    for state in (online, sending, ending):
        state.upon(ClientInputs.refused).loop()(stray)
    for state in (identifying, authenticating, ending):
        state.upon(ClientInputs.configure).loop()(stray)
        state.upon(ClientInputs.beaten).loop()(stray)

    # An acknowledgement without a session, and the end of a link that never came up.
    for state in (connecting, identifying, authenticating, ending):
        state.upon(ClientInputs.say).loop().returns(None)
    connecting.upon(ClientInputs.closed).loop().returns(None)

    return builder.build()


_machine = _build()


class ClientSession:
    """Our side, for a transport to drive: `opened`, `received`, `closed`. `counts` holds
    irregularities since the start: `malformed`, `repaired`, `unexpected` and `late` messages,
    `unknown-code`, `no-heartbeat`, `no-authentication`.
    """

    def __init__(
        self, owner: ClientOwner, clock: Clock, eq_sn: str, api_key: Callable[[], str]
    ) -> None:
        self._core = ClientCore(owner, clock, eq_sn, api_key)
        self._machine = _machine(self._core)
        self._malformed = 0
        self.closed = self._machine.closed
        self.say = self._machine.say

    @property
    def counts(self) -> Counter[str]:
        return self._core.counts

    @property
    def online(self) -> bool:
        return self._core.online

    @property
    def ready(self) -> bool:
        return self._core.online and self._core.parcel is None

    @property
    def odd(self) -> str:
        """What came since the last message of data in place of its answer; empty for nothing."""
        return self._core.odd

    @property
    def is_nameless(self) -> bool:
        """Whether the cloud leaves the number out of its answers to data."""
        return self._core.nameless

    @property
    def heard(self) -> bool:
        """Whether a message could be read on the present or last connection."""
        return self._core.heard

    def opened(self) -> None:
        self._malformed = 0
        self._core.heard = False
        self._machine.opened()

    def submit(self, parcel: Parcel) -> None:
        """Send data; only while `ready`."""
        self._machine.submit(parcel)

    def received(self, line: bytes) -> None:
        """Take one line from the cloud, with one message or several. No line raises an error."""
        for message in messages.read_responses(line):
            if isinstance(message, WireError):
                self._core.counts["malformed"] += 1
                self._core.odd = f"it cannot be read what the cloud sent: {message}"
                self._core.owner.malformed(self._core.odd)
                self._malformed += 1
                if self._malformed > messages.MAX_MALFORMED:
                    self._core.owner.drop("too much that is no message")
                    return
            else:
                self._core.heard = True
                if message.repairs:
                    self._core.counts["repaired"] += 1
                self._dispatch(message.message)

    def _dispatch(self, message: messages.Response) -> None:
        machine = self._machine
        match message:
            # A code that cannot be read hides no `tKey`, which only a device that is known gets.
            case messages.Identified(code=FogslinkCode.OK | None, t_key=str(key)) if (
                0 < len(key) <= _MAX_KEY
            ):
                machine.identified(key)
            case messages.Identified(code=FogslinkCode.OK | None):
                self._core.counts["malformed"] += 1
                self._core.odd = "the cloud sent no tKey"
            case messages.Authenticated(code=FogslinkCode.OK):
                machine.authenticated()
            case messages.Identified(code=str(code)) | messages.Authenticated(code=code):
                self._refused(code)
            case messages.HeartbeatAnswer(code=FogslinkCode.OK):
                machine.beaten()
            case messages.HeartbeatAnswer(code=code):
                self._core.counts["unknown-code"] += 1
                self._core.odd = f"its code was {code[:10]!r}"
            case Configure():
                machine.configure(message)
            case messages.PackAnswer(pack_id=name, code=code):
                self._answered(code, name, single=False)
            case messages.SingleAnswer(e_chan=name, code=code):
                self._answered(code, name, single=True)

    def _refused(self, code: str) -> None:
        step = "eq_sn" if self._core.identifying else "api_key"
        self._machine.refused(LoginRefusal(code[:10], _WRONG.get(code, step)))

    def _answered(self, code: str, name: str | None, *, single: bool) -> None:
        """End the message in flight, unless this is the late answer to another one."""
        core, parcel = self._core, self._core.parcel
        named = name is not None
        if parcel is None or parcel.single != single or (not named and core.silent):
            core.counts["late"] += 1
        elif name is not None and not messages.same(name, parcel.answer_to):
            core.counts["late"] += 1
            core.odd = f"the cloud answered {name[:40]!r}, not {parcel.answer_to!r}"
        elif code not in _ENDINGS:
            core.counts["unknown-code"] += 1
            core.odd = f"the cloud answered with the code {code[:10]!r}"
        else:
            core.nameless = core.nameless or not named
            self._machine.ended(_ENDINGS[code])
