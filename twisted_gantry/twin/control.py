"""The control API of the twin: the world, the faults, and what the platform received."""

import re
from collections import Counter
from datetime import datetime
from typing import Annotated, Any

import msgspec
from klein import Klein
from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.web.server import Request

from twisted_gantry.net.http_server import Limits, bounded_site
from twisted_gantry.net.json_http import (
    HttpError,
    argument,
    handle_errors,
    read_object,
    refuse_foreign_origin,
    respond,
)
from twisted_gantry.twin.etc import KEPT_REQUESTS, Platform
from twisted_gantry.twin.faults import FACES, FaultError, Faults, UnknownFace
from twisted_gantry.twin.world.world import World, WorldError
from twisted_gantry.wire.etc import Card, CardList

LIMITS = Limits(body=4 * 1024 * 1024, deadline=30.0, idle=60.0, connections=64)
_DEFAULT_REQUESTS = 100


class _Cards(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A white list, as it is put; `version` is `yyyyMMddHHmmss`."""

    version: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{14}\Z")]
    cards: tuple[Card, ...]


def read_cards(content: dict[str, Any]) -> CardList:
    """Check a white list. An empty one is taken: a gantry must be seen to refuse it.

    Raises HttpError (400).
    """
    try:
        given = msgspec.convert(content, _Cards)
    except msgspec.ValidationError as error:
        raise HttpError(400, "bad-cards", str(error)) from None
    for at, card in enumerate(given.cards):
        if not card.card_id.strip():
            raise HttpError(400, "bad-cards", f"cards[{at}].cardId is empty")
        for name, day in (("validTime", card.valid_time), ("invalidTime", card.invalid_time)):
            try:
                datetime.strptime(day, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - the gantry's time
            except ValueError:
                raise HttpError(
                    400, "bad-cards", f"cards[{at}].{name} is not yyyy-MM-dd HH:mm:ss"
                ) from None
    return CardList(given.version, given.cards)


def _content(request: Request) -> dict[str, Any]:
    """Return the object that a writing request must bring. Raises HttpError."""
    refuse_foreign_origin(request)
    content = read_object(request)
    if not content:
        raise HttpError(400, "empty", "the body must be a JSON object that sets something")
    return content


class Control:
    """Serves `/twin/v1/`. `face_counts` are the counters to show, by face."""

    app = Klein()
    handle_errors(app)

    def __init__(
        self,
        world: World,
        faults: Faults,
        platform: Platform,
        face_counts: dict[str, Counter[str]],
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._world, self._faults, self._platform = world, faults, platform
        self._face_counts = {**face_counts, "control": self.counts}

    def site(self, reactor: IReactorTime) -> IProtocolFactory:
        """Return the factory that serves it."""
        return bounded_site(self.app.resource(), reactor, LIMITS, self.counts)

    @app.route("/twin/v1/world", methods=["GET"])
    def world(self, request: Request) -> bytes:
        """Show the whole state."""
        return respond(request, self._world.snapshot())

    @app.route("/twin/v1/world", methods=["PATCH"])
    def change_world(self, request: Request) -> bytes:
        """Change variables, all or none; the answer is the state after it."""
        try:
            self._world.change(_content(request))
        except WorldError as error:
            raise HttpError(400, "bad-change", str(error)) from None
        return respond(request, self._world.snapshot())

    @app.route("/twin/v1/faults", methods=["GET"])
    def all_faults(self, request: Request) -> bytes:
        """Show what is in force, by face."""
        return respond(
            request, {"faults": {face: self._faults.of(face) for face in FACES}}
        )

    @app.route("/twin/v1/faults/<face>", methods=["PUT"])
    def set_faults(self, request: Request, face: str) -> bytes:
        """Replace the faults of a face."""
        content = _content(request)
        try:
            settings = self._faults.put(face, content)
        except UnknownFace as error:
            raise HttpError(404, "unknown-face", str(error)) from None
        except FaultError as error:
            raise HttpError(400, "bad-fault", str(error)) from None
        return respond(request, {"face": face, "settings": settings})

    @app.route("/twin/v1/faults/<face>", methods=["DELETE"])
    def clear_faults(self, request: Request, face: str) -> bytes:
        """Let a face behave."""
        refuse_foreign_origin(request)
        try:
            self._faults.clear(face)
        except UnknownFace as error:
            raise HttpError(404, "unknown-face", str(error)) from None
        return respond(request, {"face": face, "settings": {}})

    @app.route("/twin/v1/etc/requests", methods=["GET"])
    def etc_requests(self, request: Request) -> bytes:
        """Show what the platform received, newest first."""
        limit = argument(request, "limit", str(_DEFAULT_REQUESTS))
        if not (re.fullmatch(r"[0-9]{1,5}", limit) and 1 <= int(limit) <= KEPT_REQUESTS):
            raise HttpError(400, "bad-limit", f"limit must be 1 to {KEPT_REQUESTS}")
        found = self._platform.requests(argument(request, "method"), int(limit))
        return respond(request, {"requests": found})

    @app.route("/twin/v1/etc/cards", methods=["PUT"])
    def set_cards(self, request: Request) -> bytes:
        """Set the white list that the platform offers."""
        cards = read_cards(_content(request))
        self._platform.cards = cards
        return respond(request, cards)

    @app.route("/twin/v1/counts", methods=["GET"])
    def show_counts(self, request: Request) -> bytes:
        """Show what each face counted since the start."""
        return respond(request, self._face_counts)
