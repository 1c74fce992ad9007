"""What the agent knows of a gantry: one look at its local API."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from twisted_gantry.ctl.client import Api
from twisted_gantry.wire import local_api
from twisted_gantry.wire.reading import Quality, Value

NEEDED = ("mains_abnormal", "battery_low")
"""The points that make a device a UPS, as the NUT server has it."""


def unix(time: str | None) -> float | None:
    """Return the Unix seconds of a time of the API."""
    try:
        return None if time is None else datetime.fromisoformat(time).timestamp()
    except ValueError:
        return None


@dataclass(frozen=True)
class Snapshot:
    """The site at `at`, Unix seconds. `alarms` are the active ones."""

    at: float
    site: local_api.SiteView
    points: Mapping[str, local_api.PointView]
    alarms: tuple[local_api.AlarmView, ...]

    @property
    def upses(self) -> list[str]:
        """The names of the UPSes, in the order of the names."""
        names = sorted(device.name for device in self.site.devices)
        return [n for n in names if all(f"{n}.{need}" in self.points for need in NEEDED)]

    def good(self, point: str) -> Value:
        """Return the value of a point that holds now, else None."""
        known = self.points.get(point)
        return known.value if known is not None and known.quality == Quality.GOOD else None

    def last(self, point: str) -> Value:
        """Return the last good value of a point, such as a rating, else None."""
        known = self.points.get(point)
        return None if known is None else known.value


def look(api: Api, now: Callable[[], float]) -> Snapshot:
    """Ask the API. Raises ApiError."""
    site = api.get("/api/v1/site").fit(local_api.SiteView)
    points = api.get("/api/v1/points").fit(local_api.Points).points
    alarms = api.get("/api/v1/alarms", {"active": 1}).fit(local_api.AlarmList).alarms
    active = tuple(alarm for alarm in alarms if alarm.cleared_at is None)
    return Snapshot(now(), site, {point.point: point for point in points}, active)
