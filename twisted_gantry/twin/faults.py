"""How a face of the twin misbehaves, as set through the control API.

What each setting means, by face. A probability is rolled anew for each reply.

On the faces over HTTP, `etc`, `cabinet`, `ems`, `cfos` and `ups-http`:

- `delay` (s): the call acts, its answer comes later.
- `drop` (0 to 1): the call acts, then the connection is cut: the acknowledgement is lost after the
  commit. On `ups-http` the result is not posted.
- `garbage` (0 to 1): the call acts; a 200, or a result, comes that is no JSON.
- `busy`: nothing is done. `etc` and `cabinet` answer 1005, `ups-http` 201, `ems` HTTP
  429, `cfos` HTTP 503.
- `refuse`: the connection is cut before the call is even received.
- `http_status` (300 to 599): this status without a body, and nothing is done.
- `code`: this code of the protocol, and nothing is done: four digits on `etc` and `cabinet`, three
  on `ups-http`, an integer as text on `ems`; `cfos` has no codes.

On `ups-tcp`, the same but for:

- `delay`: the order of the replies stays.
- `refuse`: connections are accepted and closed at once; open ones close at their next byte.
- `http_status` has no meaning there and is refused.

On `fogslink`:

- `delay`, `refuse`: as on `ups-tcp`.
- `drop`: the data is taken, its answer is not sent.
- `garbage`: the data is taken, a line that is no JSON is sent.
- `busy`: silence, and nothing is taken.
- `code`: this code to every pack, and nothing is taken; `9` asks for the pack again. `2` and `3`
  refuse a new session, too.
- `http_status` has no meaning there and is refused.

On all, `for` (s): all of it ends by itself after so long.

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

# The form of each face's codes, empty for none; and which have no HTTP status.
_CODES: Mapping[str, str] = {
    UPS_TCP: "[0-9]{3}",
    UPS_HTTP: "[0-9]{3}",
    CFOS: "",
    EMS: "-?[0-9]{1,9}",
    CABINET: "[0-9]{4}",
    ETC: "[0-9]{4}",
    FOGSLINK: "[0-9]{1,2}",
}
FACES = tuple(_CODES)
"""The faces of the twin, in the order of the contract."""
_WITHOUT_HTTP = frozenset({UPS_TCP, FOGSLINK})


class FaultError(ValueError):
    """Settings that a face does not take; the text names the setting."""


class UnknownFace(LookupError):
    """There is no such face; the text names those that there are."""


class Faults:
    """The faults of every face. `seconds` is a monotonic clock; equal seeds roll equally."""

    def __init__(self, seconds: Callable[[], float], random_numbers: random.Random) -> None:
        self._seconds, self._random = seconds, random_numbers
        self._set: dict[str, tuple[Settings, float | None]] = {}

    def put(self, face: str, content: Mapping[str, Any]) -> Settings:
        """Replace the faults of a face. Raises UnknownFace or FaultError."""
        self._check_face(face)
        try:
            settings = msgspec.convert(dict(content), Settings)
        except msgspec.ValidationError as error:
            raise FaultError(str(error)) from None
        if "http_status" in content and face in _WITHOUT_HTTP:
            raise FaultError(f"http_status has no meaning for {face}")
        if "code" in content and not _CODES[face]:
            raise FaultError(f"code has no meaning for {face}")
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
