"""A page of static files of a package, read once: packed, with tags, and with paths for its views.

What a page shows comes from an API; `index.html` names what it needs by paths that begin with `./`.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from gzip import compress
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath

from twisted.web.server import Request

from twisted_gantry.net.http.app import App
from twisted_gantry.net.http.gzip import takes_gzip
from twisted_gantry.net.http.json import HttpError, handle_errors

INDEX = "index.html"
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json; charset=utf-8",
}
_PACKED = (".png",)


@dataclass(frozen=True)
class _File:
    """A file as it is sent; `etag` changes with its content. `packed` is empty for a file that
    gzip does not make smaller.
    """

    content: bytes
    content_type: str
    etag: bytes
    packed: bytes = b""


def _file(content: bytes, suffix: str) -> _File:
    etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'.encode()
    packed = b"" if suffix in _PACKED else compress(content, mtime=0)
    return _File(content, _KINDS[suffix], etag, packed)


def _names(folder: Traversable, prefix: str = "") -> list[str]:
    """Return the paths of what the page is made of, below a folder."""
    found = []
    for each in folder.iterdir():
        if each.is_dir():
            found += _names(each, f"{prefix}{each.name}/")
        elif PurePosixPath(each.name).suffix in _KINDS:
            found.append(prefix + each.name)
    return sorted(found)


def content_types(package: str) -> Mapping[str, str]:
    """Return the content type of each file of a page, by its path."""
    return {name: _KINDS[PurePosixPath(name).suffix] for name in _names(files(package))}


class StaticPage:
    """Serves the files of `package`, and the page itself at `/` and at the paths of views.

    `views` are paths such as `alarms`. `deeper` are first parts such as `devices`: what follows
    them, one part, is a name that the page reads. So a view can be loaded again.
    """

    app = App()

    def __init__(self, package: str, views: Collection[str], deeper: Collection[str]) -> None:
        folder = files(package)
        self._files = {
            name: _file(folder.joinpath(name).read_bytes(), PurePosixPath(name).suffix)
            for name in content_types(package)
        }
        self._views, self._parts = views, deeper
        # One level down, what the page is made of stands one level up. A base element would need
        # the path under which a proxy serves the page.
        page = self._files[INDEX].content
        self._deeper = _file(page.replace(b'"./', b'"../'), ".html")
        self.first_parts = frozenset({"", *deeper, *views, *(n.split("/")[0] for n in self._files)})
        """The first parts of the paths that the page answers."""

    @app.route("/", methods=["GET"])
    def index(self, request: Request) -> bytes:
        return _send(request, self._files[INDEX])

    @app.route("/<path:name>", methods=["GET"])
    def file(self, request: Request, name: str) -> bytes:
        file = self._files.get(INDEX if name in self._views else name)
        if file is None:
            part, _, rest = name.partition("/")
            if part not in self._parts or not rest or "/" in rest:
                raise HttpError(404, "not-found", "the page has no such file")
            file = self._deeper
        return _send(request, file)


def _send(request: Request, file: _File) -> bytes:
    request.setHeader("Content-Type", file.content_type)
    # A browser asks each time whether its copy is current, so that an update is seen at once.
    request.setHeader("Cache-Control", "no-cache")
    packs = takes_gzip(request)
    if request.setETag(file.etag):
        return b""
    if packs and file.packed:
        request.setHeader("Content-Encoding", "gzip")
        return file.packed
    return file.content


handle_errors(StaticPage.app)
