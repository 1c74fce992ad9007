"""Lists in pages: `after` is the key of the last row of a page, to be given for the next one; None
on the last page. `roads` restricts a list to these roads (None: all).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Key = tuple[Any, ...]
"""Where a page goes on: JSON values."""
Roads = Collection[str] | None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows of a list; `total` counts the rows of all pages where that is asked for."""

    rows: Sequence[T]
    after: Key | None = None
    total: int = 0


class Where:
    """Conditions that are joined by AND, and their values."""

    def __init__(self) -> None:
        self._all: list[str] = ["1 = 1"]
        self.values: list[Any] = []

    def add(self, condition: str, *values: Any) -> None:
        self._all.append(condition)
        self.values += values

    def given(self, condition: str, value: Any) -> None:
        """Add a condition unless its value is None."""
        if value is not None:
            self.add(condition, value)

    @property
    def sql(self) -> str:
        return " AND ".join(self._all)


def listed(roads: Roads) -> list[str] | None:
    """Return the roads as a value of a condition."""
    return None if roads is None else sorted(roads)
