"""The platform's part of the control API, mounted at `/twin/v1/etc/`."""

from typing import Any
from urllib.parse import urlsplit

from twisted.web.server import Request

from twisted_gantry.net.addresses import is_loopback
from twisted_gantry.net.http.json import HttpError, argument, respond
from twisted_gantry.twin.faces.etc.cards import BadCards, read_cards
from twisted_gantry.twin.faces.etc.platform import KEPT_REQUESTS, NotReached, Platform
from twisted_gantry.twin.requests import control_app, read_change, read_limit
from twisted_gantry.wire.errors import BadMessage, CannotEncode
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc.commands import server_url

_DEFAULT_REQUESTS = 100
# A white list of 40,000 cards; each is five values.
_LIST_BYTES, _LIST_NODES = 4 * 1024 * 1024, 200_000


def _read_command(content: dict[str, Any]) -> tuple[etc.Method, Any, str]:
    """Return method, fields and URL (or empty) of a command. Raises HttpError (400)."""
    methods = {method.value: method for method in etc.REMOTE_CONTROL}
    given = content.get("method")
    method = methods.get(given) if isinstance(given, str) else None
    if method is None:
        raise HttpError(400, "bad-command", f"method must be one of {', '.join(sorted(methods))}")
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
    # The request contains the authentication code.
    if not is_loopback(urlsplit(url).hostname or ""):
        raise HttpError(400, "bad-url", "url must be an HTTP URL on this computer (loopback)")
    return url


class EtcControl:
    app = control_app(
        (BadCards, 400, "bad-cards"),
        (CannotEncode, 400, "bad-command"),
        (NotReached, 502, "gantry-not-reached"),
    )

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    @app.route("/requests", methods=["GET"])
    def requests(self, request: Request) -> bytes:
        limit = read_limit(request, _DEFAULT_REQUESTS, KEPT_REQUESTS)
        found = self._platform.requests(argument(request, "method"), limit)
        return respond(request, {"requests": found})

    @app.route("/command", methods=["POST"])
    async def command(self, request: Request) -> bytes:
        method, fields, url = _read_command(read_change(request))
        return respond(request, await self._platform.command(method, fields, url))

    @app.route("/cards", methods=["GET"])
    def cards(self, request: Request) -> bytes:
        """Show the white list that the platform offers; without one, version 0."""
        return respond(request, self._platform.cards or etc.CardList(etc.NO_VERSION, ()))

    @app.route("/cards", methods=["PUT"])
    def set_cards(self, request: Request) -> bytes:
        content = read_change(request, size=_LIST_BYTES, nodes=_LIST_NODES)
        self._platform.cards = read_cards(content)
        return respond(request, self._platform.cards)
