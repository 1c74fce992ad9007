"""Edges that the platform must be told of: latched until an acknowledged report carried each.

Decisions: `docs/protocols/etc-gantry.md`, "Delivery": a 300 ms pulse is not missed.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from twisted_gantry.core.alarms import Alarm
from twisted_gantry.wire.etc.reports import Group

_Key = tuple[str, str]


@dataclass(frozen=True)
class Edge:
    """An alarm that was raised, or a door that moved, at one source of a group.

    `rows` is how the source's own rows of the group stood at that moment, where it has such. Of
    two of one name the one with more `weight` is told: a door that was open, not that it closed.
    """

    name: str
    source: str
    group: str
    alarm: Alarm | None = None
    rows: tuple[Group, ...] = ()
    weight: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """What a newer edge of the same takes the place of; parts of a device share its alarms."""
        return self.name, self.source


class Latches:
    """The edges of one cabinet that no acknowledged report has carried yet.

    While a stored report carries one, that is enough: it is on the disk. Should that report leave
    the queue without an acknowledgement, one made at once carries the edge again, and after that
    the periodic ones alone: a platform may refuse every report (1002).
    """

    def __init__(self) -> None:
        self._edges: dict[_Key, Edge] = {}
        self._carrier: dict[_Key, int] = {}
        self._refused: Counter[_Key] = Counter()

    def add(self, edge: Edge) -> None:
        """Latch an edge; a newer one of the same name takes its place, unless it weighs less."""
        known = self._edges.get(edge.key)
        if known is not None and edge.key not in self._carrier and known.weight > edge.weight:
            return
        self._edges[edge.key] = edge
        self._carrier.pop(edge.key, None)
        del self._refused[edge.key]

    def waiting(self, *, urgent: bool) -> list[Edge]:
        """Return those that no stored report carries, and that an urgent one may still carry."""
        return [
            edge
            for key, edge in self._edges.items()
            if key not in self._carrier and not (urgent and self._refused[key] > 1)
        ]

    def carried(self, edges: Iterable[Edge], report: int) -> None:
        """Note which report carries them; one that came anew meanwhile waits on."""
        for edge in edges:
            if self._edges.get(edge.key) is edge:
                self._carrier[edge.key] = report

    def left(self, reports: Iterable[int], acknowledged: bool) -> bool:
        """Note that reports left the queue; True if an edge wants another carrier at once."""
        gone = set(reports)
        keys = [key for key, report in self._carrier.items() if report in gone]
        for key in keys:
            del self._carrier[key]
            if acknowledged:
                del self._edges[key]
                del self._refused[key]
            else:
                self._refused[key] += 1
        return any(self._refused[key] == 1 for key in keys)
