"""The dialects in the control API, mounted at `/twin/v1/dialects`."""

from twisted.web.server import Request

from twisted_gantry.net.http.json import HttpError, refuse_foreign_origin, respond
from twisted_gantry.twin.dialects.dialect import UnknownDialect
from twisted_gantry.twin.dialects.registry import UnknownEndpoint, Voices, listed
from twisted_gantry.twin.requests import control_app, read_change


class DialectControl:
    app = control_app(
        (UnknownDialect, 400, "unknown-dialect"),
        (UnknownEndpoint, 404, "unknown-endpoint"),
    )
    app.url_map.strict_slashes = False  # mounted at a path, its root is that path without a slash

    def __init__(self, voices: Voices) -> None:
        self._voices = voices

    @app.route("/", methods=["GET"])
    def show(self, request: Request) -> bytes:
        """Show all dialects, and those in force: `{"dialects": […], "spoken": {…}}`."""
        return respond(request, {"dialects": listed(), "spoken": self._voices.spoken()})

    @app.route("/<who>", methods=["PUT"])
    def change(self, request: Request, who: str) -> bytes:
        """Set the dialects of an endpoint: `{"dialects": ["gbk"]}`."""
        content = read_change(request)
        if content.keys() != {"dialects"}:
            raise HttpError(400, "bad-dialects", 'give {"dialects": [names]}')
        self._voices.speak({who: content["dialects"]})
        return self._shown(request, who)

    @app.route("/<who>", methods=["DELETE"])
    def clear(self, request: Request, who: str) -> bytes:
        """Let an endpoint speak as its document has it."""
        refuse_foreign_origin(request)
        self._voices.speak({who: []})
        return self._shown(request, who)

    def _shown(self, request: Request, who: str) -> bytes:
        return respond(request, {"endpoint": who, "dialects": self._voices[who].names})
