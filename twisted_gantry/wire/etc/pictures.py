"""Pictures and videos of doors as files of an HTTP answer: types and names.

Source: the ETC document, section 3.3.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

CONTENT_TYPES: Mapping[str, str] = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "bmp": "image/bmp",
    "gif": "image/gif",
    "webp": "image/webp",
    "avi": "video/avi",
    "mp4": "video/mp4",
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "wmv": "video/x-ms-wmv",
    "flv": "video/x-flv",
}
"""Content types by extension; of the same moment, a picture is preferred to a video."""

_OTHER_NAMES = {"image/jpg": "jpg", "image/pjpeg": "jpg", "video/x-msvideo": "avi"}
_EXTENSIONS = {kind: name for name, kind in reversed(list(CONTENT_TYPES.items()))} | _OTHER_NAMES
_FILE = re.compile(r"""filename\*?=["']?[^"';/\\]*?(?:_([0-9]{17}))?\.([A-Za-z0-9]{2,4})\b""", re.I)


@dataclass(frozen=True)
class PictureFile:
    """A picture or video of a door: its file name, which has no path, its type and its bytes."""

    name: str
    content_type: str
    content: bytes = field(repr=False)


def file_name(gantry_id: str, digits: str, extension: str) -> str:
    """Return the name of a file; `digits` is the time, `yyyyMMddhhmmsszzz`."""
    return f"{gantry_id}_{digits}.{extension}"


def described(headers: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the time (17 digits, may be empty) and the extension of the file in an answer with
    these headers, whose names are lower-case; None for an answer that is no file.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    named = _FILE.search(headers.get("content-disposition", ""))
    extension = named[2].lower() if named else ""
    known = _EXTENSIONS.get(kind, "")
    if known and CONTENT_TYPES.get(extension) != CONTENT_TYPES[known]:
        extension = known  # the type says more than a name that does not fit
    if extension not in CONTENT_TYPES:
        return None
    return (named[1] or "" if named else ""), extension
