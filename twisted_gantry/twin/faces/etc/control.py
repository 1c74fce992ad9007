"""The platform's part of the control API, to be mounted at `/twin/v1/etc/`.

It shows what the platform received, sets its white list, and lets it command the gantry.
"""

import re
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from klein import Klein
from twisted.web.server import Request

from twisted_gantry.net.addresses import is_loopback
from twisted_gantry.net.http.json import (
    HttpError,
    argument,
    handle_errors,
    read_object,
    refuse_foreign_origin,
    respond,
)
from twisted_gantry.twin.faces.etc.platform import KEPT_REQUESTS, NotReached, Platform
from twisted_gantry.wire.errors import BadMessage, CannotEncode
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc.commands import server_url
from twisted_gantry.wire.etc.envelope import Card, CardList

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


def read_change(request: Request) -> dict[str, Any]:
    """Return the object that a writing request must bring. Raises HttpError."""
    refuse_foreign_origin(request)
    content = read_object(request)
    if not content:
        raise HttpError(400, "empty", "the body must be a JSON object that sets something")
    return content


def _read_command(content: dict[str, Any]) -> tuple[etc.Method, Any, str]:
    """Return method, fields and URL (or empty) of a command. Raises HttpError (400)."""
    methods = {method.value: method for method in etc.REMOTE_CONTROL}
    given = content.get("method")
    method = methods.get(given) if isinstance(given, str) else None
    if method is None:
        known = ", ".join(sorted(methods))
        raise HttpError(400, "bad-command", f"method must be one of {known}")
    key = etc.FIELDS_KEY[method]
    if key not in content:
        raise HttpError(400, "bad-command", f"{key} is missing")
    odd = sorted(content.keys() - {"method", key, "url"})
    if odd:
        raise HttpError(400, "bad-command", f"{odd[0][:40]!r} is unknown")
    return method, content[key], _read_url(content.get("url", ""))


def _read_url(text: Any) -> str:
    if text == "":
        return ""
    try:
        url = server_url(text, "http") if isinstance(text, str) else ""
    except BadMessage:
        url = ""
    # The authentication code goes there.
    if not is_loopback(urlsplit(url).hostname or ""):
        raise HttpError(400, "bad-url", "url must be an HTTP URL on this computer (loopback)")
    return url


class EtcControl:
    """Serves `requests`, `command` and `cards`, relative to where it is mounted."""

    app = Klein()
    handle_errors(app)

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    @app.route("/requests", methods=["GET"])
    def requests(self, request: Request) -> bytes:
        """Show what the platform received, newest first."""
        limit = argument(request, "limit", str(_DEFAULT_REQUESTS))
        if not (re.fullmatch(r"[0-9]{1,5}", limit) and 1 <= int(limit) <= KEPT_REQUESTS):
            raise HttpError(400, "bad-limit", f"limit must be 1 to {KEPT_REQUESTS}")
        found = self._platform.requests(argument(request, "method"), int(limit))
        return respond(request, {"requests": found})

    @app.route("/command", methods=["POST"])
    async def command(self, request: Request) -> bytes:
        """Send a command to the gantry, and show its answer."""
        method, fields, url = _read_command(read_change(request))
        try:
            answer = await self._platform.command(method, fields, url)
        except CannotEncode as error:
            raise HttpError(400, "bad-command", str(error)) from None
        except NotReached as error:
            raise HttpError(502, "gantry-not-reached", str(error)) from None
        return respond(request, answer)

    @app.route("/cards", methods=["GET"])
    def cards(self, request: Request) -> bytes:
        """Show the white list that the platform offers; without one, version 0."""
        return respond(request, self._platform.cards or CardList(etc.NO_VERSION, ()))

    @app.route("/cards", methods=["PUT"])
    def set_cards(self, request: Request) -> bytes:
        """Set the white list that the platform offers."""
        cards = read_cards(read_change(request))
        self._platform.cards = cards
        return respond(request, cards)
