"""A page of static files of a package, read once: packed, with tags, and with paths for its views.

What a page shows comes from an API; `index.html` names what it needs by paths that begin with `./`.
"""

import hashlib
from collections.abc import Collection
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
_SHARED = "shared/"
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


def _below(folder: Traversable, prefix: str = "") -> dict[str, Traversable]:
    """Return what a page is made of, below a folder, by its path."""
    found: dict[str, Traversable] = {}
    for each in folder.iterdir():
        if each.is_dir():
            found |= _below(each, f"{prefix}{each.name}/")
        elif PurePosixPath(each.name).suffix in _KINDS:
            found[prefix + each.name] = each
    return found


class StaticPage:
    """Serves the files of `package`, those of the package `shared` below `shared/`, and the page
    itself at `/` and at the paths of views.

    `views` are paths such as `alarms`. `deeper` are first parts such as `devices`: what follows
    them, one part, is a name that the page reads. So a view can be loaded again.
    """

    app = App()

    def __init__(
        self, package: str, shared: str, views: Collection[str], deeper: Collection[str]
    ) -> None:
        """Read the files. Raises OSError when one is not installed."""
        found = _below(files(package)) | _below(files(shared), _SHARED)
        self._files = {
            name: _file(each.read_bytes(), PurePosixPath(name).suffix)
            for name, each in sorted(found.items())
        }
        self.types = {name: each.content_type for name, each in self._files.items()}
        """The content type of each file, by its path."""
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
