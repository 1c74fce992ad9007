"""Which points are read by one request, and how a request that fails is taken apart.

Decisions: `docs/protocols/modbus.md`, "Reading".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from twisted_gantry.devices.modbus.settings import RegisterPoint
from twisted_gantry.wire import modbus as wire


@dataclass(frozen=True, eq=False)
class Group:
    """Points that one request reads, by their address; all by one function."""

    points: tuple[RegisterPoint, ...]

    @property
    def function(self) -> int:
        return self.points[0].reads

    @property
    def address(self) -> int:
        return self.points[0].register

    @property
    def count(self) -> int:
        return max(each.register + each.width for each in self.points) - self.address

    @property
    def named(self) -> str:
        """The first point, and how many more there are."""
        more = len(self.points) - 1
        return self.points[0].name + (f" +{more}" if more else "")

    def halves(self) -> "tuple[Group, ...]":
        """Return two groups with half of the points each; none for a single point."""
        middle = len(self.points) // 2
        return (Group(self.points[:middle]), Group(self.points[middle:])) if middle else ()

    def values(self, given: Sequence[int]) -> Iterable[tuple[RegisterPoint, tuple[int, ...]]]:
        """Yield each point with its part of the values that were read."""
        for each in self.points:
            at = each.register - self.address
            yield each, tuple(given[at : at + each.width])


def grouped(points: Iterable[RegisterPoint], max_gap: int, max_registers: int) -> list[Group]:
    """Return the groups of fewest requests: points no further apart than `max_gap`, together at
    most `max_registers`; bits 16 times as many.
    """
    groups: list[Group] = []
    for point in sorted(points, key=lambda each: (each.reads, each.register, each.width)):
        times = 16 if point.reads in wire.READ_BITS else 1
        last = groups[-1] if groups else None
        if last is not None and last.function == point.reads:
            end = last.address + last.count
            span = max(point.register + point.width, end) - last.address
            if point.register - end <= max_gap * times and span <= max_registers * times:
                groups[-1] = Group((*last.points, point))
                continue
        groups.append(Group((point,)))
    return groups
