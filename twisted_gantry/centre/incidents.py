"""Which alarms are one incident: those of one cause at a gantry, or along a section of a road.

At a gantry the declared graph of causes decides (`wire/causes.py`). Incidents of one cause that
began within `TOGETHER` seconds at enough gantries of a section become one: a regional failure of
the mains is one incident. Enough are three gantries, or a third of the section but at least two.
Such an incident takes in what begins up to `TOGETHER` seconds after its newest. What people must
hear of for itself (smoke, water, doors) stays apart. An alarm stays in its incident, which ends
with its last alarm; of incidents that become one the oldest keeps its id.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from twisted_gantry.wire.causes import Graph, stands_alone

TOGETHER = 600.0
"""Seconds between alarms of one regional failure: gantries report every 300 s."""
ENOUGH = 3

Place = tuple[str, str]
"""Road and section; the road is empty for a gantry without one."""


@dataclass(frozen=True, slots=True)
class CausedAlarm:
    """An alarm of a gantry as the graph of causes takes it; `incident` is None for a new one."""

    id: int
    gantry: str
    name: str
    severity: str
    raised_at: float
    incident: int | None = None
    subject: str = ""
    active: bool = True
    in_maintenance: bool = False

    @property
    def serial(self) -> int:
        return self.id

    @property
    def condition(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def source(self) -> str:
        return self.name.partition(".")[0]


@dataclass(slots=True)
class Case:
    """An incident that is planned or known; `id` is None for a new one.

    `gantry` is None for one of several gantries. `grew` is when its newest root began. `joined` are
    the ids of alarms that it takes in, `merged` those of incidents that end in it.
    """

    id: int | None
    cause: str
    place: Place
    gantry: str | None
    since: float
    grew: float
    joined: list[int] = field(default_factory=list)
    merged: list[int] = field(default_factory=list)
    changed: bool = False

    def take(self, other: "Case") -> None:
        """Take in another incident, which is no more."""
        self.joined += other.joined
        self.merged += [*other.merged, *([] if other.id is None else [other.id])]
        self.since, self.grew = min(self.since, other.since), max(self.grew, other.grew)
        self.changed = True


_graph = Graph()


def plan(
    alarms: Iterable[CausedAlarm],
    known: Iterable[Case],
    places: Mapping[str, Place],
    sizes: Mapping[Place, int],
) -> list[Case]:
    """Return the incidents that are new or change.

    `alarms` are the new alarms, and all open ones of the same gantries; `known` are the incidents
    that live. `places` has the place of each gantry with an alarm, `sizes` the number of gantries
    of each place.
    """
    cases = {each.id: each for each in known if each.id is not None}
    singles: list[Case] = []
    by_gantry: dict[str, list[CausedAlarm]] = defaultdict(list)
    for alarm in alarms:
        by_gantry[alarm.gantry].append(alarm)
    for gantry, own in by_gantry.items():
        singles += _at_gantry(gantry, own, cases, places[gantry])
    every = [*cases.values(), *singles]
    return [each for each in _along_roads(every, sizes) if each.changed]


def _at_gantry(
    gantry: str, alarms: Sequence[CausedAlarm], cases: Mapping[int, Case], place: Place
) -> list[Case]:
    """Put the new alarms of a gantry into known incidents; returns new ones for the others."""
    fold = _graph.fold(alarms)
    units: dict[str, list[CausedAlarm]] = defaultdict(list)
    names = {each.name: each for each in alarms}
    for each in alarms:
        units[fold.causes.get(each.name, each.name)].append(each)
    made = []
    for name, members in units.items():
        root = names[name]
        new = [each.id for each in members if each.incident is None]
        if not new:
            continue
        present = sorted(e.incident for e in members if e.incident in cases and e.incident)
        which = root.incident if root.incident in cases else next(iter(present), None)
        if which is None:
            since = min(each.raised_at for each in members)
            case = Case(None, root.condition, place, gantry, since, root.raised_at)
            made.append(case)
        else:
            case = cases[which]
            if root.incident is None and case.gantry is not None:
                case.cause, case.grew = root.condition, root.raised_at
        case.joined += new
        case.changed = True
    return made


def _along_roads(cases: Collection[Case], sizes: Mapping[Place, int]) -> list[Case]:
    """Make one of those that are one along a section; returns all that remain."""
    groups: dict[tuple[Place, str], list[Case]] = defaultdict(list)
    apart = []
    for each in cases:
        if each.place[0] and not stands_alone(each.cause):
            groups[each.place, each.cause].append(each)
        else:
            apart.append(each)
    for (place, _), group in groups.items():
        apart += _along_section(group, min(ENOUGH, max(2, ceil(sizes.get(place, 0) / 3))))
    return apart


def _along_section(group: Sequence[Case], enough: int) -> list[Case]:
    remaining = [each for each in group if each.gantry is None]
    waiting: list[Case] = []
    for case in sorted((e for e in group if e.gantry is not None), key=_by_age):
        into = next((e for e in remaining if _together(e, case)), None)
        if into is not None:
            into.take(case)
            continue
        waiting.append(case)
        near = [each for each in waiting if case.grew - each.grew <= TOGETHER]
        if len({each.gantry for each in near}) >= enough:
            remaining.append(_merged(near))
            waiting = [each for each in waiting if each not in near]
    return [*remaining, *waiting]


def _by_age(case: Case) -> tuple[float, int]:
    return case.grew, case.id or 0


def _together(section: Case, case: Case) -> bool:
    return section.since - TOGETHER <= case.grew <= section.grew + TOGETHER


def _merged(cases: Sequence[Case]) -> Case:
    """Make the oldest of the known incidents that of all."""
    first = min(cases, key=lambda each: (each.id is None, each.id or 0))
    for other in cases:
        if other is not first:
            first.take(other)
    first.gantry = None
    return first
