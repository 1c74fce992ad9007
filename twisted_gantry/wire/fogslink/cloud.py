"""The cloud's side of a Fogslink session: login, the ten-second rule, answers to data.

The order of events is the table in `_build`; the sentences beside the states say what holds there.
Source: the Fogslink document; decisions: `docs/protocols/fogslink.md` ("Twin: ...").
"""

import hmac
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from automat import TypeMachineBuilder

from twisted_gantry.wire.errors import WireError
from twisted_gantry.wire.fogslink import messages
from twisted_gantry.wire.fogslink.messages import Configure, Configured, FogslinkCode, Pack, Single

SILENCE = 10.0
"""Seconds without a heartbeat, from the connection on, after which the cloud closes it."""
NO_HEARTBEAT = "no-heartbeat"  # the reason that it then gives


class CloudOwner(Protocol):
    """What a session acts through; it knows the accounts and keeps the data."""

    def transmit(self, answer: messages.Response) -> None: ...  # send a message

    def drop(self, reason: str) -> None:
        """Close the connection, once what was transmitted is out; `closed` is to follow."""

    def heard(self) -> None:
        """Begin the SILENCE seconds anew, at whose end `silent` is to follow: the session holds no
        timer, since a cloud of many sessions looks at them all in one sweep.
        """

    def knows(self, eq_sn: str) -> bool: ...  # tell whether a device of this `eqSN` exists
    def accepts(self, eq_sn: str, api_key: str) -> bool: ...
    def take_pack(self, pack: Pack) -> str | None: ...  # its answer, if any
    def take_single(self, single: Single) -> str | None: ...  # its answer

    def configured(self, message: Configured) -> None: ...  # the device says what it has set


class CloudInputs(Protocol):
    """What can happen to a session."""

    def opened(self) -> None:
        """A device has connected."""

    def closed(self) -> None:
        """It is gone."""

    def known(self, message: messages.Identify) -> None:
        """`req001` of a known device."""

    def unknown(self, message: messages.Identify) -> None:
        """`req001` of an unknown device."""

    def accepted(self) -> None:
        """`req002` with the right key."""

    def denied(self) -> None:
        """`req002` with another."""

    def pack(self, message: Pack) -> None:
        """`req200`."""

    def bad_pack(self, message: messages.BadPack) -> None:
        """A `req200` that is malformed."""

    def single(self, message: Single) -> None:
        """`req201`."""

    def beat(self) -> None:
        """`req100`, with the right `tKey`."""

    def intruded(self, message: str) -> None:
        """A message with a wrong `tKey`, or for another device."""

    def configured(self, message: Configured) -> None:
        """`req300`."""

    def configure(self, message: Configure) -> None:
        """A channel is to be reported otherwise."""

    def silent(self) -> None:
        """No heartbeat for SILENCE seconds."""


@dataclass(eq=False, slots=True)
class CloudCore:
    """The memory of a session, and its actions."""

    owner: CloudOwner
    new_key: Callable[[], str]
    eq_sn: str = ""
    t_key: str = field(default="", repr=False)
    online: bool = False
    counts: Counter[str] = field(default_factory=Counter)

    def close(self, reason: str) -> None:
        self.counts[reason] += 1
        self.online = False
        self.owner.drop(reason)


def _build() -> Callable[[CloudCore], CloudInputs]:  # noqa: C901 - one table
    builder = TypeMachineBuilder(CloudInputs, CloudCore)

    waiting = builder.state("Waiting")
    """No device has connected."""
    unidentified = builder.state("Unidentified")
    """Connected; the heartbeat clock runs. `req001` is next."""
    identified = builder.state("Identified")
    """The device is known; `req002` is next."""
    online = builder.state("Online")
    """Authenticated: heartbeats, data and configurations go."""
    ended = builder.state("Ended")
    """Let go, or gone; nothing counts any more."""

    @waiting.upon(CloudInputs.opened).to(unidentified)
    def begin(machine: CloudInputs, core: CloudCore) -> None:
        core.owner.heard()

    @unidentified.upon(CloudInputs.known).to(identified)
    def identify(machine: CloudInputs, core: CloudCore, message: messages.Identify) -> None:
        core.eq_sn, core.t_key = message.eq_sn, core.new_key()
        core.owner.transmit(
            messages.Identified(eq_sn=core.eq_sn, code=FogslinkCode.OK, t_key=core.t_key)
        )

    @unidentified.upon(CloudInputs.unknown).to(ended)
    def refuse(machine: CloudInputs, core: CloudCore, message: messages.Identify) -> None:
        core.owner.transmit(messages.Identified(eq_sn=message.eq_sn, code=FogslinkCode.NO_DEVICE))
        core.close("unknown-device")

    @identified.upon(CloudInputs.accepted).to(online)
    def authenticate(machine: CloudInputs, core: CloudCore) -> None:
        core.online = True
        core.owner.transmit(messages.Authenticated(eq_sn=core.eq_sn, code=FogslinkCode.OK))

    @identified.upon(CloudInputs.denied).to(ended)
    def deny(machine: CloudInputs, core: CloudCore) -> None:
        core.owner.transmit(
            messages.Authenticated(eq_sn=core.eq_sn, code=FogslinkCode.NOT_AUTHENTICATED)
        )
        core.close("denied")

    @online.upon(CloudInputs.pack).loop()
    def take_pack(machine: CloudInputs, core: CloudCore, message: Pack) -> None:
        whole = message.total_size == len(message.eq_data)
        code = core.owner.take_pack(message) if whole else FogslinkCode.FAILED
        if code is not None:
            core.owner.transmit(
                messages.PackAnswer(eq_sn=core.eq_sn, pack_id=message.pack_id, code=code)
            )

    @online.upon(CloudInputs.bad_pack).loop()
    def ask_again(machine: CloudInputs, core: CloudCore, message: messages.BadPack) -> None:
        core.counts["malformed"] += 1
        core.owner.transmit(
            messages.PackAnswer(eq_sn=core.eq_sn, pack_id=message.pack_id, code=FogslinkCode.FAILED)
        )

    @online.upon(CloudInputs.single).loop()
    def take_single(machine: CloudInputs, core: CloudCore, message: Single) -> None:
        code = core.owner.take_single(message)
        if code is not None:
            core.owner.transmit(
                messages.SingleAnswer(eq_sn=core.eq_sn, e_chan=message.e_chan, code=code)
            )

    @online.upon(CloudInputs.beat).loop()
    def beat(machine: CloudInputs, core: CloudCore) -> None:
        core.owner.heard()
        core.owner.transmit(messages.HeartbeatAnswer(eq_sn=core.eq_sn))

    @online.upon(CloudInputs.configured).loop()
    def configured(machine: CloudInputs, core: CloudCore, message: Configured) -> None:
        core.owner.configured(message)

    @online.upon(CloudInputs.configure).loop()
    def configure(machine: CloudInputs, core: CloudCore, message: Configure) -> None:
        core.owner.transmit(message)

    def unauthenticated(machine: CloudInputs, core: CloudCore, message: object) -> None:
        core.close("unauthenticated")

    for state in (unidentified, identified):
        state.upon(CloudInputs.pack).to(ended)(unauthenticated)
        state.upon(CloudInputs.bad_pack).to(ended)(unauthenticated)
        state.upon(CloudInputs.single).to(ended)(unauthenticated)

    @unidentified.upon(CloudInputs.intruded).to(ended)
    @identified.upon(CloudInputs.intruded).to(ended)
    @online.upon(CloudInputs.intruded).to(ended)
    def intruded(machine: CloudInputs, core: CloudCore, message: str) -> None:
        core.close(message)

    @unidentified.upon(CloudInputs.silent).to(ended)
    @identified.upon(CloudInputs.silent).to(ended)
    @online.upon(CloudInputs.silent).to(ended)
    def give_up(machine: CloudInputs, core: CloudCore) -> None:
        core.close(NO_HEARTBEAT)

    @waiting.upon(CloudInputs.closed).to(ended)
    @unidentified.upon(CloudInputs.closed).to(ended)
    @identified.upon(CloudInputs.closed).to(ended)
    @online.upon(CloudInputs.closed).to(ended)
    @ended.upon(CloudInputs.closed).loop()
    def closed(machine: CloudInputs, core: CloudCore) -> None:
        core.online = False

    def stray(machine: CloudInputs, core: CloudCore, message: object = None) -> None:
        """Count what comes out of its turn, or after the end, and ignore it."""
        core.counts["unexpected"] += 1

    for state in (identified, online, ended):
        state.upon(CloudInputs.known).loop()(stray)
        state.upon(CloudInputs.unknown).loop()(stray)
    for state in (unidentified, online, ended):
        state.upon(CloudInputs.accepted).loop()(stray)
        state.upon(CloudInputs.denied).loop()(stray)
    for state in (unidentified, identified, ended):
        state.upon(CloudInputs.configured).loop()(stray)
    for state in (identified, ended):
        state.upon(CloudInputs.beat).loop()(stray)
    ended.upon(CloudInputs.silent).loop()(stray)
    ended.upon(CloudInputs.pack).loop()(stray)
    ended.upon(CloudInputs.bad_pack).loop()(stray)
    ended.upon(CloudInputs.single).loop()(stray)
    ended.upon(CloudInputs.intruded).loop()(stray)

    return builder.build()


_machine = _build()


class CloudSession:
    """The cloud's side of one connection, for a transport to drive. `counts` may be shared; it
    tells `malformed`, `repaired` and `unexpected` messages, and why sessions were ended:
    `unknown-device`, `denied`, `unauthenticated`, `wrong-key`, `foreign`, `too-malformed`,
    `no-heartbeat`.
    """

    def __init__(self, owner: CloudOwner, new_key: Callable[[], str], counts: Counter[str]) -> None:
        self._core = CloudCore(owner, new_key, counts=counts)
        self._machine = _machine(self._core)
        self._malformed = 0
        self.opened = self._machine.opened
        self.closed = self._machine.closed
        self.silent = self._machine.silent

    @property
    def online(self) -> bool:
        return self._core.online

    @property
    def eq_sn(self) -> str:
        """Which device it is; empty before it has said so."""
        return self._core.eq_sn

    def configure(self, message: Configure) -> None:
        """Send a configuration; only while `online`."""
        self._machine.configure(message)

    def received(self, line: bytes) -> None:
        """Take one line from the device, with one message or several. No line raises an error."""
        for message in messages.read_requests(line):
            if isinstance(message, messages.BadPack):
                self._machine.bad_pack(message)
            elif isinstance(message, WireError):
                self._core.counts["malformed"] += 1
                self._malformed += 1
                if self._malformed > messages.MAX_MALFORMED:
                    self._machine.intruded("too-malformed")
                    return
            else:
                if message.repairs:
                    self._core.counts["repaired"] += 1
                self._dispatch(message.message)

    def _dispatch(self, message: messages.Request) -> None:
        machine, owner = self._machine, self._core.owner
        match message:
            case messages.Identify(eq_sn=eq_sn, eq_type=eq_type):
                known = messages.same(eq_type, messages.EQ_TYPE) and owner.knows(eq_sn)
                (machine.known if known else machine.unknown)(message)
            case messages.Authenticate(eq_sn=eq_sn, api_key=api_key):
                right = messages.same(eq_sn, self._core.eq_sn) and owner.accepts(eq_sn, api_key)
                (machine.accepted if right else machine.denied)()
            case messages.Heartbeat(t_key=t_key):
                right = hmac.compare_digest(_raw(t_key), _raw(self._core.t_key))
                if right and self._core.t_key:
                    machine.beat()
                else:
                    machine.intruded("wrong-key")
            case Pack() | Single() | Configured() if self._core.online and not (
                messages.same(message.eq_sn, self._core.eq_sn)
            ):
                machine.intruded("foreign")
            case Pack():
                machine.pack(message)
            case Single():
                machine.single(message)
            case Configured():
                machine.configured(message)


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
