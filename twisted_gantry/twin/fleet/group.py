"""A fleet with what it listens on: the port for commands, and the control API."""

from collections import Counter
from collections.abc import Callable
from typing import Any, cast

from twisted.application.service import IService

from twisted_gantry.net.http.server import bounded_site
from twisted_gantry.net.service import ServiceGroup
from twisted_gantry.twin.fleet.control import LIMITS, FleetControl
from twisted_gantry.twin.fleet.service import Fleet, build_fleet
from twisted_gantry.twin.fleet.settings import FleetSettings
from twisted_gantry.twin.service import CONTROL, listener_of


def build_group(
    settings: FleetSettings, reactor: Any, now: Callable[[], float], control: str | None = None
) -> tuple[ServiceGroup, Fleet]:
    """Wire a fleet, and serve its control API at the endpoint `control`. Raises ValueError for what
    is no endpoint.
    """
    group, fleet = ServiceGroup(), build_fleet(settings, reactor, now)
    group.add(cast("IService", fleet))
    if fleet.cabinets is not None:
        served = bounded_site(fleet.cabinets.resource(), reactor, LIMITS, Counter())
        place = settings.remotecontrol
        group.add(cast("IService", listener_of("remotecontrol", place, served, reactor)))
    if control is not None:
        site = FleetControl(fleet).site(reactor)
        group.add(cast("IService", listener_of(CONTROL, control, site, reactor)))
    return group, fleet
