"""The catalogue: what each point is, its unit, and its name in English and Chinese."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PointType:
    """What a kind of device says of one of its points; `name` is without the device's.

    `unit` is empty for text and true/false, otherwise one of V A Hz W VA Wh Ah % °C s KiB.
    """

    name: str
    unit: str
    en: str
    zh: str


class Catalogue:
    """All points of the site by their full name, `<device>.<name>`."""

    def __init__(self) -> None:
        self._types: dict[str, PointType] = {}

    def add(self, device: str, types: Iterable[PointType]) -> list[str]:
        """Enter the points of a device; returns their full names. A name is entered once."""
        names = []
        for each in types:
            name = f"{device}.{each.name}"
            if name in self._types:
                raise ValueError(f"the point {name} is in the catalogue already")
            self._types[name] = each
            names.append(name)
        return names

    def remove(self, name: str) -> None:
        """Take out a point by its full name: the device has it no more. Raises KeyError."""
        del self._types[name]

    def __getitem__(self, name: str) -> PointType:
        """Return the type of a point by its full name. Raises KeyError."""
        return self._types[name]

    def __contains__(self, name: str) -> bool:
        """Tell whether there is such a point."""
        return name in self._types
