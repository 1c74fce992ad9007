"""What a client may ask: the bodies and the query arguments of the local API, checked."""

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta
from twisted.web.server import Request

from twisted_gantry.core.commands.door import EXPIRY
from twisted_gantry.net.http.json import HttpError, argument, read_object

DEFAULT_LIMIT, MOST = 100, 1000

# How deep arguments of a command may be nested, and how much of a complaint is sent back.
MAX_DEPTH = 8
MAX_COMPLAINT = 200

_Name = Annotated[str, Meta(min_length=1, max_length=64)]
_Struct = TypeVar("_Struct", bound=msgspec.Struct)


class CommandBody(msgspec.Struct, forbid_unknown_fields=True):
    """A command. `confirm` is the yes to a dangerous one; `expires` is seconds.

    `id` makes a request that is sent twice one command.
    """

    target: _Name
    command: _Name
    args: dict[str, Any] = msgspec.field(default_factory=dict)
    confirm: bool = False
    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}\Z")] | None = None
    expires: float = EXPIRY

    def __repr__(self) -> str:
        """Show what is asked, not the arguments: one may be a password."""
        return f"CommandBody(target={self.target!r}, command={self.command!r})"

    def __post_init__(self) -> None:
        """Refuse arguments that are nested too deep. Raises ValueError."""
        if not _shallow(self.args, MAX_DEPTH):
            raise ValueError(f"the arguments are nested deeper than {MAX_DEPTH} levels")


class RetryBody(msgspec.Struct, forbid_unknown_fields=True):
    """Which reports are queued again: of one uplink or of all; all that were set aside, or some."""

    uplink: _Name | None = None
    ids: Annotated[list[Annotated[int, Meta(ge=1, le=2**53)]], Meta(max_length=MOST)] | None = None


def _shallow(value: object, levels: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return True
    return levels > 0 and all(_shallow(each, levels - 1) for each in value)


def read_body(request: Request, kind: type[_Struct]) -> _Struct:
    """Return the body as a `kind`. Raises HttpError (400), which says what is wrong."""
    try:
        return msgspec.convert(read_object(request), kind)
    except msgspec.ValidationError as error:
        raise HttpError(400, "bad-request", str(error)[:MAX_COMPLAINT]) from None


def limit_of(request: Request) -> int:
    """Return the argument `limit`, 1 to 1000. Raises HttpError (400)."""
    text = argument(request, "limit", str(DEFAULT_LIMIT))
    # isdecimal() alone takes the digits of every script, and int() a text of any length.
    if text.isascii() and text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= MOST:
        return int(text)
    raise HttpError(400, "bad-limit", f"limit is a whole number from 1 to {MOST}")


def flag_of(request: Request, name: str) -> bool:
    """Return an argument that is 1 or 0, 0 if it is missing. Raises HttpError (400)."""
    text = argument(request, name, "0")
    if text not in ("0", "1"):
        raise HttpError(400, "bad-argument", f"{name} is 0 or 1")
    return text == "1"
