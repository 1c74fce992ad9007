"""How a face of the twin misbehaves, as set through the control API.

What each setting means, by face. A probability is rolled anew for each reply.

On `ups-tcp`:

- `delay` (s): the command acts, its reply comes later; the order of the replies stays.
- `drop` (0 to 1): the command acts, its reply is not sent.
- `garbage` (0 to 1): the command acts, random bytes are sent for its reply.
- `busy`: every well-formed command is answered 201 and does not act.
- `refuse`: connections are accepted and closed at once; open ones close at their next byte.
- `code` (three digits): every well-formed command is answered so and does not act.
- `http_status` has no meaning there and is refused.

On `etc`:

- `delay` (s): the answer comes later.
- `drop`: the request is taken, then the connection is cut: the acknowledgement is lost after the
  commit.
- `garbage`: the request is taken; a 200 comes that is no JSON.
- `busy`: 1005, and nothing is taken.
- `refuse`: the connection is cut before the request is even received.
- `http_status` (300 to 599): this status without a body, and nothing is taken.
- `code` (four digits): this code, and nothing is taken.

On both, `for` (s): all of it ends by itself after so long.

Of several, the first in the order `refuse`, `http_status`, `code`, `busy`, `drop`, `garbage`
decides; `delay` goes with any but `refuse`.
"""

import random
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import msgspec

UPS_TCP = "ups-tcp"
UPS_HTTP = "ups-http"
CFOS = "cfos"
EMS = "ems"
CABINET = "cabinet"
ETC = "etc"
FOGSLINK = "fogslink"

_LONGEST = 86_400.0
_GARBAGE_BYTES = 200

Seconds = Annotated[float, msgspec.Meta(ge=0, le=_LONGEST)]
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Settings(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename={"lasting": "for"},
):
    """The settings of one face; without any it behaves. `lasting` is `for`, in seconds."""

    delay: Seconds = 0.0
    drop: Probability = 0.0
    garbage: Probability = 0.0
    busy: bool = False
    refuse: bool = False
    http_status: Annotated[int, msgspec.Meta(ge=300, le=599)] | None = None
    code: str | None = None
    lasting: Annotated[float, msgspec.Meta(gt=0, le=_LONGEST)] | None = None


WELL_BEHAVED = Settings()

# What a face cannot do, and the form of its codes.
_WITHOUT_MEANING: Mapping[str, tuple[str, ...]] = {UPS_TCP: ("http_status",), ETC: ()}
_CODES: Mapping[str, str] = {UPS_TCP: "[0-9]{3}", ETC: "[0-9]{4}"}


class FaultError(ValueError):
    """Settings that a face does not take; the text names the setting."""


class UnknownFace(LookupError):
    """There is no such face; the text names those that there are."""


class Faults:
    """The faults of every face. `seconds` is a monotonic clock; equal seeds roll equally."""

    def __init__(self, seconds: Callable[[], float], random_numbers: random.Random) -> None:
        self._seconds, self._random = seconds, random_numbers
        self._set: dict[str, tuple[Settings, float | None]] = {}

    @property
    def faces(self) -> tuple[str, ...]:
        """The faces that can misbehave."""
        return tuple(_CODES)

    def put(self, face: str, content: Mapping[str, Any]) -> Settings:
        """Replace the faults of a face. Raises UnknownFace or FaultError."""
        self._check_face(face)
        try:
            settings = msgspec.convert(dict(content), Settings)
        except msgspec.ValidationError as error:
            raise FaultError(str(error)) from None
        for name in _WITHOUT_MEANING[face]:
            if name in content:
                raise FaultError(f"{name} has no meaning for {face}")
        if settings.code is not None and not re.fullmatch(_CODES[face], settings.code):
            raise FaultError(f"code must be text like {_CODES[face]} for {face}")
        until = None if settings.lasting is None else self._seconds() + settings.lasting
        self._set[face] = (settings, until)
        return settings

    def clear(self, face: str) -> None:
        """Let a face behave. Raises UnknownFace."""
        self._check_face(face)
        self._set.pop(face, None)

    def of(self, face: str) -> Settings:
        """Return what is in force now."""
        settings, until = self._set.get(face, (WELL_BEHAVED, None))
        if until is not None and self._seconds() >= until:
            del self._set[face]
            return WELL_BEHAVED
        return settings

    def strikes(self, probability: float) -> bool:
        """Roll the dice. Nothing is rolled for 0, so that a fault not set changes no run."""
        return probability > 0 and self._random.random() < probability

    def garbage(self) -> bytes:
        """Return random bytes, at least one."""
        return self._random.randbytes(self._random.randint(1, _GARBAGE_BYTES))

    def _check_face(self, face: str) -> None:
        if face not in _CODES:
            raise UnknownFace(f"no face {face[:40]!r}; there are {', '.join(_CODES)}")
