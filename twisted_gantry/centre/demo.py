"""The province of `--demo`: 200 simulated gantries in its registry, and what happens to them.

Only this module of the centre knows the twin.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.interfaces import IReactorTime

from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import Gantry
from twisted_gantry.centre.store import registry
from twisted_gantry.centre.store.sealing import Sealing
from twisted_gantry.net.service import NamedService, ServiceGroup
from twisted_gantry.net.timers import Timer
from twisted_gantry.twin.fleet.group import build_group
from twisted_gantry.twin.fleet.service import Fleet
from twisted_gantry.twin.fleet.settings import FleetSettings, counted
from twisted_gantry.wire.secret import Secret

GANTRIES = 200
REPORT_PERIOD = 20.0
"""Seconds between the uploads of a simulated gantry: far fewer than 300, so that the page lives."""
COMMANDS = "tcp:8099:interface=127.0.0.1"
"""Where the simulated gantries take commands."""
_CODE, _KEY, _FIRST_ID, _FIRST_EQ_SN = "demo-code", "demo-key", "G000211001002110010", "20000000"

_ROADS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "G2": ("京沪高速", ("沂淮段", "淮江段", "江广段", "锡沪段")),
    "G15": ("沈海高速", ("连盐段", "盐通段", "通启段", "沿江段")),
    "G25": ("长深高速", ("淮宿段", "宁淮段", "宁杭北段", "宁杭南段")),
    "G42": ("沪蓉高速", ("苏沪段", "锡苏段", "常锡段", "宁常段")),
    "S35": ("阜溧高速", ("阜兴段", "兴泰段", "泰镇段", "镇溧段")),
}
_FIRST_STAKE, _APART_M = 12_300, 1_850


def gantries() -> Iterator[Gantry]:
    """Yield the gantries of the demonstration: five roads of four sections."""
    of_road = GANTRIES // len(_ROADS)
    roads = list(_ROADS.items())
    for at in range(GANTRIES):
        road, (name, parts) = roads[at // of_road]
        place = at % of_road
        metres = _FIRST_STAKE + place * _APART_M
        stake = f"K{metres // 1000}+{metres % 1000:03}"
        gantry_id = _FIRST_ID[0] + counted(_FIRST_ID[1:], at)
        yield Gantry(
            gantry_id,
            name=f"{name} {stake}",
            road=road,
            section=parts[place * len(parts) // of_road],
            stake=stake,
            direction=("上行", "下行")[at % 2],
            remote_control=f"http://127.0.0.1:{COMMANDS.split(':')[1]}/{gantry_id}/remotecontrol.do",
            eq_sn=counted(_FIRST_EQ_SN, at),
            auth=Secret(_CODE),
            api_key=Secret(_KEY),
        )


def register(session: Session, sealing: Sealing) -> None:
    """Put the gantries of the demonstration into an empty registry; another one is left alone."""
    if registry.version(session) == 0:
        registry.put(session, gantries(), sealing)


@dataclass(frozen=True)
class Event:
    """`after` seconds from the start the worlds of the gantries `where` change by `values`; the
    story begins anew with its last event.
    """

    after: float
    where: range
    values: Mapping[str, object]


_SECTION = range(30, 40)  # the whole fourth section of the first road
_OFF, _ON = {"mains.voltage": 0.0}, {"mains.voltage": 221.0}
STORY = (
    Event(45, _SECTION, _OFF),
    Event(60, range(77, 78), {"cab1.force_front_door": True}),
    Event(90, range(123, 124), {"cab1.smoke": True}),
    Event(150, range(160, 161), _OFF),
    Event(300, range(123, 124), {"cab1.smoke": False}),
    Event(900, range(77, 78), {"cab1.front_door": "closed"}),
    Event(1500, range(160, 161), _ON),
    Event(1800, _SECTION, _ON),
    Event(2400, range(0), {}),
)


class Story(NamedService):
    """Lets the events of the story happen to a fleet, again and again."""

    def __init__(self, fleet: Fleet, clock: IReactorTime, story: tuple[Event, ...] = STORY) -> None:
        super().__init__("story")
        self._fleet, self._story, self._next = fleet, story, 0
        self._timer = Timer(clock, self._happen)

    def startService(self) -> None:
        super().startService()
        self._timer.start(self._story[0].after)

    def stopService(self) -> None:
        super().stopService()
        self._timer.cancel()

    def _happen(self) -> None:
        event = self._story[self._next]
        for at in event.where:
            self._fleet.gantries[at].world.change(dict(event.values))
        self._next = (self._next + 1) % len(self._story)
        before = event.after if self._next else 0.0
        self._timer.start(self._story[self._next].after - before)


def build_demo(
    platform: str, cloud: str, commands: str, reactor: Any, now: Callable[[], float]
) -> ServiceGroup:
    """Return the fleet of the demonstration and its story. `platform` is the URL of `monitor.do`,
    `cloud` a client endpoint, `commands` a server endpoint.
    """
    settings = FleetSettings(
        gantries=GANTRIES,
        platform=platform,
        cloud=cloud,
        auth=_CODE,
        api_key=_KEY,
        first_id=_FIRST_ID,
        first_eq_sn=_FIRST_EQ_SN,
        report_period=REPORT_PERIOD,
        pack_period=REPORT_PERIOD,
        worlds=GANTRIES,
        remotecontrol=commands,
        seed=1,
    )
    group, fleet = build_group(settings, reactor, now)
    group.add(Story(fleet, reactor))
    return group
