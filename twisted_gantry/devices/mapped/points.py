"""The points of a mapped device: what the settings describe, and what roles make of that."""

from collections.abc import Iterable, Mapping, Sequence

from twisted_gantry.core.points import Measured, Points, Update
from twisted_gantry.devices.mapped.roles import Role, Roles
from twisted_gantry.devices.mapped.settings import FAILED, MappedPoint, MappedSettings
from twisted_gantry.wire.reading import Value


def roles_of(points: Iterable[MappedPoint]) -> dict[str, Role]:
    return {each.name: Role.parse(each.role) for each in points if each.role}


def groups_of(points: Iterable[MappedPoint]) -> frozenset[str]:
    """Return the groups of a `[[cabinet]]` that such a device can be the source of."""
    return frozenset(role.group for role in roles_of(points).values())


class MappedPoints:
    """Declares the points of `device`, and takes each reading as one update."""

    def __init__(
        self,
        device: str,
        mapped: Sequence[MappedPoint],
        points: Points,
        settings: MappedSettings,
    ) -> None:
        self._device, self._points = device, points
        self._mapped = {each.name: each for each in mapped}
        self._roles = Roles(roles_of(mapped), settings.limits, settings.nominal_voltage)
        points.declare(device, [each.type_of for each in mapped])
        points.declare(device, self._roles.points())
        untold = self._roles.untold()
        points.update(device, untold)
        self._live = [
            point.name.partition(".")[2]
            for point in points.under(f"{device}.")
            if point.name.partition(".")[2] not in untold
        ]
        self.rules = self._roles.rules()

    @property
    def doubtful(self) -> bool:
        """Whether another reading is needed soon."""
        return self._roles.doubtful

    def take(self, values: Mapping[str, Value]) -> Sequence[str]:
        """Take a reading: the values by the point, None for one that failed, as a point that is
        missing. Returns why numbers were not believed.
        """
        update: dict[str, Measured] = {}
        for name, point in self._mapped.items():
            value = values.get(name)
            update[name] = FAILED if value is None else point.measured(value)
        return self._points.update(self._device, update, self._derive)

    def fail(self) -> None:
        """Mark the last reading of every point as failed."""
        self._points.fail(self._device, self._live)

    def _derive(self, judged: Update) -> Update:
        return self._roles.derive(judged)
