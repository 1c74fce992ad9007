"""A smart cabinet: it uploads to our `monitor.do`, and takes commands at its `remotecontrol.do`.

Source: the ETC document, section 3; decisions: `docs/protocols/etc-gantry.md`, "Receiving from
cabinets below us". A cabinet is online while uploads come. Every `poll` seconds it is asked for one
(`updateNow`), so that its loss shows within seconds rather than after some of its periods:

- If asking has ever brought an upload, or none has come yet, three requests in vain are a loss.
- If asking does not help but uploads come, only three periods without an upload are a loss.
"""

from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

import msgspec
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.defer import TimeoutError as TooLate
from twisted.logger import Logger
from zope.interface import implementer

from twisted_gantry.core.commands.types import CommandResult
from twisted_gantry.core.interfaces import (
    REPAIRED,
    DeviceContext,
    IBatteryRecorder,
    ICamera,
    IRefreshable,
    IUploader,
    Picture,
)
from twisted_gantry.core.points import Measured, Update
from twisted_gantry.core.status import State, Status
from twisted_gantry.devices.cabinet import points as names
from twisted_gantry.devices.cabinet import power_mode
from twisted_gantry.devices.cabinet.commands import (
    COMMANDS,
    POWER_MODE_COMMAND,
    CabinetCommands,
)
from twisted_gantry.devices.cabinet.power import CabinetPower
from twisted_gantry.devices.cabinet.power_mode import PowerMode
from twisted_gantry.devices.cabinet.rows import Rows, Strikes
from twisted_gantry.devices.kind import DeviceKind
from twisted_gantry.devices.polled import (
    MAX_FAILURES,
    Poller,
    PollPeriod,
    Refreshed,
    gist,
    http_client,
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
from twisted_gantry.net.outage import Cause, Outage, Reason, as_outage, outage, outage_of
from twisted_gantry.net.pem import TlsSettings
from twisted_gantry.net.service import NamedService
from twisted_gantry.net.timers import Timer
from twisted_gantry.remote.channel import TROUBLE, ControlChannel, Stamps, TurnedDown, code_of
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc.commands import EtcControl, server_url
from twisted_gantry.wire.etc.envelope import Answer, EtcCode, same_id
from twisted_gantry.wire.etc.uploads import GROUPS, LONGEST_ID, decode_upload
from twisted_gantry.wire.reading import Quality
from twisted_gantry.wire.secret import Secret

_log = Logger()

_T = TypeVar("_T")

# Seconds for the answer to a command, and for the upload that follows an `updateNow`.
DEADLINE = 10.0
UPLOAD_PATIENCE = 5.0
MISSED_PERIODS = 3
# Codes of answers that imply a good time stamp.
_PAST_THE_CLOCK = frozenset({EtcCode.SUCCESS, EtcCode.CONTROL_FAILED})

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_ID)]


class CabinetSettings(TlsSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a `[[device]]` of kind `cabinet`; times in seconds. `gantry_id` empty is our own.
    The cabinet uploads unasked every `period`.
    """

    url: str
    auth: Secret
    gantry_id: Annotated[str, msgspec.Meta(max_length=LONGEST_ID)] = ""
    cabinet_id: Id = "1"
    poll: PollPeriod = 60.0
    period: Annotated[float, msgspec.Meta(ge=1, le=31_536_000)] = 300.0
    over_voltage: OverVoltage = OVER_VOLTAGE
    under_voltage: UnderVoltage = UNDER_VOLTAGE
    nominal_voltage: NominalVoltage | None = None


_NOTHING = outage(
    Cause.NO_UPLOAD,
    en="it answers, but uploads nothing: is our monitor.do its server?",
    zh="机柜有应答但不上报：其服务器是否为本机monitor.do？",
)


@implementer(IUploader, IBatteryRecorder, ICamera, IRefreshable)
class SmartCabinet(NamedService):
    """The driver. `close` closes the connections of the channel."""

    kind = "cabinet"
    commands = COMMANDS

    def __init__(
        self,
        name: str,
        settings: CabinetSettings,
        context: DeviceContext,
        channel: ControlChannel,
        close: Callable[[], Deferred[Any]],
    ) -> None:
        super().__init__(name)
        self.device = name
        self.status = Status(name, context.now)
        gantry_id = settings.gantry_id or context.gantry_id
        self.uploads_as = (same_id(gantry_id), same_id(settings.cabinet_id))
        self.host = urlsplit(server_url(settings.url, "http")).hostname
        self._refusal: Outage | None = None  # why the last upload was refused, until one is taken
        self.counts: Counter[str] = Counter()
        """The number of uploads, and their oddities."""
        self._settings, self._points, self._tap = settings, context.points, context.tap
        self._clock = context.reactor
        self._channel, self._close = channel, close
        self._asking_helps = False
        self._unanswered = 0  # polls in a row without an answer
        self._upload_clock = self._command_clock = True
        # A poll is good when it brought an upload.
        self._poller = Poller(context, self.status, self._poll, settings.poll, losing=self._losing)
        self.poll_seconds = self._poller.seconds
        self.attempt = self._poller.attempt
        self._under_way: set[Deferred[Any]] = set()
        self._upload: Deferred[None] | None = None  # for the poll that waits
        self._refreshed = Refreshed(self._poller.now)
        self.refresh = self._refreshed.wait
        self._silence = Timer(context.reactor, self._silent)
        self._silence_period = MISSED_PERIODS * settings.period
        which, ask = settings.cabinet_id, self._poller.now
        self._commands = CabinetCommands(channel, which, self._answered, ask, self._period_set)
        context.points.declare(name, (*names.POINTS, power_mode.POINT))
        self._rows, self._strikes = Rows(name, context.points), Strikes()
        limits = Limits(settings.over_voltage, settings.under_voltage)
        self._power = CabinetPower(self._rows, limits, settings.nominal_voltage)
        self._power_mode = PowerMode(name, context.points, context.store)
        self.rules = (*names.rules(self._rows.told), *self._power.rules(), *power_mode.RULES)

    def startService(self) -> None:
        super().startService()
        self._silence.start(self._silence_period)
        self._poller.start()
        recalling = self._do(self._power_mode.recall())
        recalling.addErrback(lambda failure: failure.trap(CancelledError))

    def stopService(self) -> Deferred[Any]:
        super().stopService()
        self._poller.stop()
        self._silence.cancel()
        for each in tuple(self._under_way):
            each.cancel()
        return self._close()

    def uploaded(self, fields: Any, *, clock_good: bool, repaired: bool = False) -> None:
        """Take an upload. Raises BadMessage unless it is a report of this cabinet."""
        self._tap.uploaded(fields)
        upload = decode_upload(fields)
        if upload.id != self.uploads_as[1]:
            raise BadMessage(f"a report of another cabinet than {self.uploads_as[1]}")
        if not self.running:
            return
        for odd in upload.odd.keys() - self.counts.keys():  # logged once, then counted
            _log.warn("{name} uploads with a {odd}", name=self.device, odd=odd)
        self.counts.update(upload.odd)
        self.counts["uploads"] += 1
        if repaired:
            self.counts[REPAIRED] += 1
        self._refusal = None
        self._upload_clock = clock_good
        update = self._rows.take(upload) | self._clock_point()
        update[names.COMMANDS_ANSWERED] = (self._unanswered < MAX_FAILURES, Quality.GOOD)
        refused = self._points.update(self.device, update, self._derive)
        if refused:
            told = gist(refused)
            en, zh = f"not believed: {told}", f"数值不可信：{told}"
            self.status.error(outage(Cause.MALFORMED, en=en, zh=zh))
        self._silence.start(self._silence_period)
        self._poller.heard()
        upload_waited_for, self._upload = self._upload, None
        if upload_waited_for is not None:
            upload_waited_for.callback(None)
        elif self._power.doubtful:
            self._poller.now()
        self._refreshed.done()

    def _derive(self, judged: Update) -> Update:
        struck = self._strikes.take(judged, self._rows.present("thunder_spd"))
        if struck == (True, Quality.GOOD):
            # Each strike is an alarm of its own: the previous one ends here.
            self._points.update(self.device, {names.LIGHTNING_STRUCK: (False, Quality.GOOD)})
        return {**self._power.derive(judged), names.LIGHTNING_STRUCK: struck}

    def upload_refused(self, reason: Reason) -> None:
        self.counts["uploads-refused"] += 1
        self._refusal = as_outage(reason)
        self.status.error(self._refusal)

    def _period_set(self, seconds: float) -> None:
        self._silence_period = MISSED_PERIODS * seconds
        if self.running:
            self._silence.start(self._silence_period)

    def _silent(self) -> None:
        seconds = f"{self._silence_period:g}"
        en, zh = f"no upload for {seconds} s", f"{seconds}秒内未收到上报"
        self._poller.lose(self._refusal or outage(Cause.NO_UPLOAD, en=en, zh=zh))

    def _clock_point(self) -> dict[str, Measured]:
        return {names.CLOCK_GOOD: (self._upload_clock and self._command_clock, Quality.GOOD)}

    async def _poll(self) -> float:
        """Ask for an upload; returns the seconds until the next time."""
        before = self.counts["uploads"]
        try:
            answer = await self._channel.tell(EtcControl(update_now=True))
        except TROUBLE as error:
            answered = isinstance(error, TurnedDown)
            self._unanswered = 0 if answered else self._unanswered + 1
            self._missed(outage_of(error))
            return self._poller.backoff.next()
        self._answered(answer)
        if code_of(answer) is not EtcCode.SUCCESS:
            # An answer that is no success does not call for a shorter pause.
            self._missed(self._channel.why(answer))
            return self._settings.poll
        if self.counts["uploads"] == before and not await self._upload_comes():
            self._missed(self._refusal or _NOTHING)
            return self._poller.backoff.next()
        self._asking_helps = True
        self._poller.backoff.reset()
        poll = self._settings.poll
        return min(poll, RECHECK) if self._power.doubtful else poll

    async def _upload_comes(self) -> bool:
        self._upload = Deferred()
        try:
            await self._upload.addTimeout(UPLOAD_PATIENCE, self._clock)
        except TooLate:
            return False
        finally:
            self._upload = None
        return True

    def _answered(self, answer: Answer) -> None:
        self._unanswered = 0
        code = code_of(answer)
        if code is EtcCode.CLOCK_SKEW:
            self._command_clock = False
        elif code in _PAST_THE_CLOCK:
            self._command_clock = True
        if self.running:
            self._points.update(
                self.device, {names.COMMANDS_ANSWERED: (True, Quality.GOOD), **self._clock_point()}
            )

    def _missed(self, reason: Outage) -> None:
        if not self.running:
            return
        self.counts["poll-failed"] += 1
        known = self.status.state is State.ONLINE and not self._asking_helps
        self._poller.failed(reason, bearable=known)
        self._refreshed.done()

    def _losing(self) -> None:
        if self.status.state is not State.OFFLINE:
            own = [each.name for each in names.POINTS if each.name != names.CLOCK_GOOD]
            self._points.fail(self.device, [*own, *self._rows.names()])
        self._asking_helps = False

    def execute(self, command: str, args: Mapping[str, Any]) -> Deferred[CommandResult]:
        doing = self._commands.execute(command, args)
        if command == POWER_MODE_COMMAND:
            doing = self._power_mode.setting(int(args["mode"]), doing)
        return self._do(doing)

    def battery_test_result(self) -> Deferred[Mapping[str, str]]:
        return self._do(self._commands.battery_test_result())

    def picture(self, opened: str) -> Deferred[Picture | None]:
        return self._do(self._commands.picture(opened))

    def _do(self, doing: Coroutine[Deferred[Any], Any, _T]) -> Deferred[_T]:
        under_way = ensureDeferred(doing)
        self._under_way.add(under_way)

        def over(result: _T) -> _T:
            self._under_way.discard(under_way)
            return result

        return under_way.addBoth(over)


def _wrong_url(text: str) -> str:
    try:
        server_url(text, "http")
    except BadMessage:
        return "must be http(s)://host[:port]/remotecontrol.do"
    return ""


def _wrong_auth(auth: Secret) -> str:
    code = auth.reveal()
    fits = 0 < len(code) <= 128 and code.isascii() and code.isprintable()
    return "" if fits else "must be 1 to 128 characters of ASCII"


def _build(name: str, settings: CabinetSettings, context: DeviceContext) -> SmartCabinet:
    url = server_url(settings.url, "http")
    client, close = http_client(context, DEADLINE, settings)
    gantry_id = settings.gantry_id or context.gantry_id
    channel = ControlChannel(url, settings.auth, gantry_id, client, Stamps(context.now).next)
    return SmartCabinet(name, settings, context, channel, close)


kind = DeviceKind(
    "cabinet",
    CabinetSettings,
    _build,
    frozenset(GROUPS),
    row_points=lambda group: frozenset(each.name for each in GROUPS[group].fields),
    point_type=names.point_type,
    checks={"url": _wrong_url, "auth": _wrong_auth},
)
