"""klein routes with constant paths, found by one look-up.

klein binds a werkzeug map and matches it for each request, which takes a third of the time of a
small answer. It also logs a trace for a path or a `Host` that is not text, which any peer can send.
"""

from collections.abc import Callable
from typing import Any

from klein import Klein
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from twisted_gantry.net.http.app import with_length
from twisted_gantry.net.http.json import HttpError, respond_error
from twisted_gantry.net.http.server import cut

_REST = "/<path:__rest__>"  # what klein adds for a branch route of "/"


class ConstantRoutes(Resource):
    """Serves the routes of a klein app whose paths have no variable part.

    Each route names its methods; another path is 404 and another method 405. A branch route of `/`
    takes these instead, whatever its methods. A handler returns the body, or None once it has ended
    the request itself, or a Deferred of either, which the loss of the connection cancels. HttpError
    is answered in its shape; any other error is 500 and handed to `fault`.

    Raises ValueError for a path with a variable part.
    """

    isLeaf = True

    def __init__(self, app: Klein, fault: Callable[[Failure], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._app, self._fault = app, fault
        self._endpoints: dict[bytes, dict[bytes, str]] = {}
        self._other: str | None = None
        for rule in app.url_map.iter_rules():
            if rule.rule == _REST:
                self._other = rule.endpoint
            elif rule.arguments:
                raise ValueError(f"{rule.rule} has a variable part")
            else:
                methods = self._endpoints.setdefault(rule.rule.encode(), {})
                methods.update((each.encode(), rule.endpoint) for each in rule.methods or ())

    def render(self, request: Request) -> int:
        over = request.notifyFinish()
        over.addErrback(lambda _: None)
        answering: Deferred[Any] = maybeDeferred(self._handle, request)
        # The handler's own notices come first: it learns of the loss before it is cancelled.
        request.notifyFinish().addErrback(lambda _: answering.cancel())
        answering.addErrback(self._failed, request, over)
        answering.addCallback(_write, request, over)
        answering.addErrback(self._fault)
        return NOT_DONE_YET

    def _handle(self, request: Request) -> Any:
        methods = self._endpoints.get(request.path, {})
        endpoint = methods.get(request.method, self._other)
        if endpoint is not None:
            return self._app.execute_endpoint(endpoint, request)
        if not methods:
            raise HttpError(404, "not-found", "there is no such path")
        allowed = b", ".join(sorted(methods))
        request.setHeader(b"Allow", allowed)
        raise HttpError(405, "method-not-allowed", f"{allowed.decode()} alone")

    def _failed(self, failure: Failure, request: Request, over: Deferred[None]) -> bytes | None:
        error = failure.value
        if over.called and isinstance(error, CancelledError):
            return None
        if not isinstance(error, HttpError):
            self._fault(failure)
            error = HttpError(500, "internal", "see the log of the program")
        if over.called:
            return None
        if request.startedWriting:
            cut(request)  # half an answer cannot become another
            return None
        return respond_error(request, error)


def _write(body: bytes | None, request: Request, over: Deferred[None]) -> None:
    if body is not None and not over.called:
        request.write(with_length(body, request))
        request.finish()
