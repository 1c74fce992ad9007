"""What the parts of the control API share: how a request is read, and how an error is answered."""

from typing import Any

from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.server import Request

from twisted_gantry.net.http import json as http
from twisted_gantry.net.http.app import App


def control_app(*errors: tuple[type[Exception], int, str]) -> App:
    app = App()

    @app.handle_errors(*(kind for kind, _, _ in errors))
    def _(self: object, request: IRequest, failure: Failure) -> bytes:
        status, code = next((s, c) for kind, s, c in errors if failure.check(kind))
        return http.respond_error(request, http.HttpError(status, code, str(failure.value)))

    http.handle_errors(app)
    return app


def read_change(
    request: Request, *, size: int = http.MOST_BYTES, nodes: int = http.MOST_NODES
) -> dict[str, Any]:
    """Return the object that a writing request must bring. Raises HttpError."""
    http.refuse_foreign_origin(request)
    content = http.read_object(request, size=size, nodes=nodes)
    if not content:
        raise http.HttpError(400, "empty", "the body must be a JSON object that sets something")
    return content


def read_limit(request: Request, default: int, most: int) -> int:
    """Return the query argument `limit`, from 1 to `most`. Raises HttpError (400)."""
    text = http.argument(request, "limit", str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= most):
        raise http.HttpError(400, "bad-limit", f"limit must be 1 to {most}")
    return int(text)
