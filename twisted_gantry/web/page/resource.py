"""The status page: static files of this package, read once; its data comes from the local API."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from twisted.web.server import Request

from twisted_gantry.net.http.app import App
from twisted_gantry.net.http.json import HttpError, handle_errors

INDEX = "index.html"
_SCRIPTS = ("page.js", "known.js", "live.js", "dom.js", "texts.js")
TYPES = {
    INDEX: "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    **dict.fromkeys(_SCRIPTS, "text/javascript; charset=utf-8"),
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
    etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'.encode()
    return _File(content, TYPES[name], etag)


class Page:
    """Serves `/` and the files that it is made of. Raises OSError when one was not installed."""

    app = App()

    def __init__(self) -> None:
        self._files = {name: _read(name) for name in TYPES}

    @app.route("/", methods=["GET"])
    def index(self, request: Request) -> bytes:
        return self.file(request, INDEX)

    @app.route("/<name>", methods=["GET"])
    def file(self, request: Request, name: str) -> bytes:
        file = self._files.get(name)
        if file is None:
            raise HttpError(404, "not-found", "the page has no such file")
        request.setHeader("Content-Type", file.content_type)
        # A browser asks each time whether its copy is current, so that an update is seen at once.
        request.setHeader("Cache-Control", "no-cache")
        return b"" if request.setETag(file.etag) else file.content


handle_errors(Page.app)
