"""The CLOUD smart management card of a UPS: its commands, replies and error codes.

Source: the UPS card document, section 3 (a) and (b). `values.py` reads the values inside a reply,
`session.py` orders a conversation.
"""

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from twisted_gantry.wire.errors import BadMessage, CannotEncode, NotJson, WireError
from twisted_gantry.wire.json import dumps, loads_text, salvage_text
from twisted_gantry.wire.numbers import text, unpadded, whole

CONTROLS = frozenset({"SON", "SOFF", "BZON", "BZOFF", "T"})
CLEAR_PASSWORD = "clear"  # noqa: S105 - the word that clears the card's password
MAX_PASSWORD = 15
MAX_URL = 200


class ErrorCode(IntEnum):
    """The code of an error reply (section 3 b 1)."""

    JSON_FORMAT = 101
    SESSION_LOSS = 102
    PASSWORD_ERROR = 103
    HOST_NO = 104
    COMMAND_NO = 105
    PASSTOOLENGTH = 106
    BUSY = 201


class CardCommand(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    rename={"password": "pass", "new_password": "new_pass"},
):
    """A command for the card. `host`, the URL for the result, is for HTTP alone."""

    session: str
    password: str | None = None
    new_password: str | None = None
    host: str | None = None
    cmd: str

    def __repr__(self) -> str:
        return f"CardCommand(session={self.session!r}, cmd={self.cmd!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("session", self.session), ("cmd", self.cmd)]

    def encode(self) -> bytes:
        """Return the bytes for the card. Raises CannotEncode for a password of a wrong length, and
        for text that UTF-8 cannot carry.
        """
        for password in (self.password, self.new_password):
            if password is not None and not 0 < len(password) <= MAX_PASSWORD:
                raise CannotEncode(f"a password has 1 to {MAX_PASSWORD} characters")
        return dumps(self)


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The reply to a command that the card understood; every `value` begins with `(`. A card may
    leave `uid`, and one of `session` and `cmd`, away.
    """

    uid: str | None = None
    session: str | None = None
    cmd: str | None = None
    value: str

    def encode(self) -> bytes:
        return dumps(self)


class CardRefusal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error reply. A code that the document does not list is kept as received."""

    result: int
    uid: str | None = None
    session: str | None = None
    cmd: str | None = None

    @property
    def name(self) -> str:
        try:
            return f"{self.result} {ErrorCode(self.result).name}"
        except ValueError:
            return str(self.result)

    def encode(self) -> bytes:
        """Return the bytes of the reply; all values are text, the code has three digits."""
        return dumps({**msgspec.to_builtins(self), "result": f"{self.result:03d}"})


def encode_echo(code: ErrorCode, original: bytes) -> bytes:
    """Return the other shape of an error: the code, then the fields of the command."""
    inner = original.strip()
    inner = inner.removeprefix(b"{").removesuffix(b"}").strip()
    head = b'{"result":"%03d"' % code
    return head + (b"," + inner if inner else b"") + b"}"


@dataclass(frozen=True)
class Place:
    """The target of an HTTP URL; `path` begins with a slash and is written as in the URL."""

    host: str
    port: int
    path: str


def place_of(url: str) -> Place:
    """Return the target of the URL of a card or of a callback. Raises ValueError for anything but a
    plain `http://host[:port]/path`: the document knows no other scheme, and no user, query or
    fragment.
    """
    wrong = ValueError(f"must be http://host/path, without user, ? and #; it is {url[:MAX_URL]!r}")
    if "@" in url:
        raise ValueError("must not hold a user or a password")
    if len(url) > MAX_URL or not re.fullmatch(r"[!-~]+", url) or re.search(r"[?#\\]", url):
        raise wrong
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, 80 if parts.port is None else parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme != "http" or not host or port == 0:
        raise wrong
    return Place(host, port, parts.path or "/")


class CommandError(WireError):
    """A command that the card refuses, with the code of its answer. `host` is where the answer
    goes, None if the command named none or could not be read.
    """

    def __init__(
        self,
        code: ErrorCode,
        session: str | None = None,
        cmd: str | None = None,
        host: str | None = None,
    ) -> None:
        super().__init__(f"{code.value} {code.name}")
        self.code, self.session, self.cmd, self.host = code, session, cmd, host


def decode_command(data: bytes, *, over_http: bool = False) -> CardCommand:
    """Read a command. Raises CommandError, the first of 101, 102, 106, 104, 105 that applies."""
    try:
        fields = loads_text(data)
    except WireError:
        raise CommandError(ErrorCode.JSON_FORMAT) from None
    if not isinstance(fields, dict):
        raise CommandError(ErrorCode.JSON_FORMAT)
    session, cmd = _text(fields, "session"), _text(fields, "cmd")
    if session is None:
        raise CommandError(ErrorCode.SESSION_LOSS, None, cmd)
    password, new_password = _text(fields, "pass"), _text(fields, "new_pass")
    host = _text(fields, "host")
    if any(text is not None and len(text) > MAX_PASSWORD for text in (password, new_password)):
        raise CommandError(ErrorCode.PASSTOOLENGTH, session, cmd, host)
    if over_http and host is None:
        raise CommandError(ErrorCode.HOST_NO, session, cmd)
    if cmd is None:
        raise CommandError(ErrorCode.COMMAND_NO, session, cmd, host)
    return CardCommand(
        session=session, password=password, new_password=new_password, host=host, cmd=cmd
    )


def _text(fields: dict[str, Any], key: str) -> str | None:
    value = fields.get(key)
    return value if isinstance(value, str) and value else None


Reply = Result | CardRefusal


class ReadReply(NamedTuple):
    """A reply, and what was repaired to read it."""

    reply: Reply
    repairs: tuple[str, ...] = ()


# Each blank matches in one way only: anybody may POST a result to us, with 64 KiB of blanks in it.
_CODE = re.compile(rb'"\s*result\s*"\s*:\s*(?:"\s*)?(\d{3})\b')
_LARGEST_CODE = 999


def decode_reply(data: bytes) -> Reply:
    """Return the reply of `read_reply`. Raises NotJson or BadMessage."""
    return read_reply(data).reply


def read_reply(data: bytes) -> ReadReply:
    """Read a reply of the card. Raises NotJson or BadMessage. Both shapes of an error are accepted.
    Bytes that are not JSON but hold `"result": "NNN"` yield that code: the echo of broken JSON is
    broken JSON. A member that cannot be read is None; a result needs its value, and its session or
    its command.
    """
    try:
        fields, repairs = salvage_text(data)
    except WireError as error:
        found = _CODE.search(data)
        if found is None:
            raise NotJson(f"{error}, and it holds no result code") from None
        return ReadReply(CardRefusal(result=int(found[1])))
    if isinstance(fields, list) and len(fields) == 1:
        [fields] = fields
    if not isinstance(fields, dict):
        raise BadMessage("a reply that is no object")
    uid, session, cmd = (text(fields.get(name)) or None for name in ("uid", "session", "cmd"))
    value, code = _text(fields, "value"), whole(unpadded(fields.get("result")))
    if code is not None and not 0 <= code <= _LARGEST_CODE:
        code = None
    if code is not None and (code or value is None):
        return ReadReply(CardRefusal(result=code, uid=uid, session=session, cmd=cmd), repairs)
    if value is None:
        what = "a result that is no code" if "result" in fields else "a reply without a value"
        raise BadMessage(what)
    if session is None and cmd is None:
        raise BadMessage("a reply without session and cmd")
    return ReadReply(Result(uid=uid, session=session, cmd=cmd, value=value), repairs)
