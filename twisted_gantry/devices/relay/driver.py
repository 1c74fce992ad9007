"""A relay that cuts the power of another device, and gives it back: `power-cycle`.

Source: the ETC document, section 3.2 (cmd 1 names a relay by address and port, and says
nothing of what it understands: hence `on` and `off` as bytes). Decisions:
`docs/protocols/etc-gantry.md`, "Commands are dangerous": what hangs on the relay must not stay
dark, so that "on" is repeated until it is confirmed, also after a restart, while "off" is never
repeated.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred, succeed
from twisted.internet.endpoints import clientFromString
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.core.alarms import Read, Rule, Severity
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.commands.types import CommandResult, CommandType, Outcome
from twisted_gantry.core.interfaces import DeviceContext, IDeviceKind, IRelay, WrongSetting
from twisted_gantry.core.lasting import lasting
from twisted_gantry.core.status import Status
from twisted_gantry.devices.relay.link import LONGEST_BYTES, NotConfirmed, NotReached, RelayLink
from twisted_gantry.net.endpoints import wrong_client
from twisted_gantry.net.service import NamedService
from twisted_gantry.net.session import Backoff
from twisted_gantry.wire.reading import Quality

_log = Logger()

# Seconds between two looks at whether it can be reached, and between two cycles.
CHECK_PERIOD = 60.0
CYCLE_PERIOD = 60.0
MAX_FAILURES = 3
# "on" is repeated at this pace: in the dark every second counts.
RETRY_FIRST, RETRY_MOST = 1.0, 15.0

POWER_CYCLE = "power-cycle"
ON_PENDING = "on_pending"
"""Whether the power was cut, or may have been, and "on" is not confirmed yet."""

POINTS = (PointType(ON_PENDING, "", "Power is to be restored", "等待恢复供电"),)
COMMANDS: Mapping[str, CommandType] = {
    POWER_CYCLE: CommandType({}, "power off, a pause, power on", "断电重启")
}


def _is_off(read: Read, raised: bool) -> bool | None:
    pending = read(ON_PENDING).good
    return None if pending is None else pending is True


RULES = (
    Rule("power-off", Severity.CRITICAL, "the power is off", "继电器断电,尚未恢复供电", _is_off),
)

_EXAMPLE = "tcp:192.168.1.40:8080"
_TCP = re.compile(r"tcp:(host=)?(?P<host>([^:=\\]|\\:)+):(port=)?(?P<port>[0-9]{1,5})(:.*)?")


class RelaySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a `[[device]]` of kind `relay`.

    `on`, `off` and `confirm` are bytes as hex; `pulse` is seconds. A relay that answers should
    have its answer as `confirm`: without one, "the connection stood for a second after the bytes
    went out, or was closed in order" is all that can be known. Twenty seconds of `pulse` end
    within the time that a command has.
    """

    address: str
    on: str
    off: str
    confirm: str = ""
    pulse: Annotated[float, msgspec.Meta(ge=0.1, le=20)] = 5.0


@implementer(IRelay)
class Relay(NamedService):
    """The driver. `on` and `off` are the bytes that say so."""

    kind = "relay"
    rules = RULES
    commands = COMMANDS

    def __init__(
        self,
        name: str,
        settings: RelaySettings,
        context: DeviceContext,
        link: RelayLink,
        place: tuple[str, int],
    ) -> None:
        super().__init__(name)
        self.device, self.place = name, place
        self.status = Status(name, context.now)
        self.counts: Counter[str] = Counter()
        self._on, self._off = bytes.fromhex(settings.on), bytes.fromhex(settings.off)
        self._pulse, self._link = settings.pulse, link
        self._store, self._points, self._clock = context.store, context.points, context.reactor
        self._now = context.now
        # What is kept under it: True while "on" is pending, then when the last cycle was.
        self._key = f"relay.{name}.on-pending"
        self._spread = context.random.random
        self._backoff = Backoff(RETRY_FIRST, CHECK_PERIOD, self._spread)
        self._failures = 0  # attempts in a row that did not reach it
        self._pending: bool | None = None  # None until the store has told
        self._last_cycle: float | None = None
        self._watching: Deferred[None] | None = None
        self._doing: Deferred[CommandResult] | None = None
        context.points.declare(name, POINTS)

    def startService(self) -> None:
        """Give back what the program cut before it ended; then see that the relay is there."""
        super().startService()
        self._watching = ensureDeferred(self._watch())
        self._watching.addErrback(self._log_failure)

    def stopService(self) -> Deferred[Any] | None:
        """Stop; power that is still off is given back before, if the relay takes it at once."""
        super().stopService()
        for under_way in (self._watching, self._doing):
            if under_way is not None:
                under_way.cancel()
        if not self._pending:
            return None
        return ensureDeferred(self._last_try()).addErrback(self._log_failure)

    async def _last_try(self) -> None:
        try:
            await self._link.say(self._on)
        except (NotReached, NotConfirmed) as error:
            _log.error(
                "{name}: the power stays off until the next start: {error}",
                name=self.device,
                error=error,
            )
        else:
            await self._restored()

    # -- whether it is there

    async def _watch(self) -> None:
        kept = (await self._store.settings()).get(self._key)
        self._note(kept is True)
        if isinstance(kept, float) and 0 <= self._now() - kept < CYCLE_PERIOD:
            self._last_cycle = self._clock.seconds() - (self._now() - kept)
        if self._pending:
            _log.warn("{name}: the power was left off; it is given back", name=self.device)
            self._last_cycle = self._clock.seconds()
            await self._give_power()
        while True:
            pause = CHECK_PERIOD
            if self._doing is None:
                try:
                    await self._link.reach()
                except NotReached as error:
                    self._missed(str(error))
                    pause = self._backoff.next()
                else:
                    self._reached()
            await deferLater(self._clock, pause)

    def _reached(self) -> None:
        self._failures = 0
        self._backoff.reset()
        self.status.online()

    def _missed(self, reason: str) -> None:
        self.counts["not-reached"] += 1
        self._failures += 1
        if self._failures >= MAX_FAILURES:
            self.status.offline(f"{reason}, {self._failures} times in a row")
        else:
            self.status.error(reason)

    # -- off and on

    def execute(self, command: str, args: Mapping[str, Any]) -> Deferred[CommandResult]:
        """Cycle the power; what was begun is ended whatever becomes of whoever asked."""
        against = self._why_not()
        if against:
            return succeed(CommandResult(Outcome.REFUSED, against))
        return lasting(self._power_cycle())

    def _why_not(self) -> str:
        if self._pending is None or not self.running:
            return "the relay is not started yet"
        if self._pending or self._doing is not None:
            return "the power is off already, and is being given back"
        if self._last_cycle is not None:
            left = self._last_cycle + CYCLE_PERIOD - self._clock.seconds()
            if left > 0:
                return f"one cycle in {CYCLE_PERIOD:g} s; the next in {left:.0f} s"
        return ""

    async def _power_cycle(self) -> CommandResult:
        self._doing = ensureDeferred(self._cycle())
        try:
            return await self._doing
        except CancelledError:  # by the stop alone
            return CommandResult(Outcome.TIMEOUT, "the program stopped within the cycle")
        finally:
            self._doing = None

    async def _cycle(self) -> CommandResult:
        try:
            await self._store.put_setting(self._key, True)
        except CancelledError:
            raise
        except Exception as error:  # the disk: "on" would be forgotten with the process
            return CommandResult(
                Outcome.FAILED, f"not sent: the pending on cannot be stored: {error}"
            )
        self._note(True)
        before, self._last_cycle = self._last_cycle, self._clock.seconds()
        doubt = ""
        try:
            await self._link.say(self._off)
        except NotReached as error:
            self._missed(str(error))
            self._last_cycle = before
            await self._restored()
            return CommandResult(Outcome.FAILED, f"not sent: {error}")
        except NotConfirmed as error:
            doubt = str(error)
        self.counts["cycles"] += 1
        await deferLater(self._clock, self._pulse)
        await self._give_power()
        if doubt:
            return CommandResult(
                Outcome.TIMEOUT, f"the power is on; whether it was off is not known: {doubt}"
            )
        return CommandResult(Outcome.DONE)

    async def _give_power(self) -> None:
        """Say "on" until it is confirmed."""
        backoff = Backoff(RETRY_FIRST, RETRY_MOST, self._spread)
        while True:
            try:
                await self._link.say(self._on)
            except NotReached as error:
                self._missed(str(error))
            except NotConfirmed as error:
                self.counts["not-confirmed"] += 1
                self.status.error(str(error))
            else:
                break
            await deferLater(self._clock, backoff.next())
        self._reached()
        await self._restored()

    async def _restored(self) -> None:
        self._note(False)
        cycled = None
        if self._last_cycle is not None:
            cycled = self._now() - (self._clock.seconds() - self._last_cycle)
        try:
            await self._store.put_setting(self._key, cycled)
        except CancelledError:
            raise
        except Exception:  # the next start will say "on" once more, which does no harm
            _log.failure("{name}: that the power is on could not be noted", name=self.device)

    def _note(self, pending: bool) -> None:
        self._pending = pending
        self._points.update(self.device, {ON_PENDING: (pending, Quality.GOOD)})

    def _log_failure(self, failure: Failure) -> None:
        if not failure.check(CancelledError):  # cut off by the stop
            _log.failure("{name} failed", failure=failure, name=self.device)


def _bytes(settings: RelaySettings, key: str, *, least: int = 1) -> bytes:
    try:
        content = bytes.fromhex(getattr(settings, key))
    except ValueError:
        raise WrongSetting(key, "must be bytes as hex, such as a00101a2") from None
    if not least <= len(content) <= LONGEST_BYTES:
        raise WrongSetting(key, f"must be {least} to {LONGEST_BYTES} bytes")
    return content


@implementer(IDeviceKind)
class _RelayKind:
    kind = "relay"
    settings = RelaySettings
    groups: frozenset[str] = frozenset()
    parts = ""

    def build(self, name: str, settings: RelaySettings, context: DeviceContext) -> Relay:
        if _bytes(settings, "on") == _bytes(settings, "off"):
            raise WrongSetting("off", "is the same as on")
        confirm = _bytes(settings, "confirm", least=0)
        if wrong := wrong_client(settings.address, _EXAMPLE):
            raise WrongSetting("address", wrong)
        found = _TCP.fullmatch(settings.address)
        if found is None:  # it has no place that the platform could name
            raise WrongSetting("address", f"must be like {_EXAMPLE}; it is {settings.address!r}")
        endpoint = clientFromString(context.reactor, settings.address)
        place = (found["host"].replace("\\:", ":"), int(found["port"]))
        link = RelayLink(context.tap.endpoint(endpoint), confirm, context.reactor)
        return Relay(name, settings, context, link, place)


kind = _RelayKind()
