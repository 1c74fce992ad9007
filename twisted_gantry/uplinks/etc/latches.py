"""Edges for the platform: each is latched until an acknowledged report has carried it.

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
    """An alarm that was raised, or a door that moved, at one source of a group. `rows` holds the
    source's own rows of the group at that moment, if it has any. Of two edges of one name the one
    with more `weight` is reported: a door that was open, not that it closed.
    """

    name: str
    source: str
    group: str
    alarm: Alarm | None = None
    rows: tuple[Group, ...] = ()
    weight: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """What tells edges apart: a newer edge of the same key replaces an older one."""
        return self.name, self.source


class Latches:
    """The edges of one cabinet that no acknowledged report has carried yet. A stored report that
    carries an edge is enough: the report is on the disk. If the report leaves the queue without an
    acknowledgement, an urgent report carries the edge once more. After that only periodic reports
    carry the edge, because a platform may refuse every report (1002).
    """

    def __init__(self) -> None:
        self._edges: dict[_Key, Edge] = {}
        self._carrier: dict[_Key, int] = {}
        self._refused: Counter[_Key] = Counter()

    def add(self, edge: Edge) -> None:
        """Latch an edge; it replaces an older one of its key, unless it weighs less."""
        known = self._edges.get(edge.key)
        if known is not None and edge.key not in self._carrier and known.weight > edge.weight:
            return
        self._edges[edge.key] = edge
        self._carrier.pop(edge.key, None)
        del self._refused[edge.key]

    def waiting(self, *, urgent: bool) -> list[Edge]:
        """Return the edges without a stored report; `urgent`: those an urgent one may carry."""
        return [
            edge
            for key, edge in self._edges.items()
            if key not in self._carrier and not (urgent and self._refused[key] > 1)
        ]

    def carried(self, edges: Iterable[Edge], report: int) -> None:
        """Note which report carries the edges; an edge replaced in the meantime still waits."""
        for edge in edges:
            if self._edges.get(edge.key) is edge:
                self._carrier[edge.key] = report

    def left(self, reports: Iterable[int], acknowledged: bool) -> bool:
        """Note that reports left the queue; True if an edge needs an urgent report at once."""
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
