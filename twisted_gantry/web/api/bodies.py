"""Bodies and query arguments of the local API, checked."""

from typing import TypeVar

import msgspec
from twisted.web.server import Request

from twisted_gantry.net.http.json import HttpError, argument, read_object
from twisted_gantry.wire.local_api import DEFAULT_LIMIT, MAX_LIMIT

MAX_COMPLAINT = 200  # characters of an error message that are sent back

_Struct = TypeVar("_Struct", bound=msgspec.Struct)


def read_body(request: Request, kind: type[_Struct]) -> _Struct:
    """Return the body as a `kind`. Raises HttpError (400) with the reason."""
    try:
        return msgspec.convert(read_object(request), kind)
    except msgspec.ValidationError as error:
        raise HttpError(400, "bad-request", str(error)[:MAX_COMPLAINT]) from None


def limit_of(request: Request, default: int = DEFAULT_LIMIT) -> int:
    """Return the argument `limit`, 1 to 1000. Raises HttpError (400)."""
    text = argument(request, "limit", str(default))
    # isdecimal() alone accepts the digits of every script, and int() a text of any length.
    if text.isascii() and text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT:
        return int(text)
    raise HttpError(400, "bad-limit", f"limit is a whole number from 1 to {MAX_LIMIT}")


def number_of(request: Request, name: str) -> int | None:
    """Return a whole number, None without the argument. Raises HttpError (400)."""
    text = argument(request, name)
    if not text:
        return None
    if text.isascii() and text.isdecimal() and len(text) <= 18:
        return int(text)
    raise HttpError(400, "bad-argument", f"{name} is a number")


def flag_of(request: Request, name: str) -> bool:
    """Return whether an argument is 1; 0 if it is missing. Raises HttpError (400)."""
    text = argument(request, name, "0")
    if text not in ("0", "1"):
        raise HttpError(400, "bad-argument", f"{name} is 0 or 1")
    return text == "1"
