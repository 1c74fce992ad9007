"""A klein app whose whole answers carry `Content-Length`: small HTTP clients cannot unchunk."""

from typing import Any

from klein import Klein
from twisted.internet.defer import maybeDeferred
from twisted.web.http import NO_BODY_CODES, Request


def with_length(body: Any, request: Request) -> Any:
    """Return `body`; bytes that are the whole answer get their length into the headers."""
    if (
        isinstance(body, bytes)
        and not request.startedWriting
        and request.code not in NO_BODY_CODES
        and not request.responseHeaders.hasHeader("Content-Length")
    ):
        request.setHeader(b"Content-Length", b"%d" % len(body))
    return body


class App(Klein):
    def execute_endpoint(self, endpoint: str, request: Any, *args: Any, **kwargs: Any) -> Any:
        done = maybeDeferred(super().execute_endpoint, endpoint, request, *args, **kwargs)
        return done.addCallback(with_length, request)

    def execute_error_handler(self, handler: Any, request: Any, failure: Any) -> Any:
        done = maybeDeferred(super().execute_error_handler, handler, request, failure)
        return done.addCallback(with_length, request)
