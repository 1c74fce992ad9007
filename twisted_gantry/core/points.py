"""Points: one measured or derived value each, its quality, the time of its last good reading.

A device hands in the values of one reading as a batch; each subscriber gets the batch once.
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

    After a failed reading `value` and `at` are still the last good ones; `quality` tells.
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
    """The effect of a reading on a point; a good reading of the same value is a change too."""

    old: Point
    new: Point


Batch = Sequence[Change]
Update = Mapping[str, tuple[Value, Quality]]


class Points:
    """The points of the site, and their subscribers. `now` returns Unix seconds."""

    def __init__(self, catalogue: Catalogue, now: Callable[[], float]) -> None:
        self.catalogue = catalogue
        self._now = now
        self._points: dict[str, Point] = {}
        self._subscribers: list[Callable[[str, Batch], None]] = []

    def declare(self, device: str, types: Iterable[PointType]) -> None:
        """Add the points of a device, without a reading. Raises ValueError for a known name."""
        for name in self.catalogue.add(device, types):
            self._points[name] = Point(name)

    def retract(self, device: str, names: Iterable[str]) -> None:
        """Remove points of a device, by the names without the device's. Raises KeyError."""
        for name in names:
            self.catalogue.remove(f"{device}.{name}")
            del self._points[f"{device}.{name}"]

    def __getitem__(self, name: str) -> Point:
        """Return a point by its full name. Raises KeyError."""
        return self._points[name]

    def get(self, name: str) -> Point | None:
        """Return a point by its full name; None for an unknown one."""
        return self._points.get(name)

    def under(self, prefix: str = "") -> list[Point]:
        """Return the points whose full name begins with `prefix`, in the order of the catalogue."""
        return [point for name, point in self._points.items() if name.startswith(prefix)]

    def update(self, device: str, readings: Update) -> None:
        """Take the values of a reading of `device`, by the names without the device's."""
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
        """Mark the last reading of points of `device` as failed; of all if none are named."""
        if names is None:
            names = [point.name.partition(".")[2] for point in self.under(f"{device}.")]
        self.update(device, dict.fromkeys(names, (None, Quality.GET_FAILED)))

    def subscribe(self, subscriber: Callable[[str, Batch], None]) -> Callable[[], None]:
        """Call `subscriber(device, batch)` after each reading; returns the function to end that."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def _tell(self, device: str, batch: Batch) -> None:
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(device, batch)
            except Exception:
                _log.failure("a subscriber failed on the points of {device}", device=device)
