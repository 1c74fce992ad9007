"""Feeds: points of the site, pushed into meters and EVSEs of the type "HTTP input".

A manager that cannot read a UPS learns of the mains this way. Its answer for an EVSE becomes points
of that EVSE. No charger is switched here, because the site has none of its own
(`docs/protocols/cfos.md`, `set_ajax_meter` and `set_ajax_evse`).
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated

import msgspec
from attrs import define
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from twisted_gantry.core.interfaces import REPAIRED
from twisted_gantry.core.points import Point, Points
from twisted_gantry.devices.cfos.channel import CfosChannel, WrongStatus
from twisted_gantry.devices.cfos.points import FEED_CONTROL, FEED_WORKING, feed_points
from twisted_gantry.net.http.client import NoAnswer
from twisted_gantry.net.timers import Repeated
from twisted_gantry.wire.cfos import calls
from twisted_gantry.wire.errors import WireError
from twisted_gantry.wire.json import salvage
from twisted_gantry.wire.reading import Quality

_log = Logger()

# The model that the tile of a fed device shows.
MODEL = "twisted_gantry"
MAX_FEEDS = 16

_POINT = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}(\.[A-Za-z0-9_]{1,40}){1,2}")
_SOURCE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}(\.[EM][0-9]{1,3})?")

_Three = Annotated[list[str], msgspec.Meta(min_length=1, max_length=3)]

# Names of the points of a source: those of a UPS, those of a meter.
_VOLTAGES, _CURRENTS = (
    (tuple(f"input_{what}_{phase}" for phase in "rst"), tuple(f"{what}_l{n}" for n in (1, 2, 3)))
    for what in ("voltage", "current")
)


class FeedSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"source": "from"}
):
    """One of `feeds`: points that go `to` a meter or an EVSE every `period` seconds. The points of
    `from`, a device or a part, are found by their usual names. A named point takes precedence.
    `max_current` is A, for an EVSE.
    """

    to: str
    source: str = ""
    period: Annotated[float, msgspec.Meta(ge=0.5, le=86_400)] = 5.0
    voltage: _Three | None = None
    current: _Three | None = None
    power: str = ""
    import_energy: str = ""
    export_energy: str = ""
    state: str = ""
    max_current: Annotated[float, msgspec.Meta(ge=6, le=63)] | None = None

    def named(self) -> Iterator[str]:
        yield from (*(self.voltage or ()), *(self.current or ()))
        single = (self.power, self.import_energy, self.export_energy, self.state)
        yield from (each for each in single if each)


def wrong_feeds(feeds: Sequence[FeedSettings]) -> str:
    """Return what is wrong with feeds, empty if nothing is."""
    if len(feeds) > MAX_FEEDS:
        return f"has more than {MAX_FEEDS}"
    for feed in feeds:
        if not calls.DEVICE_ID.fullmatch(feed.to):
            return f"to must be like M2 or E2; it is {feed.to[:40]!r}"
        if sum(other.to == feed.to for other in feeds) > 1:
            return f"{feed.to} is fed twice"
        if feed.source and not _SOURCE.fullmatch(feed.source):
            return f"from must be a device or a part of one; it is {feed.source[:40]!r}"
        if not feed.source and not any(feed.named()):
            return f"{feed.to} has neither from nor points"
        for name in feed.named():
            if not _POINT.fullmatch(name):
                return f"must name points like ups1.input_voltage_r; it is {name[:80]!r}"
        evse = feed.to.startswith("E")
        unfit = (feed.state or feed.max_current) if not evse else (feed.power or feed.voltage)
        if unfit:
            what = "voltage or power" if evse else "state or max_current"
            return f"{feed.to} takes no {what}"
    return ""


class Unknown(Exception):
    """A value to feed is not known now; the text says which."""


@define(eq=False)
class _Source:
    """Finds the values of one feed among the points; all that find one raise Unknown."""

    _settings: FeedSettings
    _points: Points

    def meter(self) -> calls.MeterFeed:
        settings = self._settings
        feed = calls.MeterFeed(
            model=MODEL,
            voltage=self._phases(settings.voltage, _VOLTAGES, 1),
            current=self._phases(settings.current, _CURRENTS, 1000),
            power_w=self._power(),
            import_wh=self._energy(settings.import_energy, "import_energy"),
            export_wh=self._energy(settings.export_energy, "export_energy"),
        )
        if feed == calls.MeterFeed(model=MODEL):
            raise Unknown(f"{settings.source or 'the feed'} has no points to feed")
        return feed

    def evse(self) -> calls.EvseFeed:
        settings = self._settings
        most = settings.max_current
        return calls.EvseFeed(
            model=MODEL,
            state=self._state(),
            max_charging_current=None if most is None else most * 1000,
            current=self._phases(settings.current, _CURRENTS, 1000),
            total_energy=self._energy(settings.import_energy, "import_energy"),
        )

    def _phases(
        self, named: list[str] | None, usual: tuple[tuple[str, ...], ...], factor: int
    ) -> tuple[float, ...] | None:
        """Return the three phase values; missing phases are 0. None without any phase."""
        names = tuple(named or ())
        if not names and self._settings.source:
            lists = [tuple(f"{self._settings.source}.{each}" for each in some) for some in usual]
            names = next((some for some in lists if self._points.get(some[0]) is not None), ())
        if not names:
            return None
        values = [self._value(name) for name in names]
        if all(value is None for value in values):
            return None
        filled = [0.0 if value is None else value * factor for value in values]
        return tuple(filled + [0.0] * (3 - len(filled)))

    def _power(self) -> float | None:
        name = self._name(self._settings.power, "power")
        return self._value(name) if name else None

    def _energy(self, named: str, usual: str) -> float | None:
        """Return a counter, None if unknown: the manager then keeps its value."""
        name = self._name(named, usual)
        number = calls.bounded_number(self._get(name).good) if name else None
        return None if number is None else float(number)

    def _name(self, named: str, usual: str) -> str:
        if named or not self._settings.source:
            return named
        name = f"{self._settings.source}.{usual}"
        return name if self._points.get(name) is not None else ""

    def _value(self, name: str) -> float | None:
        """Return the number of a point, None if `not-supported`. Raises Unknown."""
        point = self._get(name)
        if point.quality is Quality.NOT_SUPPORTED:
            return None
        number = calls.bounded_number(point.good)
        if number is None:
            raise Unknown(f"{name} is not known")
        return float(number)

    def _state(self) -> int | None:
        name = self._name(self._settings.state, "state")
        value = self._get(name).good if name else None
        if isinstance(value, str):
            states = {each.text: int(each) for each in calls.EvseState}
            return states.get(value) if value != calls.EvseState.OFFLINE.text else None
        number = calls.bounded_number(value)
        return int(number) if number is not None and 1 <= number < calls.EvseState.OFFLINE else None

    def _get(self, name: str) -> Point:
        point = self._points.get(name)
        if point is None:
            raise Unknown(f"there is no point {name}")
        return point


@define(eq=False, slots=False)
class Feed:
    """Pushes one feed at its period. `wanted` returns whether the manager can be reached now."""

    _device: str
    _settings: FeedSettings
    _points: Points
    _channel: CfosChannel
    _clock: IReactorTime
    _wanted: Callable[[], bool]
    _counts: Counter[str]

    def __attrs_post_init__(self) -> None:
        self._source = _Source(self._settings, self._points)
        self._reason = ""
        self._pushing = Repeated(self._clock, self._due, f"a feed of {self._device}")
        self._points.declare(self._device, feed_points(self._settings.to))

    def start(self) -> None:
        self._pushing.start(self._settings.period)

    def stop(self) -> None:
        self._pushing.stop()

    async def _due(self) -> float:
        began = self._clock.seconds()
        await self._push()
        return self._settings.period - (self._clock.seconds() - began)

    async def _push(self) -> None:
        if not self._wanted():
            self._tell_failed()
            return
        to = self._settings.to
        try:
            if to.startswith("M"):
                await self._feed_meter(to)
            else:
                await self._feed_evse(to)
        except (Unknown, NoAnswer, WrongStatus, WireError) as error:
            self._failed(str(error))
        else:
            if self._reason:
                _log.info("{name}: {to} is fed again", name=self._device, to=to)
            self._reason = ""

    async def _feed_meter(self, to: str) -> None:
        feed = self._source.meter()
        calls.expect_ok(await self._channel.ask(calls.call("set_ajax_meter", {"dev_id": to}, feed)))
        self._points.update(self._device, {f"{to}.{FEED_WORKING}": (True, Quality.GOOD)})

    async def _feed_evse(self, to: str) -> None:
        feed = self._source.evse()
        answer = await self._channel.ask(calls.call("set_ajax_evse", {"dev_id": to}, feed))
        answered = salvage(answer)
        if answered.repairs:
            self._counts[REPAIRED] += 1
        control = calls.decode_control(answered.value)
        current = control.charging_current
        values = {
            FEED_WORKING: True,
            "feed_device_enabled": control.device_enabled,
            "feed_charging_enabled": control.charging_enabled,
            "feed_paused": control.paused,
            "feed_current": None if current is None else current / 1000,
        }
        update = {
            f"{to}.{name}": (value, Quality.GET_FAILED if value is None else Quality.GOOD)
            for name, value in values.items()
        }
        self._points.update(self._device, update)

    def _failed(self, reason: str) -> None:
        self._counts["feed-failed"] += 1
        if not self._reason:  # once: alternating reasons would fill the log
            name, to, why = self._device, self._settings.to, reason[:200]
            _log.warn("{name}: {to} is not fed: {reason}", name=name, to=to, reason=why)
        self._reason = reason
        self._tell_failed()

    def _tell_failed(self) -> None:
        to = self._settings.to
        asked = FEED_CONTROL if to.startswith("E") else ()
        update = {f"{to}.{name}": (None, Quality.GET_FAILED) for name in asked}
        self._points.update(self._device, {f"{to}.{FEED_WORKING}": (False, Quality.GOOD), **update})
