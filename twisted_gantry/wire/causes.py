"""Which alarm explains others: a declared graph of conditions, and its fold of the active alarms.

`LINKS` is data. A link says that one condition explains another, where (`Scope`), and when: the
consequence is raised at most `before` seconds before its cause, and at most `after` seconds later.
Witnesses are devices that see one thing, such as the mains: the first of them explains the others.
The fold depends on nothing but the active alarms, so a restart does not change it.

What a person must hear of for itself is no consequence of anything: smoke, water, doors, and each
further step of a failure (`battery-low`, `shutting-down`, `output-off`). An alarm never stands
under a less severe one, nor under one of a device in maintenance unless it is in maintenance too.
Decisions: `docs/operating.md`, "One cause, one line".
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from math import inf
from typing import Protocol

from twisted_gantry.wire.emergencies import EMERGENCIES
from twisted_gantry.wire.etc.conditions import CRITICAL

BEFORE_S = 60.0
"""How much later than its consequence a cause may be raised: devices are read one after another."""
TOGETHER_S = 300.0
"""How far apart the alarms of one failure are raised: a cabinet uploads every 300 s. What comes
later may be another failure, and is news in any case: a rectifier that breaks, a battery that trips
while an old alarm stands.
"""
MAINS = "mains"
"""The supply of a device without `fed_by`, and the word for that in the configuration."""


class Caused(Protocol):
    """An alarm of the gantry or of the centre, as the fold sees it.

    `source` is what it is about, `condition` the last part of its name. `severity` is `warning` or
    `critical`. Alarms are ordered by `serial`, then `raised_at`, Unix seconds. `subject` is given
    by an alarm of the site's own rules.
    """

    @property
    def name(self) -> str: ...
    @property
    def condition(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def severity(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def serial(self) -> int: ...
    @property
    def raised_at(self) -> float: ...
    @property
    def active(self) -> bool: ...
    @property
    def in_maintenance(self) -> bool: ...


class Scope(StrEnum):
    """How the device of a consequence stands to that of its cause."""

    DEVICE = "device"
    """The same device, or a part of it."""
    SITE = "site"
    """Any device of the site."""
    FED = "fed"
    """A device that is fed by that of the cause, directly or through others."""
    ON_MAINS = "on-mains"
    """A device whose `fed_by` says that the mains feed it."""


@dataclass(frozen=True)
class Link:
    """`cause` explains `consequence`: conditions (`mains-abnormal`), or alarms (`store.failed`).

    Times are seconds from the cause to the consequence.
    """

    cause: str
    consequence: str
    scope: Scope = Scope.DEVICE
    after: float = TOGETHER_S
    before: float = BEFORE_S


Links = tuple[Link, ...]


def _all(
    cause: str, *consequences: str, scope: Scope = Scope.DEVICE, after: float = TOGETHER_S
) -> Links:
    return tuple(Link(cause, each, scope, after) for each in consequences)


_PHASES = tuple(f"phase-l{n}-lost" for n in (1, 2, 3))
_VOLTAGES = ("input-over-voltage", "input-under-voltage")
_AIR = ("air-conditioner-fault", "air-conditioner-system", "air-conditioner-temperature")
_RECTIFIER = ("rectifier-fault", "rectifier-warning")

WITNESSES = ("mains-abnormal", *_PHASES, *_VOLTAGES)
"""Conditions of the supply: devices with the same feeder see the same one."""

LINKS: Links = (
    # A UPS on battery beside good mains of its own is broken: another device does not explain that.
    *_all("mains-abnormal", "mains-warning", "on-battery", "part-offline", *_PHASES, *_VOLTAGES),
    *_all("mains-abnormal", *_RECTIFIER, *_AIR, scope=Scope.SITE),
    *_all("mains-abnormal", "offline", scope=Scope.ON_MAINS, after=inf),
    *_all("output-off", "offline", "mains-abnormal", scope=Scope.FED, after=inf),
    *_all("output-off", *_PHASES, *_VOLTAGES, scope=Scope.FED),
    *_all("power-off", "offline", "mains-abnormal", scope=Scope.FED, after=inf),
    *_all("power-off", *_PHASES, *_VOLTAGES, scope=Scope.FED),
    *(link for phase in _PHASES for link in _all(phase, "mains-warning", *_VOLTAGES)),
    *(link for each in _VOLTAGES for link in _all(each, "mains-warning")),
    *_all("rectifier-fault", "rectifier-warning"),
    *_all("air-conditioner-fault", "air-conditioner-system", "air-conditioner-temperature"),
    *_all("ups-fault", "ups-warning", "on-raw-mains"),
    *_all("overload", "on-raw-mains"),
    *_all("alarm", "contactor-open"),  # of a battery store, which trips
    Link("tolling-off", "power-mode", before=inf),  # from mode 1 on to mode 2
    # The polls of a cabinet fail at once, its uploads are missed after two periods.
    Link("offline", "no-commands", after=inf, before=2 * TOGETHER_S),
    *_all("channel", "white-list", after=inf),  # of an uplink
    *_all("store.failed", "history.failed", "record.failed", scope=Scope.SITE, after=inf),
)


def stands_alone(condition: str) -> bool:
    """Tell whether a condition is a consequence of nothing, whatever a link says."""
    return condition in EMERGENCIES or "door" in condition.split("-")


def wrong_links(links: Links) -> str:
    """Say what is wrong with the links that a kind of device declares, empty if nothing is."""
    for link in links:
        for name in (link.cause, link.consequence):
            if "." in name:
                return f"a cause links conditions, such as power-off, not {name!r}"
    found = circle((*LINKS, *links))
    return f"causes in a circle: {' → '.join(found)}" if found else ""


def circle(links: Iterable[Link]) -> list[str]:
    """Return conditions that explain each other in a circle; an empty list without one."""
    after: dict[str, set[str]] = defaultdict(set)
    for link in links:
        after[link.cause].add(link.consequence)
    done: set[str] = set()

    def walk(condition: str, path: list[str]) -> list[str]:
        if condition in path:
            return path[path.index(condition) :]
        if condition in done:
            return []
        for each in sorted(after.get(condition, ())):
            if found := walk(each, [*path, condition]):
                return found
        done.add(condition)
        return []

    return next((found for each in sorted(after) if (found := walk(each, []))), [])


@dataclass(frozen=True)
class Fold:
    """The active alarms by cause: `causes` has the root of each consequence, `consequences` the
    names under each root, the oldest first. Nothing stands deeper than one level.
    """

    causes: Mapping[str, str] = field(default_factory=dict)
    consequences: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """The links of a site. `feeders` has the `fed_by` of devices that have one, `own` the links
    that the kind of a device declares: they hold for alarms of that device.
    """

    feeders: Mapping[str, str] = field(default_factory=dict)
    own: Mapping[str, Links] = field(default_factory=dict)
    links: Links = LINKS

    def fold(self, alarms: Iterable[Caused]) -> Fold:
        """Fold the active alarms among `alarms`. The order of `alarms` does not matter. An alarm of
        the site's own rules explains nothing, whatever its name.
        """
        active = sorted((each for each in alarms if each.active and not each.subject), key=_age)
        direct = _Direct(self, active).causes
        causes: dict[str, str] = {}
        consequences: dict[str, list[str]] = {}
        for alarm in active:
            root = alarm.name
            while root in direct:
                root = direct[root]
            if root != alarm.name:
                causes[alarm.name] = root
                consequences.setdefault(root, []).append(alarm.name)
        return Fold(causes, consequences)

    def into(self, alarm: Caused) -> Iterator[Link]:
        """Yield the links that may explain an alarm."""
        yield from self._by_consequence.get(alarm.condition, ())
        yield from self._by_consequence.get(alarm.name, ())
        for link in self.own.get(alarm.source, ()):
            if link.consequence == alarm.condition:
                yield link

    @cached_property
    def _by_consequence(self) -> Mapping[str, Sequence[Link]]:
        found: dict[str, list[Link]] = defaultdict(list)
        for link in self.links:
            found[link.consequence].append(link)
        return found

    def feeder(self, device: str) -> str:
        return self.feeders.get(device, MAINS)

    def feeds(self, feeder: str, device: str) -> bool:
        """Tell whether a device is fed by another one, directly or through others."""
        for _ in self.feeders:
            device = self.feeder(device)
            if device == feeder:
                return True
        return False


def _age(alarm: Caused) -> tuple[int, float, str]:
    """Order alarms as they were raised; a clock that was set back does not change that."""
    return alarm.serial, alarm.raised_at, alarm.name


class _Direct:
    """The nearest cause of each alarm; `causes` are names by names, without a circle.

    A link leads from one condition to another, and links have no circle; a witness is explained by
    an older one. Hence no alarm explains itself.
    """

    def __init__(self, graph: Graph, active: Sequence[Caused]) -> None:
        self._graph = graph
        self._by_name: dict[str, list[Caused]] = defaultdict(list)
        for alarm in active:
            self._by_name[alarm.condition].append(alarm)
            self._by_name[alarm.name].append(alarm)
        self.causes: dict[str, str] = {}
        first: dict[tuple[str, str], list[Caused]] = defaultdict(list)
        for alarm in active:  # the oldest first
            if stands_alone(alarm.condition):
                continue
            cause = self._linked(alarm)
            if cause is None and alarm.condition in WITNESSES:
                seen = first[alarm.condition, graph.feeder(alarm.source)]
                cause = next((each for each in seen if _together(each, alarm)), None)
                if cause is None:
                    seen.append(alarm)
            if cause is not None:
                self.causes[alarm.name] = cause.name

    def _linked(self, alarm: Caused) -> Caused | None:
        """Return the best cause that a link allows: at the same device, then the newest."""
        found = [
            cause
            for link in self._graph.into(alarm)
            for cause in self._by_name.get(link.cause, ())
            if cause.name != alarm.name
            and -link.before <= alarm.raised_at - cause.raised_at <= link.after
            and self._in_scope(link.scope, cause.source, alarm.source)
            and _may_explain(cause, alarm)
        ]
        return max(found, key=lambda c: (c.source == alarm.source, *_age(c)), default=None)

    def _in_scope(self, scope: Scope, cause: str, consequence: str) -> bool:
        graph = self._graph
        if scope is Scope.DEVICE:
            return cause == consequence
        if scope is Scope.FED:
            return graph.feeds(cause, consequence)
        if scope is Scope.ON_MAINS:
            on_mains = graph.feeders.get(consequence) == MAINS
            return on_mains and graph.feeder(cause) == MAINS
        return True


def _may_explain(cause: Caused, alarm: Caused) -> bool:
    hidden = cause.in_maintenance and not alarm.in_maintenance
    return not hidden and (_critical(cause) or not _critical(alarm))


def _critical(alarm: Caused) -> bool:
    return alarm.severity == CRITICAL


def _together(first: Caused, alarm: Caused) -> bool:
    apart = abs(alarm.raised_at - first.raised_at)
    return apart <= TOGETHER_S and _may_explain(first, alarm)
