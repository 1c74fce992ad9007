"""Points: one measured or derived value each, its quality, the time of its last good reading.

A device hands in what one reading brought, as a batch; whoever subscribed sees the batch once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from twisted.logger import Logger

from twisted_gantry.core.catalogue import Catalogue, PointType
from twisted_gantry.wire.reading import Quality, Value

_log = Logger()


@dataclass(frozen=True, slots=True)
class Point:
    """The state of a point. `at` is Unix seconds, None before the first good reading.

    When a reading fails, `value` and `at` stay the last good ones and `quality` says so.
    """

    name: str
    value: Value = None
    quality: Quality = Quality.NO_DATA
    at: float | None = None

    @property
    def good(self) -> Value:
        """The value if it is known to hold now, else None."""
        return self.value if self.quality is Quality.GOOD else None


@dataclass(frozen=True, slots=True)
class Change:
    """What a reading did to a point; a good reading of the same value is a change too."""

    old: Point
    new: Point


Batch = Sequence[Change]
Update = Mapping[str, tuple[Value, Quality]]


class Points:
    """The points of the site, and who wants to know of them. `now` returns Unix seconds."""

    def __init__(self, catalogue: Catalogue, now: Callable[[], float]) -> None:
        self.catalogue = catalogue
        self._now = now
        self._points: dict[str, Point] = {}
        self._subscribers: list[Callable[[str, Batch], None]] = []

    def declare(self, device: str, types: Iterable[PointType]) -> None:
        """Enter the points of a device, not read yet."""
        for name in self.catalogue.add(device, types):
            self._points[name] = Point(name)

    def retract(self, device: str, names: Iterable[str]) -> None:
        """Take out points of a device that it has no more, by the names without the device's.

        Raises KeyError for a name that there is not.
        """
        for name in names:
            self.catalogue.remove(f"{device}.{name}")
            del self._points[f"{device}.{name}"]

    def __getitem__(self, name: str) -> Point:
        """Return a point by its full name. Raises KeyError."""
        return self._points[name]

    def get(self, name: str) -> Point | None:
        """Return a point by its full name, None if there is no such."""
        return self._points.get(name)

    def under(self, prefix: str = "") -> list[Point]:
        """Return the points whose full name begins with `prefix`, in the order of the catalogue."""
        return [point for name, point in self._points.items() if name.startswith(prefix)]

    def update(self, device: str, readings: Update) -> None:
        """Take what a reading of `device` brought, by the names without the device's."""
        now = self._now()
        batch = []
        for name, (value, quality) in readings.items():
            old = self._points[f"{device}.{name}"]
            if quality is Quality.GOOD:
                new = Point(old.name, value, quality, now)
            elif quality is Quality.NOT_SUPPORTED:
                new = Point(old.name, None, quality)
            else:
                new = replace(old, quality=quality)
            self._points[old.name] = new
            batch.append(Change(old, new))
        self._tell(device, batch)

    def fail(self, device: str, names: Iterable[str] | None = None) -> None:
        """Mark points of `device`, all if none are named, as those whose last reading failed."""
        if names is None:
            names = [point.name.partition(".")[2] for point in self.under(f"{device}.")]
        self.update(device, dict.fromkeys(names, (None, Quality.GET_FAILED)))

    def subscribe(self, subscriber: Callable[[str, Batch], None]) -> Callable[[], None]:
        """Call `subscriber(device, batch)` after each reading; returns how to end that."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def _tell(self, device: str, batch: Batch) -> None:
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(device, batch)
            except Exception:
                _log.failure("a subscriber failed on the points of {device}", device=device)
