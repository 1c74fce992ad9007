"""Edges for the platform: each waits until an acknowledged report has carried it.

Decisions: `docs/protocols/etc-gantry.md`, "Delivery": a 300 ms pulse is not missed, and each
opening of a door has a report of its own.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from twisted.logger import Logger

from twisted_gantry.core.alarms import Alarm
from twisted_gantry.wire.etc.reports import Group

_log = Logger()

# Edges of one source that may wait, before the oldest is given up: hours without any disk.
MOST_WAITING = 256
# The report of an edge in this state is being stored.
_UNDER_WAY = -1


@dataclass(frozen=True, eq=False)
class Edge:
    """An alarm that was raised, or a door that moved, at one source of a group.

    `rows` holds the source's own rows of the group at that moment, if it has any. Such edges queue:
    each is carried by a report of its own. Of other edges of one key the newest counts.
    """

    name: str
    source: str
    group: str
    alarm: Alarm | None = None
    rows: tuple[Group, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """The identity of the queue: a door, or an alarm of one source."""
        return self.name, self.source


class Latches:
    """The edges of one cabinet that no acknowledged report has carried yet, oldest first. A stored
    report that carries an edge is enough: the report is on the disk. If the report leaves the queue
    without an acknowledgement, an urgent report carries the edge once more. After that only
    periodic reports carry the edge, because a platform may refuse every report (1002).
    """

    def __init__(self) -> None:
        self._edges: list[Edge] = []
        self._carrier: dict[Edge, int] = {}
        self._refused: Counter[Edge] = Counter()

    def add(self, edge: Edge) -> None:
        """Let an edge wait; without rows it replaces an older one of its key."""
        same = [each for each in self._edges if each.key == edge.key]
        if not edge.rows:
            for each in same:
                self._forget(each)
        elif len(same) >= MOST_WAITING:
            _log.warn("{n} edges of {name} wait: the oldest is lost", n=len(same), name=edge.name)
            self._forget(same[0])
        self._edges.append(edge)

    def waiting(self, *, urgent: bool) -> list[Edge]:
        """Return the first edge of each key without a report; `urgent`: of those that an urgent one
        may carry.
        """
        first: dict[tuple[str, str], Edge] = {}
        for edge in self._edges:
            if edge not in self._carrier and not (urgent and self._refused[edge] > 1):
                first.setdefault(edge.key, edge)
        return list(first.values())

    def under_way(self, edges: Iterable[Edge]) -> None:
        """Note that a report with these edges is being stored."""
        self._carrier.update(dict.fromkeys(edges, _UNDER_WAY))

    def carried(self, edges: Iterable[Edge], report: int) -> None:
        """Note the number of the stored report; an edge replaced in the meantime is not there."""
        for edge in edges:
            if edge in self._carrier:
                self._carrier[edge] = report

    def not_carried(self, edges: Iterable[Edge]) -> None:
        """Let edges wait again: their report could not be stored."""
        for edge in edges:
            self._carrier.pop(edge, None)

    def left(self, reports: Iterable[int], acknowledged: bool) -> bool:
        """Note that reports left the queue; True if an edge needs an urgent report at once."""
        gone = set(reports)
        edges = [edge for edge, report in self._carrier.items() if report in gone]
        for edge in edges:
            if acknowledged:
                self._forget(edge)
            else:
                del self._carrier[edge]
                self._refused[edge] += 1
        return any(self._refused[edge] == 1 for edge in edges)

    def _forget(self, edge: Edge) -> None:
        self._edges.remove(edge)
        self._carrier.pop(edge, None)
        del self._refused[edge]
