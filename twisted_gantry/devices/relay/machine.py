"""The power behind a relay as a table: cut once, given back until that is confirmed.

The order of events is the table in `_build`; the sentences beside the states say what holds there.
Decisions: `docs/protocols/etc-gantry.md`, "Commands are dangerous": "on" is repeated until the
relay confirms it, also after a restart; "off" is never repeated.
"""

import math
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
from automat import TypeMachineBuilder
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.core.commands.types import CommandResult, Outcome
from twisted_gantry.core.interfaces import DeviceContext
from twisted_gantry.core.moments import Moment
from twisted_gantry.core.status import Status
from twisted_gantry.devices.polled import RETRY_FIRST, Poller
from twisted_gantry.devices.relay.link import NotConfirmed, RelayLink
from twisted_gantry.devices.relay.pending import old_key, pending_key
from twisted_gantry.net.connecting import NotReached
from twisted_gantry.net.expiry import expires
from twisted_gantry.net.outage import Cause, Outage, outage
from twisted_gantry.net.session import Backoff
from twisted_gantry.net.timers import Timer
from twisted_gantry.wire.reading import Quality

_log = Logger()

# Seconds between the beginnings of two cycles.
CYCLE_PERIOD = 60.0
# Pauses between two "on" grow up to these seconds: in the dark every second counts.
RETRY_MOST = 15.0

ON_PENDING = "on_pending"
"""Whether the power was cut, or may have been, and "on" is not confirmed yet."""

Ended = Deferred[CommandResult]
"""Fires with the outcome of a cycle."""


class RelayInputs(Protocol):
    """What can happen to the power behind a relay."""

    def started(self) -> None:
        """The service starts."""

    def kept_on(self) -> None:
        """The store tells that the power was on when the program ended."""

    def kept_off(self) -> None:
        """The store tells that the power was off, or may have been, when the program ended."""

    def asked(self, ended: Ended) -> None:
        """Somebody asks for a cycle."""

    def stored(self) -> None:
        """The store knows that "on" is pending."""

    def not_stored(self, reason: str) -> None:
        """The store failed: the pending "on" would be forgotten with the process."""

    def off_unsent(self, reason: str) -> None:
        """The relay was not reached with "off"."""

    def off_sent(self, doubt: str) -> None:
        """The bytes for "off" went out; `doubt` says why they are not confirmed, if so."""

    def pulse_over(self) -> None:
        """The power was off for long enough."""

    def on_confirmed(self) -> None:
        """The relay took "on"."""

    def on_failed(self) -> None:
        """The relay was not reached with "on", or did not confirm it."""

    def retry_due(self) -> None:
        """The pause before the next "on" is over."""

    def noted(self) -> None:
        """The store knows that the power is on, or failed to take that."""

    def rested(self) -> None:
        """The last cycle began a minute ago or more."""

    def stopped(self) -> None:
        """The service stops."""

    def last_tried(self) -> None:
        """The last "on" before the end was said."""


@dataclass(eq=False)
class RelayCore:
    """The relay's bytes, what is under way, and who asked. `pulse` is seconds."""

    name: str
    place: tuple[str, int]
    context: DeviceContext
    link: RelayLink
    on: bytes
    off: bytes
    pulse: float
    status: Status
    poller: Poller
    counts: Counter[str] = field(default_factory=Counter)
    asker: Ended | None = None
    expires: float = math.inf
    unreached: Outage = field(default_factory=lambda: outage(Cause.OTHER))
    result: CommandResult = field(default_factory=lambda: CommandResult(Outcome.DONE))
    last_cycle: float | None = None
    cycle_before: float | None = None
    stopping: Deferred[None] | None = None
    _timer: Timer | None = None
    _doing: Deferred[None] | None = None

    def __post_init__(self) -> None:
        self.clock, self._store = self.context.reactor, self.context.store
        self.backoff = Backoff(RETRY_FIRST, RETRY_MOST, self.context.random.random)
        # In the store: True while "on" is pending, then the moment of the last cycle.
        self.key = pending_key(self.place, self.on)

    def after(self, delay: float, call: Callable[[], None]) -> None:
        self._timer = Timer(self.clock, call)
        self._timer.start(delay)

    def show(self, pending: bool) -> None:
        self.context.points.update(self.name, {ON_PENDING: (pending, Quality.GOOD)})

    def do(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        """Start `work`, which reports by an input."""
        self._doing = ensureDeferred(work)
        self._doing.addErrback(self._failed)

    def end(self) -> None:
        """Cancel what is under way; the cycle ends with `timeout`."""
        self.poller.stop()
        if self._timer is not None:
            self._timer.cancel()
        if self._doing is not None:
            self._doing.cancel()
        self.answer(CommandResult(Outcome.TIMEOUT, "the program stopped within the cycle"))

    def answer(self, result: CommandResult) -> None:
        asker, self.asker = self.asker, None
        if asker is not None and not asker.called:
            asker.callback(result)

    def wanted(self) -> bool:
        """Tell whether the cycle is still waited for: an "off" that comes late is never sent."""
        waiting = self.asker is not None and not self.asker.called
        return waiting and self.clock.seconds() < self.expires

    def rest_left(self) -> float:
        """Return the seconds until another cycle is allowed, 0 or less for now."""
        if self.last_cycle is None:
            return 0.0
        return float(self.last_cycle + CYCLE_PERIOD - self.clock.seconds())

    def missed(self, reason: Outage) -> None:
        self.counts["not-reached"] += 1
        self.poller.failed(reason)

    async def recall(self, machine: RelayInputs) -> None:
        settings, now = await self._store.settings(), self._store.moment()
        kept = settings.get(self.key)
        if kept is None and (kept := settings.get(old_key(self.name))) is not None:
            await self._store.put_setting(self.key, kept)
            await self._store.put_setting(old_key(self.name), None)
        self.show(kept is True)
        if kept is True:
            _log.warn("{name}: the power was left off; it is given back", name=self.name)
            self.last_cycle = self.clock.seconds()
            machine.kept_off()
            return
        with suppress(msgspec.ValidationError):  # one of an earlier version is over by now
            self.last_cycle = self.clock.seconds() - now.since(msgspec.convert(kept, Moment))
        machine.kept_on()

    async def remember_on(self, machine: RelayInputs) -> None:
        try:
            await self._store.put_setting(self.key, True)
        except CancelledError:
            raise
        except Exception as error:
            machine.not_stored(str(error))
        else:
            machine.stored()

    async def say_off(self, machine: RelayInputs) -> None:
        try:
            await self.link.say(self.off, self.wanted)
        except NotReached as error:
            self.unreached = error.outage
            machine.off_unsent(str(error))
        except NotConfirmed as error:
            machine.off_sent(str(error))
        else:
            machine.off_sent("")

    async def say_on(self, machine: RelayInputs) -> None:
        try:
            await self.link.say(self.on)
        except NotReached as error:
            self.missed(error.outage)
            machine.on_failed()
        except NotConfirmed as error:
            self.counts["not-confirmed"] += 1
            self.status.error(outage(Cause.SILENT, en=str(error), zh="继电器未确认命令"))
            machine.on_failed()
        else:
            machine.on_confirmed()

    async def note_on(self, machine: RelayInputs) -> None:
        await self._store_on()
        machine.noted()

    async def last_try(self, machine: RelayInputs) -> None:
        try:
            await self.link.say(self.on)
        except (NotReached, NotConfirmed) as error:
            text = "{name}: the power stays off until the next start: {error}"
            _log.error(text, name=self.name, error=error)
        else:
            await self._store_on()
        machine.last_tried()

    async def _store_on(self) -> None:
        self.show(False)
        cycled = None
        if self.last_cycle is not None:
            moment = self._store.moment().before(self.clock.seconds() - self.last_cycle)
            cycled = msgspec.to_builtins(moment)
        try:
            await self._store.put_setting(self.key, cycled)
        except CancelledError:
            raise
        except Exception:  # the next start says "on" once more, which does no harm
            _log.failure("{name}: that the power is on could not be noted", name=self.name)

    def _failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            _log.failure("{name} failed", failure=failure, name=self.name)


def _refuse(ended: Ended, why: str) -> None:
    ended.callback(CommandResult(Outcome.REFUSED, why))


def _build() -> Callable[[RelayCore], RelayInputs]:  # noqa: C901 - one table
    builder = TypeMachineBuilder(RelayInputs, RelayCore)

    stopped = builder.state("Stopped")
    """The service does not run."""
    recalling = builder.state("Recalling")
    """The store is asked whether the power was left off."""
    on = builder.state("On")
    """The power is on, and may be cut."""
    resting = builder.state("Resting")
    """The power is on; the last cycle began less than a minute ago."""
    storing = builder.state("Storing")
    """A cycle is asked for, and the pending "on" is being stored."""
    cutting = builder.state("Cutting")
    """The relay is told "off"."""
    off = builder.state("Off")
    """The power is off, or may be, until the pulse is over."""
    restoring = builder.state("Restoring")
    """The relay is told "on"."""
    retrying = builder.state("Retrying")
    """The relay did not confirm "on", and is told again after a pause."""
    noting = builder.state("Noting")
    """The power is on, and that is being stored."""
    last_try = builder.state("LastTry")
    """The service stops with the power off: "on" is said once more."""

    def refuse(machine: RelayInputs, core: RelayCore, ended: Ended) -> None:
        _refuse(ended, "the relay is not started yet")

    def refuse_second(machine: RelayInputs, core: RelayCore, ended: Ended) -> None:
        _refuse(ended, "the power is off already, and is being given back")

    def refuse_so_soon(machine: RelayInputs, core: RelayCore, ended: Ended) -> None:
        next_in = f"the next in {core.rest_left():.0f} s"
        _refuse(ended, f"one cycle in {CYCLE_PERIOD:g} s; {next_in}")

    def recall(machine: RelayInputs, core: RelayCore) -> None:
        core.stopping = None
        core.do(core.recall(machine))

    def store(machine: RelayInputs, core: RelayCore, ended: Ended) -> None:
        core.asker, core.expires = ended, expires()
        core.do(core.remember_on(machine))

    def give_up(machine: RelayInputs, core: RelayCore, reason: str) -> None:
        why = f"not sent: the pending on cannot be stored: {reason}"
        core.answer(CommandResult(Outcome.FAILED, why))

    def cut(machine: RelayInputs, core: RelayCore) -> None:
        core.show(True)
        core.cycle_before, core.last_cycle = core.last_cycle, core.clock.seconds()
        core.do(core.say_off(machine))

    def take_back(machine: RelayInputs, core: RelayCore, reason: str) -> None:
        core.missed(core.unreached)
        core.last_cycle = core.cycle_before
        core.result = CommandResult(Outcome.FAILED, f"not sent: {reason}")
        core.do(core.note_on(machine))

    def wait(machine: RelayInputs, core: RelayCore, doubt: str) -> None:
        core.counts["cycles"] += 1
        core.result = CommandResult(Outcome.DONE)
        if doubt:
            why = f"the power is on; whether it was off is not known: {doubt}"
            core.result = CommandResult(Outcome.TIMEOUT, why)
        core.after(core.pulse, machine.pulse_over)

    def restore(machine: RelayInputs, core: RelayCore) -> None:
        core.backoff.reset()
        core.do(core.say_on(machine))

    def pause(machine: RelayInputs, core: RelayCore) -> None:
        core.after(core.backoff.next(), machine.retry_due)

    def retry(machine: RelayInputs, core: RelayCore) -> None:
        core.do(core.say_on(machine))

    def note(machine: RelayInputs, core: RelayCore) -> None:
        core.poller.good()
        core.do(core.note_on(machine))

    def rest(machine: RelayInputs, core: RelayCore) -> None:
        if core.asker is None:  # after the start: begin to watch the relay
            core.poller.start()
        core.answer(core.result)
        left = core.rest_left()
        if left > 0:
            core.after(left, machine.rested)
        else:
            machine.rested()

    def end(machine: RelayInputs, core: RelayCore) -> None:
        core.end()

    def try_once_more(machine: RelayInputs, core: RelayCore) -> None:
        core.end()
        core.stopping = Deferred()
        core.do(core.last_try(machine))

    def tell_stopped(machine: RelayInputs, core: RelayCore) -> None:
        assert core.stopping is not None
        core.stopping.callback(None)

    stopped.upon(RelayInputs.started).to(recalling)(recall)
    recalling.upon(RelayInputs.kept_on).to(resting)(rest)
    recalling.upon(RelayInputs.kept_off).to(restoring)(restore)
    on.upon(RelayInputs.asked).to(storing)(store)
    storing.upon(RelayInputs.stored).to(cutting)(cut)
    storing.upon(RelayInputs.not_stored).to(on)(give_up)
    cutting.upon(RelayInputs.off_sent).to(off)(wait)
    cutting.upon(RelayInputs.off_unsent).to(noting)(take_back)
    off.upon(RelayInputs.pulse_over).to(restoring)(restore)
    restoring.upon(RelayInputs.on_confirmed).to(noting)(note)
    restoring.upon(RelayInputs.on_failed).to(retrying)(pause)
    retrying.upon(RelayInputs.retry_due).to(restoring)(retry)
    noting.upon(RelayInputs.noted).to(resting)(rest)
    resting.upon(RelayInputs.rested).to(on).returns(None)
    resting.upon(RelayInputs.asked).loop()(refuse_so_soon)
    last_try.upon(RelayInputs.last_tried).to(stopped)(tell_stopped)
    for state in (stopped, recalling, last_try):
        state.upon(RelayInputs.asked).loop()(refuse)
    for state in (storing, cutting, off, restoring, retrying, noting):
        state.upon(RelayInputs.asked).loop()(refuse_second)
    for state in (recalling, on, resting, storing, noting):
        state.upon(RelayInputs.stopped).to(stopped)(end)
    for state in (cutting, off, restoring, retrying):
        state.upon(RelayInputs.stopped).to(last_try)(try_once_more)
    stopped.upon(RelayInputs.stopped).loop().returns(None)
    last_try.upon(RelayInputs.stopped).loop().returns(None)
    last_try.upon(RelayInputs.started).loop().returns(None)

    return builder.build()


relay_machine = _build()
