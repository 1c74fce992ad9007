"""The channels of the Fogslink uplink: what each shows, and when it is reported.

A channel without a configuration is reported every period and on every change. With `sType` 1 only
the period counts, with 0 only changes (`docs/protocols/fogslink.md`, "Decisions").
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twisted_gantry.core.points import Points
from twisted_gantry.wire.fogslink import messages
from twisted_gantry.wire.fogslink.messages import Configure, FogslinkCode, Item, ReportType
from twisted_gantry.wire.reading import Quality

_SOON = 0.05  # timers are not exact: channels due within this many seconds go along


@dataclass(frozen=True)
class Change:
    """A checked configuration of a channel; None leaves a setting as it is."""

    channel: str
    period: float | None
    report_type: ReportType | None

    @property
    def code(self) -> FogslinkCode:
        if self.period is None:
            return FogslinkCode.TYPE_SET
        return FogslinkCode.PERIOD_SET if self.report_type is None else FogslinkCode.BOTH_SET


@dataclass
class _Channel:
    """A channel; `due` is the time of its next report by the clock, `last` its last report."""

    point: str
    period: float | None = None
    report_type: ReportType | None = None
    due: float = 0.0
    last: Item | None = None


class Channels:
    """`channels` maps a channel to the full name of its point; `period` is that of the settings.
    Times are seconds of a monotonic clock. Channels of equal periods fall due together, whenever
    the periods were set.
    """

    def __init__(self, channels: Mapping[str, str], points: Points, period: float) -> None:
        self._channels = {name: _Channel(point) for name, point in channels.items()}
        self._points, self._period = points, period
        self._base = 0.0
        self._by_point: dict[str, list[str]] = {}
        for name, point in channels.items():
            self._by_point.setdefault(point, []).append(name)

    # -- what

    def items(self, names: Iterable[str] | None = None) -> list[Item]:
        """Return the present state of the named channels, by default of all."""
        return [self._item(name) for name in (self._channels if names is None else names)]

    def reported(self, items: Iterable[Item]) -> None:
        for each in items:
            self._channels[each.e_chan].last = each

    def unreported(self, items: Iterable[Item]) -> None:
        """Note that a report is lost: the next state of its channels counts as changed."""
        for each in items:
            self._channels[each.e_chan].last = None

    def changed(self, points: Iterable[str]) -> list[str]:
        """Return the channels to report on change: of these points, and of points that are gone."""
        names = [name for point in points for name in self._by_point.get(point, ())]
        # The removal of a point is not announced.
        names += [
            name for name, each in self._channels.items() if self._points.get(each.point) is None
        ]
        every_period = ReportType.EVERY_PERIOD
        return [name for name in names if self._channels[name].report_type is not every_period]

    def news(self, names: Iterable[str]) -> list[Item]:
        """Return the state of those channels that differ from their last report."""
        return [each for each in self.items(names) if each != self._channels[each.e_chan].last]

    def _item(self, name: str) -> Item:
        point = self._points.get(self._channels[name].point)
        if point is None:
            return messages.item(name, None, Quality.NO_DATA)
        return messages.item(name, point.value, point.quality)

    # -- when

    def begin(self, now: float) -> None:
        """Count the periods from `now`; everything has just been reported."""
        self._base = now
        self._plan(self._channels, now)

    def due(self, now: float) -> list[str]:
        """Return the channels whose period is over, and begin the next."""
        names = [name for name in self._periodic() if self._channels[name].due <= now + _SOON]
        self._plan(names, now)
        return names

    def next_due(self) -> float | None:
        """Return when the next is due; None if none goes by a period."""
        return min((self._channels[name].due for name in self._periodic()), default=None)

    def _periodic(self) -> list[str]:
        return [
            name
            for name, channel in self._channels.items()
            if channel.report_type is not ReportType.ON_CHANGE
        ]

    def _plan(self, names: Iterable[str], now: float) -> None:
        for name in names:
            period = self._channels[name].period or self._period
            passed = (now + _SOON - self._base) // period
            self._channels[name].due = self._base + (passed + 1) * period

    # -- as the cloud configured it

    def check(self, message: Configure) -> Change | None:
        """Return the valid part of a configuration; None without any."""
        if message.e_chan not in self._channels:
            return None
        period = messages.period_of(message.s_period) if isinstance(message.s_period, str) else None
        kind = messages.report_type_of(message.s_type) if isinstance(message.s_type, str) else None
        if period is None and kind is None:
            return None
        return Change(message.e_chan, period, kind)

    def apply(self, changes: Iterable[Change], now: float) -> None:
        for change in changes:
            channel = self._channels[change.channel]
            channel.period = change.period or channel.period
            channel.report_type = change.report_type or channel.report_type
            self._plan([change.channel], now)

    def stored(self, changes: Sequence[Change] = ()) -> dict[str, dict[str, Any]]:
        kept: dict[str, dict[str, Any]] = {}
        known = [
            Change(name, channel.period, channel.report_type)
            for name, channel in self._channels.items()
        ]
        for change in [*known, *changes]:
            fields = kept.setdefault(change.channel, {})
            if change.period is not None:
                fields["period"] = change.period
            if change.report_type is not None:
                fields["type"] = change.report_type.value
        return {name: fields for name, fields in kept.items() if fields}

    def restore(self, stored: Any) -> None:
        """Apply a stored configuration; channels that are gone are left out."""
        for name, fields in stored.items() if isinstance(stored, dict) else ():
            if isinstance(fields, dict):
                change = self.check(
                    Configure(
                        eq_sn="",
                        e_chan=name,
                        s_period=f"{fields.get('period', '')}",
                        s_type=f"{fields.get('type', '')}",
                    )
                )
                self.apply([] if change is None else [change], self._base)
