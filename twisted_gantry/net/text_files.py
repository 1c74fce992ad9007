"""Text files that people write, also with the editors of Windows."""

from pathlib import Path

# What such editors put around a text: a byte order mark, blanks of any script, the end of file.
_BLANKS = " \t\xa0\u3000\ufeff"
_BEHIND = f"{_BLANKS}\r\n\f\v\0\x1a"


def text_of(data: bytes) -> str:
    """Return the text of a file, without a byte order mark, and without what stands behind its last
    line. Lines keep their numbers. Raises UnicodeDecodeError: the text is UTF-8.
    """
    return data.decode("utf-8").lstrip(_BLANKS).rstrip(_BEHIND)


def line_of(data: bytes) -> str:
    """Return a text that is one line, such as a secret, without blanks at its ends. Raises
    UnicodeDecodeError.
    """
    return text_of(data).strip(_BEHIND)


def read_text(path: Path) -> str:
    """Return the text of a file. Raises OSError, UnicodeDecodeError."""
    return text_of(path.read_bytes())
