"""The rows of a cabinet as they come and go, and lightning strikes between uploads."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from twisted_gantry.core.points import Measured, Points
from twisted_gantry.devices.cabinet.points import group_points
from twisted_gantry.wire.etc.uploads import CabinetUpload, GroupUpload, Readings
from twisted_gantry.wire.reading import Quality

# Uploads in a row without a row after which its points go: one list may be cut short.
MISSING_UPLOADS = 3
# Stands for the rows of a group that no upload has told: an absent group is not an empty one.
_UNTOLD_ROW = "1"


@dataclass
class _Known:
    """A row whose points are declared, by their names."""

    names: tuple[str, ...]
    missing: int = 0


class Rows:
    """Declares and retracts the points of rows, and turns each upload into an update of points."""

    def __init__(self, device: str, points: Points) -> None:
        self._device, self._points = device, points
        self._known: dict[str, dict[str, _Known]] = {}
        self._uploaded = False

    def present(self, group: str) -> Collection[str]:
        return self._known.get(group, {}).keys()

    def told(self, group: str) -> Collection[str] | None:
        """Return the present rows; None before any upload."""
        return self.present(group) if self._uploaded else None

    def names(self) -> list[str]:
        rows = [row for group in self._known.values() for row in group.values()]
        return [name for row in rows for name in row.names]

    def take(self, upload: CabinetUpload) -> dict[str, Measured]:
        self._uploaded = True
        update: dict[str, Measured] = {}
        for name, group in upload.groups.items():
            if "" in group.rows:
                update |= _measured(name, group.rows[""])
            else:
                update |= self._take_rows(name, group)
        return update

    def _take_rows(self, name: str, group: GroupUpload) -> dict[str, Measured]:
        known = self._known.setdefault(name, {})
        update: dict[str, Measured] = {}
        if group.untold is None:
            lacking = known.keys() - group.rows.keys()
            update |= self._count_missing(name, lacking if group.whole else ())
            if not group.whole:  # one of the rows that could not be read may be this one
                update |= self._failed(name, lacking)
        else:  # the upload leaves the group out
            if not known and group.untold is not Quality.NOT_SUPPORTED:
                # This row goes with the first upload that has others.
                known[_UNTOLD_ROW] = self._declare(name, _UNTOLD_ROW, missing=MISSING_UPLOADS)
            for row in known.values():
                update |= dict.fromkeys(row.names, (None, group.untold))
        for which, readings in group.rows.items():
            if which not in known:
                known[which] = self._declare(name, which)
            known[which].missing = 0
            update |= _measured(f"{name}.{which}", readings)
        return update

    def _declare(self, group: str, which: str, *, missing: int = 0) -> _Known:
        types = group_points(group, which)
        self._points.declare(self._device, types)
        return _Known(tuple(each.name for each in types), missing)

    def _failed(self, name: str, rows: Iterable[str]) -> dict[str, Measured]:
        names = [each for row in rows for each in self._known[name][row].names]
        return dict.fromkeys(names, (None, Quality.GET_FAILED))

    def _count_missing(self, name: str, lacking: Iterable[str]) -> dict[str, Measured]:
        update: dict[str, Measured] = {}
        for which in lacking:
            row = self._known[name][which]
            row.missing += 1
            if row.missing >= MISSING_UPLOADS:
                self._points.retract(self._device, row.names)
                del self._known[name][which]
            else:
                update |= dict.fromkeys(row.names, (None, Quality.GET_FAILED))
        return update


def _measured(prefix: str, readings: Readings) -> dict[str, Measured]:
    return {f"{prefix}.{name}": (each.value, each.quality) for name, each in readings.items()}


class Strikes:
    """Watches the counters of the surge arresters: a rise is a strike. A fall is an arrester that
    was restarted or replaced (`docs/protocols/etc-gantry.md`, "Delivery").
    """

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def take(self, judged: Mapping[str, Measured], present: Collection[str]) -> Measured:
        """Return whether one of the `present` arresters was struck."""
        counts = {
            which: judged[name]
            for which in present
            if (name := f"thunder_spd.{which}.lightning_count") in judged
        }
        struck, told, untold = False, False, Quality.NO_DATA
        for which, (count, quality) in counts.items():
            if isinstance(count, int):
                told = True
                struck = struck or count > self._last.get(which, count)
                self._last[which] = count
            else:
                untold = quality
        self._last = {which: count for which, count in self._last.items() if which in present}
        return (struck, Quality.GOOD) if told else (None, untold)
