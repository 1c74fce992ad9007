"""Points: one measured or derived value each, its quality, the time of its last good reading.

A device hands in the values of one reading as a batch; each number is judged (`core/bounds.py`),
and each subscriber gets the batch once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from twisted.logger import Logger

from twisted_gantry.core.bounds import Adjust, Check
from twisted_gantry.core.catalogue import Catalogue, PointType
from twisted_gantry.logs import MASKS
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
Measured = tuple[Value, Quality]
Update = Mapping[str, Measured]
Derive = Callable[[Update], Update]

_FAILED: Measured = (None, Quality.GET_FAILED)
LOG_EVERY = 60.0  # seconds between two lines about a point with values that cannot be


class Points:
    """The points of the site, and their subscribers.

    `now` returns Unix seconds; `seconds` is a monotonic clock, that of the counters.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        now: Callable[[], float],
        seconds: Callable[[], float] | None = None,
    ) -> None:
        self.catalogue = catalogue
        self._now, self._seconds = now, seconds or now
        self._points: dict[str, Point] = {}
        self._checks: dict[str, Check] = {}
        self._adjusts: dict[str, Mapping[str, Adjust]] = {}
        self._logged: dict[str, float] = {}
        self._subscribers: list[Callable[[str, Batch], None]] = []

    def declare(self, device: str, types: Iterable[PointType]) -> None:
        """Add the points of a device, without a reading. Raises ValueError for a known name."""
        adjusts = self._adjusts.get(device, {})
        for name in self.catalogue.add(device, types):
            self._points[name] = Point(name)
            bounds, adjust = self.catalogue[name].bounds, adjusts.get(name.partition(".")[2])
            if bounds is not None or adjust is not None:
                self._checks[name] = Check(bounds, adjust, self._seconds)

    def adjust(self, device: str, adjusts: Mapping[str, Adjust]) -> None:
        """Set how numbers of a device are adjusted, before its points are declared."""
        self._adjusts[device] = adjusts

    def retract(self, device: str, names: Iterable[str]) -> None:
        """Remove points of a device, by the names without the device's. Raises KeyError."""
        for name in names:
            full = f"{device}.{name}"
            self.catalogue.remove(full)
            del self._points[full]
            self._checks.pop(full, None)
            self._logged.pop(full, None)

    def __getitem__(self, name: str) -> Point:
        """Return a point by its full name. Raises KeyError."""
        return self._points[name]

    def get(self, name: str) -> Point | None:
        """Return a point by its full name; None for an unknown one."""
        return self._points.get(name)

    def under(self, prefix: str = "") -> list[Point]:
        """Return the points whose full name begins with `prefix`, in the order of the catalogue."""
        return [point for name, point in self._points.items() if name.startswith(prefix)]

    def update(self, device: str, readings: Update, derive: Derive | None = None) -> Sequence[str]:
        """Take the values of a reading of `device`, by the names without the device's.

        `derive` returns more values from the judged ones, which they may replace. Returns why
        numbers were not believed, a text for each.
        """
        refused: list[str] = []
        judged = self._judged(device, readings, refused)
        if derive is not None:
            derived = derive(judged)
            own = {name: each for name, each in derived.items() if name not in readings}
            judged = {**judged, **derived, **self._judged(device, own, refused)}
        self._store(device, judged)
        return refused

    def _judged(self, device: str, readings: Update, refused: list[str]) -> dict[str, Measured]:
        judged: dict[str, Measured] = {}
        for name, measured in readings.items():
            value, quality = measured
            judged[name] = measured
            if quality is not Quality.GOOD:
                continue
            check = self._checks.get(f"{device}.{name}")
            if check is None or isinstance(value, bool) or not isinstance(value, int | float):
                continue
            taken = check.take(value)
            if taken is None:
                judged[name] = _FAILED
                if check.why_not:
                    refused.append(f"{name}: {check.why_not}")
                    self._log(f"{device}.{name}", check.why_not)
            else:
                judged[name] = (taken, quality)
        return judged

    def _log(self, name: str, why: str) -> None:
        seconds = self._seconds()
        if seconds - self._logged.get(name, -LOG_EVERY) >= LOG_EVERY:
            self._logged[name] = seconds
            _log.warn("{point} is not believed: {why}", point=name, why=why)

    def _store(self, device: str, readings: Update) -> None:
        now = self._now()
        batch = []
        for name, (value, quality) in readings.items():
            old = self._points[f"{device}.{name}"]
            if quality is Quality.GOOD:
                if isinstance(value, str):  # a peer may say a secret back
                    value = MASKS.masked(value)
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
