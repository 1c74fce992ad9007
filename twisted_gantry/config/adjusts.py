"""`[[device.adjust]]`: how numbers of a device are adjusted, and bounds of their own."""

from collections.abc import Callable
from math import isfinite
from typing import Any

import msgspec

from twisted_gantry.core.bounds import Adjust
from twisted_gantry.settings.tables import Checks, Document, Path
from twisted_gantry.wire.secret import Secret


class AdjustSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[[device.adjust]]`: `point` without the device's name, value x `scale` + `offset`, then
    `min` and `max`, each instead of the usual bound.
    """

    point: str
    scale: float = 1.0
    offset: float = 0.0
    min: float | None = None
    max: float | None = None


def _wrong_number(value: float | None) -> str:
    return "" if value is None or isfinite(value) else "must be finite"


def _wrong_scale(value: float) -> str:
    return "must not be 0" if value == 0 else _wrong_number(value)


_CHECKS: Checks = {
    "scale": _wrong_scale,
    **dict.fromkeys(("offset", "min", "max"), _wrong_number),
}


def read_adjusts(
    document: Document,
    table: dict[str, Any],
    path: Path,
    secret: Callable[[Any], Secret],
    wrong_point: Callable[[str], str],
) -> dict[str, Adjust]:
    """Return the adjustments of one device by their points; what is wrong is noted in `document`.

    `wrong_point` says what is wrong with the name of a point, empty if nothing is.
    """
    given = table.get("adjust", [])
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        document.wrong((*path, "adjust"), "must be tables, each begun with [[device.adjust]]")
        return {}
    found: dict[str, Adjust] = {}
    for index, each in enumerate(given):
        place = (*path, "adjust", index)
        settings = document.read(each, AdjustSettings, place, secret, checks=_CHECKS)
        if settings is None:
            continue
        point, low, high = settings.point, settings.min, settings.max
        if wrong := wrong_point(point):
            document.wrong((*place, "point"), wrong)
        if point in found:
            document.wrong((*place, "point"), f"{point} is adjusted twice")
        if low is not None and high is not None and low >= high:
            document.wrong((*place, "min"), f"must be below max; they are {low:g} and {high:g}")
        found[point] = Adjust(settings.scale, settings.offset, low, high)
    return found
