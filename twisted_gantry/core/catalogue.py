"""The catalogue: the unit of each point, and its name in English and Chinese."""

from collections.abc import Iterable
from dataclasses import dataclass

from twisted_gantry.core.bounds import Bounds


@dataclass(frozen=True, slots=True)
class PointType:
    """A point as its kind of device describes it; `name` is without the device's.

    `unit` is empty for text and true/false, otherwise one of V A Hz W VA Wh Ah % °C s d KiB. A
    number outside `bounds` is `get-failed`; None for text, true/false, and what may be any number.
    `values` is `bool` or `str` where that is certain.
    """

    name: str
    unit: str
    en: str
    zh: str
    bounds: Bounds | None = None
    values: type[bool | str] | None = None

    @property
    def is_number(self) -> bool:
        """Whether the values are numbers for certain: a number may have neither unit nor bounds."""
        return bool(self.unit) or self.bounds is not None


class Catalogue:
    """All points of the site by their full name, `<device>.<name>`."""

    def __init__(self) -> None:
        self._types: dict[str, PointType] = {}

    def add(self, device: str, types: Iterable[PointType]) -> list[str]:
        """Add points of a device; returns their full names. Raises ValueError for a known one."""
        names = []
        for each in types:
            name = f"{device}.{each.name}"
            if name in self._types:
                raise ValueError(f"the point {name} is in the catalogue already")
            self._types[name] = each
            names.append(name)
        return names

    def remove(self, name: str) -> None:
        """Remove a point by its full name. Raises KeyError."""
        del self._types[name]

    def __getitem__(self, name: str) -> PointType:
        """Return the type of a point by its full name. Raises KeyError."""
        return self._types[name]

    def __contains__(self, name: str) -> bool:
        return name in self._types
