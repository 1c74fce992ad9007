"""The fleet's part of the control API, below `/twin/v1/fleet`."""

from collections import Counter

from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.web.server import Request

from twisted_gantry.net.http.json import HttpError, respond
from twisted_gantry.net.http.server import Limits, bounded_site
from twisted_gantry.twin.fleet.readings import Gantry
from twisted_gantry.twin.fleet.service import Fleet
from twisted_gantry.twin.requests import control_app, read_change
from twisted_gantry.twin.world.model import WorldError

LIMITS = Limits(connections=64)


class FleetControl:
    """Shows how a fleet fares, and changes the worlds of its gantries."""

    app = control_app((WorldError, 400, "bad-variable"))

    def __init__(self, fleet: Fleet) -> None:
        self.counts: Counter[str] = Counter()
        self._fleet = fleet

    def site(self, clock: IReactorTime) -> IProtocolFactory:
        return bounded_site(self.app.resource(), clock, LIMITS, self.counts)

    @app.route("/twin/v1/fleet", methods=["GET"])
    def fleet(self, request: Request) -> bytes:
        return respond(request, self._fleet.shown())

    @app.route("/twin/v1/fleet/gantries/<gantry>", methods=["GET"])
    def world(self, request: Request, gantry: str) -> bytes:
        return respond(request, self._gantry(gantry).world.variables())

    @app.route("/twin/v1/fleet/gantries/<gantry>", methods=["PATCH"])
    def change(self, request: Request, gantry: str) -> bytes:
        """Change variables of the world of a gantry, which others may share."""
        world = self._gantry(gantry).world
        world.change(read_change(request))
        return respond(request, world.variables())

    def _gantry(self, gantry_id: str) -> Gantry:
        try:
            return self._fleet.gantry(gantry_id)
        except KeyError:
            raise HttpError(404, "unknown-gantry", "the fleet has no such gantry") from None
