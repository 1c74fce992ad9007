"""Bodies and query arguments of an HTTP API, checked.

A time is RFC 3339 with offset, Unix seconds, or an age (`24h`; units s, m, h, d); a step is seconds
or a duration such as `15m`.
"""

import re
from datetime import datetime
from typing import TypeVar

import msgspec
from twisted.web.server import Request

from twisted_gantry.net.http.json import HttpError, argument, read_bounded, read_object

MAX_COMPLAINT = 200  # characters of an error message that are sent back

DAY = 86_400.0
LATEST = 253_402_214_400.0  # the last second that RFC 3339 can express in every offset
LEAST_STEP = 0.1  # seconds: the lower bound of `poll`

# A `+` that was not escaped in the query comes as a space.
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d(?:\.\d{1,9})?)(?:([Zz])|([-+ ])(\d\d:\d\d))\Z", re.ASCII
)
_NUMBER = re.compile(r"\d{1,12}(?:\.\d{1,9})?\Z", re.ASCII)
_LENGTH = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhd])\Z", re.ASCII)
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY}


_Struct = TypeVar("_Struct", bound=msgspec.Struct)


def read_body(request: Request, kind: type[_Struct]) -> _Struct:
    """Return the body as a `kind`. Raises HttpError (400) with the reason."""
    try:
        return msgspec.convert(read_object(request), kind)
    except msgspec.ValidationError as error:
        raise HttpError(400, "bad-request", str(error)[:MAX_COMPLAINT]) from None


def read_list(request: Request, kind: type[_Struct], nodes: int) -> _Struct:
    """Return a long body as a `kind` whose list is `msgspec.Raw`, so that its elements can be
    decoded elsewhere. Raises HttpError: 413 for over `nodes` values, else 400.
    """
    try:
        return msgspec.json.decode(read_bounded(request, None, nodes), type=kind)
    except msgspec.ValidationError as error:
        raise HttpError(400, "bad-request", str(error)[:MAX_COMPLAINT]) from None
    except (ValueError, RecursionError):
        raise HttpError(400, "not-json", "the body is not JSON") from None


def limit_of(request: Request, default: int, most: int) -> int:
    """Return the argument `limit`, 1 to `most`. Raises HttpError (400)."""
    text = argument(request, "limit", str(default))
    # isdecimal() alone accepts the digits of every script, and int() a text of any length.
    if text.isascii() and text.isdecimal() and len(text) <= 9 and 1 <= int(text) <= most:
        return int(text)
    raise HttpError(400, "bad-limit", f"limit is a whole number from 1 to {most}")


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


def time_of(text: str) -> float | None:
    """Return the Unix seconds of a time, None for another text."""
    if _NUMBER.match(text):
        return float(text)
    found = _RFC3339.match(text)
    if found is None:
        return None
    date, time, zulu, sign, offset = found.groups()
    zone = "+00:00" if zulu else f"{'-' if sign == '-' else '+'}{offset}"
    # datetime has microseconds; more digits are less than a millisecond.
    second, _, fraction = time.partition(".")
    try:
        moment = datetime.fromisoformat(f"{date}T{second}.{fraction[:6]:0<6}{zone}")
    except ValueError:
        return None
    return moment.timestamp()


def length_of(text: str) -> float | None:
    """Return the seconds of a duration such as `15m`, None for another text."""
    found = _LENGTH.match(text)
    return None if found is None else float(found[1]) * _UNITS[found[2]]


def moment_of(request: Request, name: str, now: float, default: float) -> float:
    """Return a query argument that is a time, in Unix seconds. Raises HttpError (400)."""
    text = argument(request, name)
    if not text:
        return default
    ago = length_of(text)
    moment = time_of(text) if ago is None else max(0.0, now - ago)
    if moment is None or not 0 <= moment <= LATEST:
        raise HttpError(
            400,
            "bad-time",
            f"{name} is a time like 2026-10-12T08:00:00+08:00, Unix seconds, or so long ago: 24h",
        )
    return moment


def step_of(request: Request) -> float | None:
    """Return the argument `step` in seconds, None without it. Raises HttpError (400)."""
    text = argument(request, "step")
    if not text:
        return None
    seconds = float(text) if _NUMBER.match(text) else length_of(text)
    if seconds is None or not LEAST_STEP <= seconds <= LATEST:
        raise HttpError(
            400, "bad-step", f"step is seconds, {LEAST_STEP:g} or more, or a length like 15m"
        )
    return seconds


def choice_of(request: Request, name: str, *choices: str) -> str:
    """Return an argument that is one of `choices`, by default the first. Raises HttpError (400)."""
    text = argument(request, name) or choices[0]
    if text not in choices:
        raise HttpError(400, f"bad-{name}", f"{name} is {' or '.join(choices)}")
    return text
