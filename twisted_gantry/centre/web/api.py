"""The HTTP API of the centre: routes made of the operations, answers in one shape.

An operation has one handler, which is given a `Call` and returns what is answered: a type of
`wire/centre_api.py`, or None once it has ended the request itself. Errors are those of
`net/http/json.py`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.server import Request

from twisted_gantry.access.gate import IStranger, person_of
from twisted_gantry.access.people import VIEWER
from twisted_gantry.centre.interfaces import NotStored
from twisted_gantry.centre.web.call import Call
from twisted_gantry.centre.web.cursors import Cursors
from twisted_gantry.centre.web.scope import Scope
from twisted_gantry.net.http.app import App
from twisted_gantry.net.http.json import HttpError, handle_errors, respond, respond_error
from twisted_gantry.wire.centre_operations import OPERATIONS
from twisted_gantry.wire.operations import Operation

Handler = Callable[[Call], Any]
"""Returns the answer, or a Deferred or coroutine of it; bytes go out as they are."""


class CentreApi:
    """Answers the operations by `handlers`, by their ids; `document` is that of OpenAPI. Raises
    ValueError for an operation without a handler.
    """

    app = App()
    app.url_map.merge_slashes = False  # a path with an empty part is unknown, not redirected

    def __init__(
        self, handlers: Mapping[str, Handler], cursors: Cursors, document: Mapping[str, Any]
    ) -> None:
        if missing := {each.id for each in OPERATIONS} - handlers.keys():
            raise ValueError(f"no handler for {', '.join(sorted(missing))}")
        self._handlers, self._cursors, self._document = handlers, cursors, document

    @app.route("/api/openapi.json", methods=["GET"])
    def openapi(self, request: Request) -> bytes:
        return respond(request, self._document)

    async def answer(
        self, operation: Operation, request: Request, parts: Mapping[str, str]
    ) -> bytes | None:
        # A stranger is let in by the gate for /healthz alone, and learns the status.
        person = VIEWER if IStranger.providedBy(request) else person_of(request)
        call = Call(request, operation, person, Scope.of(person), parts, self._cursors)
        found = await maybeDeferred(self._handlers[operation.id], call)
        if found is None or isinstance(found, bytes):
            return found
        status = request.code if request.code != 200 else operation.status
        return respond(request, found, status)


def _route(operation: Operation) -> None:
    path = operation.path.replace("{", "<").replace("}", ">")

    @CentreApi.app.route(path, methods=[operation.method.upper()], endpoint=operation.id)
    async def answer(self: CentreApi, request: Request, **parts: str) -> bytes | None:
        return await self.answer(operation, request, parts)


for _each in OPERATIONS:
    _route(_each)


@CentreApi.app.handle_errors(NotStored)
def _not_stored(self: object, request: IRequest, failure: Failure) -> bytes:
    """Answer 503 with what is wrong with the database: nothing was done."""
    return respond_error(request, HttpError(503, "store-failed", failure.getErrorMessage()))


handle_errors(CentreApi.app)
