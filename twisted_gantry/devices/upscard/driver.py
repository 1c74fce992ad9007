"""A UPS with a CLOUD management card: read by RTD and QAD, controlled by its commands.

The driver sees commands and how they ended; a link holds the session with the card (`link.py`).
Source: `docs/protocols/ups-card.md`.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from twisted.internet.defer import Deferred, ensureDeferred
from zope.interface import implementer

from twisted_gantry.core.commands.types import CommandResult
from twisted_gantry.core.interfaces import BatteryTest, DeviceContext, IBatteryTester
from twisted_gantry.core.points import Measured, Update
from twisted_gantry.core.status import Status
from twisted_gantry.devices.kind import DeviceKind
from twisted_gantry.devices.polled import (
    RETRY_FIRST,
    RETRY_MOST,
    Patience,
    Poller,
    PollPeriod,
    gist,
)
from twisted_gantry.devices.power import (
    OVER_VOLTAGE,
    RECHECK,
    UNDER_VOLTAGE,
    Limits,
    NominalVoltage,
    OverVoltage,
    UnderVoltage,
)
from twisted_gantry.devices.upscard import points as upscard_points
from twisted_gantry.devices.upscard.battery import BatteryTests, why_not_test
from twisted_gantry.devices.upscard.commands import CardCommands, Passwords, can_stop_test
from twisted_gantry.devices.upscard.endings import refused, unreadable, why
from twisted_gantry.devices.upscard.link import CardLink
from twisted_gantry.devices.upscard.points import BATTERY_REMAINING, LIVE, RATED
from twisted_gantry.devices.upscard.supply import Supply
from twisted_gantry.devices.upscard.tcp import TcpLink
from twisted_gantry.net.endpoints import client_endpoint, wrong_client
from twisted_gantry.net.outage import Outage
from twisted_gantry.net.pem import TlsSettings
from twisted_gantry.net.service import NamedService
from twisted_gantry.net.session import Backoff
from twisted_gantry.net.tls import ClientTls
from twisted_gantry.wire.errors import WireError
from twisted_gantry.wire.reading import Quality, Value
from twisted_gantry.wire.secret import Secret
from twisted_gantry.wire.upscard.messages import MAX_PASSWORD, CardRefusal, ErrorCode, Result
from twisted_gantry.wire.upscard.session import (
    Ending,
    NotSent,
    StayedBusy,
    Unreachable,
    Unread,
)
from twisted_gantry.wire.upscard.values import Readings, Values, read_live, read_ratings

RATINGS_PERIOD, RATINGS_RETRY = 3600.0, 60.0
# While a battery test runs, readings are at most this far apart.
TEST_POLL = 1.0


class CardSettings(TlsSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a `[[device]]` with a card over any transport; see `docs/configuration.md`.
    `over_voltage` and `under_voltage` are shares of the nominal input voltage. `test_stop` is the
    card's command to stop a battery test, empty if unknown.
    """

    password: Secret | None = None
    poll: PollPeriod = 2.0
    patience: Patience = 3.0
    runtime_unit: Literal["s", "min"] = "s"
    allow_off: bool = False
    test_stop: str = ""
    battery_ah: Annotated[float, msgspec.Meta(gt=0, le=100_000)] | None = None
    over_voltage: OverVoltage = OVER_VOLTAGE
    under_voltage: UnderVoltage = UNDER_VOLTAGE
    nominal_voltage: NominalVoltage | None = None


def _wrong_password(password: Secret | None) -> str:
    fits = password is None or 0 < len(password.reveal()) <= MAX_PASSWORD
    return "" if fits else f"the card takes 1 to {MAX_PASSWORD} characters"


def _wrong_stop(text: str) -> str:
    return "" if can_stop_test(text) else "it may not be a control that does something else"


CARD_CHECKS: Mapping[str, Callable[[Any], str]] = {
    "password": _wrong_password,
    "test_stop": _wrong_stop,
}


class UpsCardSettings(CardSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a `[[device]]` of kind `ups-card`."""

    address: str
    terminator: str = ""


@implementer(IBatteryTester)
class UpsCard(NamedService):
    """The driver. `make_link` takes the driver, and returns its link."""

    def __init__(
        self,
        name: str,
        settings: CardSettings,
        context: DeviceContext,
        make_link: Callable[["UpsCard"], CardLink],
        kind: str = "ups-card",
    ) -> None:
        super().__init__(name)
        self.device, self.kind = name, kind
        self.status = Status(name, context.now)
        limits = Limits(settings.over_voltage, settings.under_voltage)
        self.rules = upscard_points.rules(limits)
        self._supply = Supply(limits, settings.nominal_voltage)
        self.commands = upscard_points.commands(settings.allow_off, settings.test_stop)
        self._settings, self._points = settings, context.points
        self._clock, self._random = context.reactor, context.random
        self._passwords = Passwords(settings.password)
        self.password = self._passwords.current
        self._up = False
        self._misses = 0  # live readings in a row without a reply
        self._ratings_due = 0.0
        self._poller = Poller(
            context, self.status, self._poll, settings.poll, losing=lambda: self._points.fail(name)
        )
        self.poll_seconds = self._poller.seconds
        self._link = make_link(self)
        self._link.deadline = max(self._link.deadline, settings.patience)
        self._tests = BatteryTests(name, context.store, context.reactor, context.now)
        ask, stop = self._poller.now, settings.test_stop
        self._commands = CardCommands(
            self._link, self._passwords, ask, self._tests, stop, self.why_not_test
        )
        context.points.declare(name, upscard_points.points(settings.runtime_unit))

    @property
    def counts(self) -> Counter[str]:
        """Oddities of the peer since the start: late replies, skipped bytes, …"""
        return self._link.counts

    @property
    def battery_test(self) -> BatteryTest | None:
        return self._tests.last

    def why_not_test(self) -> str:
        return why_not_test(self._good, running=self._tests.perhaps_running)

    def startService(self) -> None:
        super().startService()
        self._tests.restore()
        self._link.start()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        self._tests.stopping()
        stopped = self._link.stop()
        self._poller.stop()
        return stopped

    def attempt(self) -> Deferred[Outage | None]:
        """Read, or connect, at once; fires with None after a good reading, else with the cause."""
        if self._up:
            return self._poller.attempt()
        outcome = self.status.outcome()
        self._link.retry()
        return outcome

    @property
    def identity(self) -> str:
        """The `uid` of the card that answers, empty before it told one."""
        return self._link.session.uid

    def new_session(self) -> str:
        """Return a session number of eight digits."""
        return str(self._random.randrange(10_000_000, 100_000_000))

    def new_long_session(self) -> str:
        """Return one of 32 hex digits, which nobody can guess."""
        return f"{self._random.getrandbits(128):032x}"

    def link_up(self) -> None:
        self._up, self._misses = True, 0
        self._ratings_due = self._clock.seconds()
        self._poller.start()

    def link_down(self, reason: Outage) -> None:
        self._up = False
        self._poller.stop()
        if self.running:
            self._poller.lose(reason)

    async def _poll(self) -> float | None:
        if self._clock.seconds() >= self._ratings_due:
            ending = await self._link.say("RTD", patience=self._settings.patience)
            told = self._take(ending, read_ratings, RATED)
            pause = RATINGS_PERIOD if told else RATINGS_RETRY
            self._ratings_due = self._clock.seconds() + pause
        ending = await self._link.say("QAD", patience=self._settings.patience)
        decode = partial(read_live, runtime_unit=self._settings.runtime_unit)
        if self._take(ending, decode, LIVE):
            self._misses = 0
            self._link.proved_good()
            self._passwords.proved()
            self._poller.good()
        poll = self._settings.poll
        self._poller.period = min(poll, TEST_POLL) if self._tests.running else poll
        if not self._supply.doubtful:
            return None
        self._ratings_due = self._clock.seconds()  # the UPS may be another one, without the phase
        return min(poll, RECHECK)

    def _take(
        self, ending: Ending, decode: Callable[[str], Values], names: tuple[str, ...]
    ) -> bool:
        """Turn the ending of a query into points; returns whether the reading was good."""
        unsent = isinstance(ending, NotSent) and not isinstance(ending, Unreachable)
        if not self._up or unsent:
            return False
        if isinstance(ending, Result):
            query = "RTD" if names is RATED else "QAD"
            try:
                values = decode(ending.value)
            except WireError as error:
                self._failed(names, unreadable(query, str(error)))
                return False
            if wrong := [*values.wrong, *self._update(values.readings)]:
                self.status.error(unreadable(query, gist(wrong)))
            return True
        if isinstance(ending, CardRefusal):
            self._refused(ending, names)
        else:
            came = isinstance(ending, StayedBusy | Unread)
            self._failed(names, why(ending, self._link.silence), missed=not came)
        return False

    def _update(self, readings: Readings) -> Sequence[str]:
        """Hand over a reading; returns which numbers are not believed."""
        update = {name: (each.value, each.quality) for name, each in readings.items()}
        derive = self._derive if "state" in readings else None  # ratings: nothing follows
        return self._points.update(self.device, update, derive)

    def _derive(self, live: Update) -> Update:
        ratings = {name: self._points[f"{self.device}.{name}"].value for name in RATED}
        readings = {**live, **self._supply.derive(live, ratings)}
        self._tests.read(lambda name: readings[name][0])
        charge, quality = readings["battery_charge"]
        capacity = self._settings.battery_ah
        left: Measured = (None, Quality.NOT_SUPPORTED if capacity is None else quality)
        if capacity is not None and isinstance(charge, int | float):
            left = (capacity * charge / 100, Quality.GOOD)
        return {**readings, BATTERY_REMAINING: left, **self._tests.points()}

    def _good(self, name: str) -> Value:
        return self._points[f"{self.device}.{name}"].good

    def _refused(self, refusal: CardRefusal, names: tuple[str, ...]) -> None:
        if refusal.result != ErrorCode.PASSWORD_ERROR:
            self._failed(names, refused(refusal))
        elif not self._passwords.try_other():
            self._link.drop(refused(refusal))

    def _failed(self, names: tuple[str, ...], reason: Outage, *, missed: bool = False) -> None:
        self._points.fail(self.device, names)
        if names is not LIVE:  # a card without ratings may be fine otherwise
            self.status.error(reason)
            return
        self._poller.failed(reason)
        self._misses = self._misses + 1 if missed else 0
        if self._misses >= self._link.most_misses:
            self._link.drop(reason.in_a_row(self._poller.failures))

    def execute(self, command: str, args: Mapping[str, Any]) -> Deferred[CommandResult]:
        return ensureDeferred(self._commands.execute(command, args))


def _build(name: str, settings: UpsCardSettings, context: DeviceContext) -> UpsCard:
    tls = ClientTls(settings, context.certificate_seen)
    endpoint = client_endpoint(context.reactor, settings.address, tls)
    backoff = Backoff(RETRY_FIRST, RETRY_MOST, context.random.random)

    def link(card: UpsCard) -> TcpLink:
        tapped = context.tap.endpoint(endpoint)
        return TcpLink(card, tapped, settings.terminator, context.reactor, backoff)

    return UpsCard(name, settings, context, link)


kind = DeviceKind(
    "ups-card",
    UpsCardSettings,
    _build,
    frozenset({"elec", "ups"}),
    checks={**CARD_CHECKS, "address": partial(wrong_client, example="tcp:192.168.1.20:2390")},
)
