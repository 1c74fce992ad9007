"""Whole cabinets under a fleet: each gantry uploads on alarms, and executes `remotecontrol.do`.

A gantry needs a world of its own for that, so that a command acts on one gantry alone. All
cabinets share one port; the path begins with the `gantryId`: `/G…/remotecontrol.do`.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import Resource

from twisted_gantry.net.http.client import BoundedClient
from twisted_gantry.net.service import ServiceGroup
from twisted_gantry.twin.faces.cabinet.face import CARDS_S, CabinetTwin
from twisted_gantry.twin.faults.settings import Faults
from twisted_gantry.twin.fleet.readings import Gantry
from twisted_gantry.twin.fleet.settings import FleetSettings
from twisted_gantry.twin.fleet.wheel import Wheel

CABINET_ID = "1"
SPREAD_S = 5.0
"""Seconds over which the first uploads of the cabinets are spread."""


class Cabinets(ServiceGroup):
    """The cabinets of `gantries`, each in its own world. `now` gives Unix seconds; `random` gives
    the moments of the first uploads, and the faults, of which none are set.
    """

    def __init__(
        self,
        gantries: Sequence[Gantry],
        wheel: Wheel,
        clock: IReactorTime,
        now: Callable[[], float],
        client: BoundedClient,
        random: Random,
        settings: FleetSettings,
    ) -> None:
        super().__init__()
        self._wheel, self._random = wheel, random
        faults = Faults(clock.seconds, random)
        self._cabinets = {
            each.gantry_id: CabinetTwin(
                each.world.cabinet,
                faults,
                clock,
                now,
                client,
                gantry_id=each.gantry_id,
                auth=settings.auth,
                cabinet_id=CABINET_ID,
                monitor_url=settings.platform,
                period=settings.report_period,
                cards_period=max(CARDS_S, settings.report_period),
            )
            for each in gantries
        }
        for gantry_id, cabinet in self._cabinets.items():
            cabinet.setName(gantry_id)  # type: ignore[no-untyped-call]

    def startService(self) -> None:
        super().startService()
        for each in self._cabinets.values():
            self._wheel.callLater(self._random.random() * SPREAD_S, partial(self._begin, each))

    def _begin(self, cabinet: CabinetTwin) -> None:
        if self.running:
            self.add(cabinet)

    def resource(self) -> Resource:
        """Return what the platform talks to."""
        root = Resource()
        for gantry_id, cabinet in self._cabinets.items():
            root.putChild(gantry_id.encode(), cabinet.resource())
        return root

    def shown(self) -> dict[str, Any]:
        """Return the counts of all cabinets together, for JSON."""
        total: Counter[str] = Counter()
        for each in self._cabinets.values():
            total += each.counts
        return dict(total)
