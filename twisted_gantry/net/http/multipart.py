"""A form with one part, as some HTTP libraries wrap what they upload."""

import re

_BOUNDARY = re.compile(r';\s*boundary=("?)([^";\r\n]{1,70})\1', re.IGNORECASE)
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_ENCODING = re.compile(rb"(?im)^content-transfer-encoding:\s*(\S+)")
_PLAIN = frozenset({b"7bit", b"8bit", b"binary"})


class NotOnePart(ValueError):
    """A form that cannot be taken; the text says in one sentence what can."""


def is_form(content_type: str) -> bool:
    return content_type.lstrip().lower().startswith("multipart/form-data")


def content_of(content_type: str, body: bytes) -> bytes:
    """Return the content of the one part of a `multipart/form-data` body; any other body stays as
    it is. A missing end of the form is no fault. Raises NotOnePart.
    """
    if not is_form(content_type):
        return body
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise NotOnePart("multipart/form-data without a boundary; send the JSON itself")
    delimiter = b"--" + found[2].strip().encode("latin-1", "replace")
    begin = 0 if body.startswith(delimiter) else body.find(b"\n" + delimiter) + 1
    if not body.startswith(delimiter, begin):
        raise NotOnePart("multipart/form-data without its boundary; send the JSON itself")
    head = _HEAD_END.search(body, begin + len(delimiter))
    if head is None:
        raise NotOnePart("multipart/form-data without a part; send the JSON itself")
    encoding = _ENCODING.search(body, begin, head.end())
    if encoding is not None and encoding[1].lower() not in _PLAIN:
        raise NotOnePart("multipart/form-data in a transfer encoding; send the bytes as they are")
    end = body.find(b"\n" + delimiter, head.end() - 1)
    if end < 0:
        return body[head.end() :]
    if not body.startswith(b"--", end + 1 + len(delimiter)):
        raise NotOnePart("multipart/form-data with several parts; send one, or the JSON itself")
    return body[head.end() : end].removesuffix(b"\r")
