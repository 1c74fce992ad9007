"""JSON over klein: answers, errors in one shape, and reading of requests."""

from math import isinf
from typing import Any
from urllib.parse import urlsplit

import msgspec
from klein import Klein
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import Request
from twisted.web.iweb import IRequest
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import RequestRedirect

from twisted_gantry.net.http.gzip import packed
from twisted_gantry.texts.phrases import errors

_log = Logger()

MOST_BYTES = 1024 * 1024
"""Bytes of a body that are decoded at once. Texts are quick, numbers of thousands of digits not."""
MOST_NODES = 20_000
"""Values of a body (elements and members) that are decoded at once, which takes at most 20 ms."""


class HttpError(Exception):
    """An answer that is not 200: `{"error": {"code", "message"}}`, with the same in Chinese as
    `messageZh` if given, or if the client says that its reader reads Chinese (Accept-Language).
    """

    def __init__(self, status: int, code: str, message: str, message_zh: str = "") -> None:
        super().__init__(message)
        self.status, self.code = status, code
        self.message, self.message_zh = message, message_zh


def respond(request: IRequest, content: Any, status: int = 200) -> bytes:
    """Return `content` as JSON, packed where the client takes that; set status and headers."""
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", b"application/json; charset=utf-8")
    request.setHeader(b"Cache-Control", b"no-store")
    return packed(request, msgspec.json.encode(content))


def respond_error(request: IRequest, error: HttpError) -> bytes:
    said = {"code": error.code, "message": error.message}
    zh = error.message_zh or (_in_chinese(error.message) if reads_chinese(request) else "")
    if zh:
        said["messageZh"] = zh
    return respond(request, {"error": said}, error.status)


def reads_chinese(request: IRequest) -> bool:
    """Tell whether the client says that its reader reads Chinese (Accept-Language)."""
    headers: Any = request
    return b"zh" in (headers.getHeader(b"accept-language") or b"").lower()


def _in_chinese(message: str) -> str:
    zh = errors().chinese(message)
    return "" if zh == message else zh


def read_object(
    request: Request, *, size: int = MOST_BYTES, nodes: int = MOST_NODES
) -> dict[str, Any]:
    """Return the JSON object in the body, `{}` for an empty one. Raises HttpError: 413 for over
    `size` bytes or `nodes` values, else 400.
    """
    body = read_bounded(request, size, nodes)
    if not body.strip():
        return {}
    try:
        content = _decoder.decode(body)
    except (ValueError, RecursionError):
        raise HttpError(400, "not-json", "the body is not JSON") from None
    if not isinstance(content, dict):
        raise HttpError(400, "not-an-object", "the body is no JSON object")
    return content


def read_bounded(request: Request, size: int | None, nodes: int) -> bytes:
    """Return the body. Raises HttpError (413) for over `size` bytes or `nodes` values of JSON:
    decoding holds the whole program.
    """
    assert request.content is not None  # set once the request is complete
    body: bytes = request.content.read()
    if size is not None and len(body) > size:
        raise HttpError(413, "too-large", f"the body has more than {size} bytes")
    # Each value but the first has a comma or an opening before it. Texts may have more of them.
    if len(body) > nodes and body.count(b",") + body.count(b"[") + body.count(b"{") > nodes:
        raise HttpError(413, "too-large", f"the body has more than {nodes} values")
    return body


def finite(text: str) -> float:
    """Return the number of a JSON text. Raises ValueError for one past all."""
    number = float(text)
    if isinf(number):
        raise ValueError("a number past all")
    return number


# The decoder alone takes 10 µs for a number with a great exponent, float() a tenth of that.
_decoder = msgspec.json.Decoder(float_hook=finite)


def argument(request: Request, name: str, default: str = "") -> str:
    """Return a query argument as text; the last of several counts."""
    values = request.args.get(name.encode(), [])
    return values[-1].decode("utf-8", "replace") if values else default


def header(request: Request, name: str) -> str:
    """Return a request header as text, empty if it is missing; wrong UTF-8 is replaced."""
    value = request.getHeader(name.encode())
    return value.decode("utf-8", "replace") if value else ""


def refuse_foreign_origin(request: Request) -> None:
    """Refuse requests that another site's page makes a browser send. Raises HttpError (403).

    A page cannot set `Sec-Fetch-Site`: `same-origin` is proof enough, also behind a reverse proxy
    that sends a Host of its own. Browsers leave it out on plain http off this machine; then the
    Origin must be that of the Host.
    """
    fetched = header(request, "sec-fetch-site").strip().lower()
    if fetched == "same-origin":
        return
    if fetched not in {"", "none"}:
        raise HttpError(403, "foreign-origin", "a page of another site may not do this")
    origin, host = header(request, "origin"), header(request, "host")
    if origin and (not host or origin.partition("://")[2].lower() != host.lower()):
        why = (
            f"a page of another site may not do this: the Origin is {origin[:100]}, and the Host is"
            f" {host[:100]}. A reverse proxy must pass the Host of the browser (nginx:"
            " proxy_set_header Host $http_host;) or its Sec-Fetch-Site"
        )
        raise HttpError(403, "foreign-origin", why)


def handle_errors(app: Klein) -> None:
    """Answer each exception of `app` as an error in JSON, and log errors of ours."""

    @app.handle_errors(Exception)
    def _(self: object, request: IRequest, failure: Failure) -> bytes:
        error = failure.value
        if isinstance(error, HttpError):
            return respond_error(request, error)
        if isinstance(error, HTTPException):  # werkzeug's 404 and 405
            status = error.code or 500
            name = (error.name or "error").lower().replace(" ", "-")
            if isinstance(error, MethodNotAllowed):
                request.setHeader(b"Allow", ", ".join(sorted(error.valid_methods or ())).encode())
            if isinstance(error, RequestRedirect):  # a slash is missing; stay on this host
                path = "/" + urlsplit(error.new_url).path.lstrip("/")
                request.setHeader(b"Location", path.encode())
            return respond_error(request, HttpError(status, name, str(error.description)))
        _log.failure("{path} failed", failure=failure, path=request.path)
        return respond_error(request, HttpError(500, "internal", "see the log of the program"))
