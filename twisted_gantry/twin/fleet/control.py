"""The fleet's part of the control API: `GET /twin/v1/fleet`."""

from collections import Counter

from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.web.server import Request

from twisted_gantry.net.http.app import App
from twisted_gantry.net.http.json import handle_errors, respond
from twisted_gantry.net.http.server import Limits, bounded_site
from twisted_gantry.twin.fleet.service import Fleet

LIMITS = Limits(connections=64)


class FleetControl:
    """Shows how a fleet fares."""

    app = App()
    handle_errors(app)

    def __init__(self, fleet: Fleet) -> None:
        self.counts: Counter[str] = Counter()
        self._fleet = fleet

    def site(self, clock: IReactorTime) -> IProtocolFactory:
        return bounded_site(self.app.resource(), clock, LIMITS, self.counts)

    @app.route("/twin/v1/fleet", methods=["GET"])
    def fleet(self, request: Request) -> bytes:
        return respond(request, self._fleet.shown())
