"""Lines of the protocol of Network UPS Tools, as its server `upsd` speaks it, version 1.3.

Source: RFC 9271. A line is words, separated by blanks. A word with blanks stands in double quotes;
a backslash takes the next character as it is.
"""

import re
from enum import StrEnum

MAX_LINE = 512
"""Bytes of the longest request; the longest that clients send is a password with a user's name."""
MAX_WORDS = 16

_WORD = re.compile(r'[ \t]+|"((?:[^"\\]|\\.)*)"|((?:[^\s"\\]|\\.)+)', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f]")


class NutCode(StrEnum):
    """The errors that this program answers with, and `ALREADY-LOGGED-IN` of upsd for its LOGIN."""

    ACCESS_DENIED = "ACCESS-DENIED"
    ALREADY_ATTACHED = "ALREADY-ATTACHED"
    ALREADY_LOGGED_IN = "ALREADY-LOGGED-IN"
    ALREADY_SET_PASSWORD = "ALREADY-SET-PASSWORD"  # noqa: S105 - no password
    ALREADY_SET_USERNAME = "ALREADY-SET-USERNAME"
    ALREADY_TLS = "TLS-ALREADY-ENABLED"
    CMD_NOT_SUPPORTED = "CMD-NOT-SUPPORTED"
    DATA_STALE = "DATA-STALE"
    FEATURE_NOT_CONFIGURED = "FEATURE-NOT-CONFIGURED"
    INSTCMD_FAILED = "INSTCMD-FAILED"
    INVALID_ARGUMENT = "INVALID-ARGUMENT"
    PASSWORD_REQUIRED = "PASSWORD-REQUIRED"  # noqa: S105 - no password
    READONLY = "READONLY"
    TOO_LONG = "TOO-LONG"
    UNKNOWN_COMMAND = "UNKNOWN-COMMAND"
    UNKNOWN_UPS = "UNKNOWN-UPS"
    USERNAME_REQUIRED = "USERNAME-REQUIRED"
    VAR_NOT_SUPPORTED = "VAR-NOT-SUPPORTED"


class NutError(Exception):
    """A request that is answered with `ERR` and `code`."""

    def __init__(self, code: NutCode) -> None:
        super().__init__(code.value)
        self.code = code


def split(line: bytes) -> list[str]:
    """Return the words of a request without its line end. Bytes that are not UTF-8 stay what they
    were when the word is encoded with `surrogateescape`. Raises NutError for an open quote, and for
    more than `MAX_WORDS`.
    """
    text = line.decode("utf-8", "surrogateescape").strip()
    words: list[str] = []
    at = 0
    while at < len(text):
        found = _WORD.match(text, at)
        if found is None or len(words) > MAX_WORDS:
            raise NutError(NutCode.INVALID_ARGUMENT)
        in_quotes, bare = found.groups()
        word = bare if in_quotes is None else in_quotes
        if word is not None:
            words.append(_ESCAPE.sub(r"\1", word))
        at = found.end()
    return words


def quoted(text: str) -> str:
    """Return a value as a word in quotes; control characters become blanks."""
    plain = _NO_TEXT.sub(" ", text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def number(value: float) -> str:
    """Return a number as the protocol has them: decimal, no exponent, at most two decimals."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
