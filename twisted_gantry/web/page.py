"""The status page: files of this package, read once, which ask the local API for all they show."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from klein import Klein
from twisted.web.server import Request

from twisted_gantry.net.json_http import handle_errors

_TYPES = {
    "index.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "favicon.svg": "image/svg+xml",
}


@dataclass(frozen=True)
class _File:
    """A file as it is sent; `etag` changes with its content."""

    content: bytes
    content_type: str
    etag: bytes


def _read(name: str) -> _File:
    content = files(__package__).joinpath(name).read_bytes()
    etag = hashlib.sha256(content).hexdigest()[:16].encode()
    return _File(content, _TYPES[name], b'"' + etag + b'"')


class Page:
    """Serves `/` and what it is made of. Raises OSError when a file was not installed."""

    app = Klein()

    def __init__(self) -> None:
        self._files = {name: _read(name) for name in _TYPES}

    @app.route("/", methods=["GET"])
    def index(self, request: Request) -> bytes:
        """Return the page."""
        return self._send(request, "index.html")

    @app.route("/page.css", methods=["GET"])
    def style(self, request: Request) -> bytes:
        """Return how the page looks."""
        return self._send(request, "page.css")

    @app.route("/page.js", methods=["GET"])
    def script(self, request: Request) -> bytes:
        """Return what the page does."""
        return self._send(request, "page.js")

    @app.route("/favicon.svg", methods=["GET"])
    def icon(self, request: Request) -> bytes:
        """Return the icon of the page."""
        return self._send(request, "favicon.svg")

    def _send(self, request: Request, name: str) -> bytes:
        file = self._files[name]
        request.setHeader("Content-Type", file.content_type)
        # A browser asks each time whether its copy still holds: after an update none is old.
        request.setHeader("Cache-Control", "no-cache")
        if request.setETag(file.etag):
            return b""
        return file.content


handle_errors(Page.app)
