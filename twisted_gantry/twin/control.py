"""The control API of the twin: the world, the faults, and what platform and cloud received."""

from collections import Counter

from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.web.resource import IResource
from twisted.web.server import Request

from twisted_gantry.net.http.json import refuse_foreign_origin, respond
from twisted_gantry.net.http.server import Limits, bounded_site
from twisted_gantry.twin.dialects.control import DialectControl
from twisted_gantry.twin.dialects.registry import Voices
from twisted_gantry.twin.faces.etc.control import EtcControl
from twisted_gantry.twin.faces.etc.platform import Platform
from twisted_gantry.twin.faces.fogslink.cloud import Cloud
from twisted_gantry.twin.faces.fogslink.control import FogslinkControl
from twisted_gantry.twin.faults.settings import FACES, FaultError, Faults, UnknownFace
from twisted_gantry.twin.notifications import NotificationReceiver
from twisted_gantry.twin.requests import control_app, read_change
from twisted_gantry.twin.scenarios.control import ScenarioControl
from twisted_gantry.twin.scenarios.runner import Runner
from twisted_gantry.twin.world.model import World, WorldError

LIMITS = Limits(body=4 * 1024 * 1024, deadline=30.0, idle=60.0, connections=64)


class Control:
    """Serves `/twin/v1/`. `face_counts` are the counters to show, by face."""

    app = control_app(
        (WorldError, 400, "bad-change"),
        (UnknownFace, 404, "unknown-face"),
        (FaultError, 400, "bad-fault"),
    )

    def __init__(
        self,
        world: World,
        faults: Faults,
        platform: Platform,
        cloud: Cloud,
        face_counts: dict[str, Counter[str]],
        runner: Runner,
        voices: Voices,
        receiver: NotificationReceiver,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._world, self._faults = world, faults
        self._etc: IResource = EtcControl(platform).app.resource()
        self._fogslink: IResource = FogslinkControl(cloud).app.resource()
        self._dialects: IResource = DialectControl(voices).app.resource()
        self._scenario: IResource = ScenarioControl(runner).app.resource()
        self._notifications: IResource = receiver.app.resource()
        self._face_counts = {**face_counts, "control": self.counts, "notify": receiver.counts}

    def site(self, reactor: IReactorTime) -> IProtocolFactory:
        return bounded_site(self.app.resource(), reactor, LIMITS, self.counts)

    @app.route("/twin/v1/world", methods=["GET"])
    def world(self, request: Request) -> bytes:
        return respond(request, self._world.snapshot())

    @app.route("/twin/v1/world", methods=["PATCH"])
    def change_world(self, request: Request) -> bytes:
        self._world.change(read_change(request))
        return respond(request, self._world.snapshot())

    @app.route("/twin/v1/faults", methods=["GET"])
    def all_faults(self, request: Request) -> bytes:
        return respond(request, {"faults": {face: self._faults.of(face) for face in FACES}})

    @app.route("/twin/v1/faults/<face>", methods=["PUT"])
    def set_faults(self, request: Request, face: str) -> bytes:
        settings = self._faults.put(face, read_change(request))
        return respond(request, {"face": face, "settings": settings})

    @app.route("/twin/v1/faults/<face>", methods=["DELETE"])
    def clear_faults(self, request: Request, face: str) -> bytes:
        refuse_foreign_origin(request)
        self._faults.clear(face)
        return respond(request, {"face": face, "settings": {}})

    @app.route("/twin/v1/etc/", branch=True)
    def etc(self, request: Request) -> IResource:
        return self._etc

    @app.route("/twin/v1/fogslink/", branch=True)
    def fogslink(self, request: Request) -> IResource:
        return self._fogslink

    @app.route("/twin/v1/scenario", branch=True)
    def scenario(self, request: Request) -> IResource:
        return self._scenario

    @app.route("/twin/v1/notifications", branch=True)
    def notifications(self, request: Request) -> IResource:
        return self._notifications

    @app.route("/twin/v1/dialects", branch=True)
    def dialects(self, request: Request) -> IResource:
        return self._dialects

    @app.route("/twin/v1/counts", methods=["GET"])
    def show_counts(self, request: Request) -> bytes:
        return respond(request, self._face_counts)
