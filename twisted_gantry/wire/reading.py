"""A value as a device reports it, with its quality."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

Value = float | int | str | bool | None


class Quality(StrEnum):
    """How far a value can be trusted; the names are those of the local API."""

    NO_DATA = "no-data"
    GOOD = "good"
    GET_FAILED = "get-failed"
    NOT_SUPPORTED = "not-supported"


class Texted(IntEnum):
    """A number of a protocol that a point shows by its name."""

    @property
    def text(self) -> str:
        """The name in lower case with hyphens, `powered-down`."""
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of one reply. `value` is None unless `quality` is `good`."""

    value: Value
    unit: str = ""
    quality: Quality = Quality.GOOD


def missing(unit: str, quality: Quality) -> Reading:
    return Reading(None, unit, quality)
