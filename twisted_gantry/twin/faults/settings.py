"""The fault settings of a face, which the control API sets.

Each probability (0 to 1) is drawn anew for each answer, result or request. The settings:

- `delay` (s): the request is executed at once, and its answer comes later. Sessions (`ups-tcp`,
  `fogslink`, `modbus`) keep the order of their answers.
- `drop`: the request is executed, and its answer is lost: no answer on sessions, no result from
  `ups-http`, a cut connection on the other faces over HTTP.
- `garbage`: the request is executed, and its answer or result is not JSON.
- `half`: the request is executed, and only the first half of its answer or result comes. Over HTTP
  the answer is shorter than its Content-Length. On a session the next answer follows the half.
- `duplicate`: an answer of a session, a result of `ups-http`, or a request of `etc` and `cabinet`
  is sent twice; the second request follows the answer to the first. `cfos` and `ems` do not
  support it.
- `wrong_digest`: a request of `etc` or `cabinet` has the `binfile-md5` of another body.
- `stale`: a request of `etc` or `cabinet` has a `timeStamp` that is `STALE_S` old.
- `drip` (bytes/s): answers, results, and requests of `etc` and `cabinet` come in small pieces.
- `busy`: nothing is executed. `etc` and `cabinet` answer 1005, `ups-tcp` and `ups-http` 201, `ems`
  HTTP 429, `cfos` HTTP 503, `modbus` exception 6; `fogslink` does not answer.
- `frozen`: connections are accepted, but nothing is read, answered or sent. Everything continues
  at the end, for peers that are still connected. Protocol timeouts run on: `fogslink` then closes
  a session whose heartbeats it has not read.
- `refuse`: connections are closed before anything is read: new sessions at once, open sessions at
  their next byte, connections over HTTP at a request.
- `http_status` (300 to 599): this status without a body, and nothing is executed. `ups-tcp`,
  `fogslink` and `modbus` do not support it.
- `code`: this code of the protocol, and nothing is executed: four digits on `etc` and `cabinet`,
  three on `ups-tcp` and `ups-http`, an integer as text on `ems`, one or two digits on `fogslink`.
  There `9` asks for the pack again, and `2` and `3` also refuse new sessions. `modbus` has the
  numbers of its exceptions. `cfos` has no codes.
- `for` (s): the settings end after this time.

On `fogslink`, `drop`, `garbage`, `half` and `duplicate` apply only to answers to data; `delay` and
`drip` apply to all answers. Of several settings the first of `frozen`, `refuse`, `http_status`,
`code`, `busy`, `drop`, `garbage`, `half`, `duplicate` applies, with `delay` and `drip` where there
is an answer.
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
MODBUS = "modbus"

STALE_S = 3600.0  # the age of a stale time stamp, far beyond the limit of any receiver

_LONGEST = 86_400.0
_GARBAGE_BYTES = 200

Seconds = Annotated[float, msgspec.Meta(ge=0, le=_LONGEST)]
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]


class FaultSettings(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename={"lasting": "for"},
):
    """The settings of one face; the defaults are no faults. `lasting` is `for`, in seconds."""

    delay: Seconds = 0.0
    drop: Probability = 0.0
    garbage: Probability = 0.0
    half: Probability = 0.0
    duplicate: Probability = 0.0
    wrong_digest: Probability = 0.0
    stale: Probability = 0.0
    drip: Annotated[float, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    busy: bool = False
    frozen: bool = False
    refuse: bool = False
    http_status: Annotated[int, msgspec.Meta(ge=300, le=599)] | None = None
    code: str | None = None
    lasting: Annotated[float, msgspec.Meta(gt=0, le=_LONGEST)] | None = None

    @property
    def refuses(self) -> bool:
        """Whether new connections are closed; a frozen face accepts them."""
        return self.refuse and not self.frozen

    @property
    def acts(self) -> bool:
        """Whether requests are executed."""
        return self.http_status is None and self.code is None and not self.busy


NO_FAULTS = FaultSettings()

# The form of each face's codes, empty for none.
_CODES: Mapping[str, str] = {
    UPS_TCP: "[0-9]{3}",
    UPS_HTTP: "[0-9]{3}",
    CFOS: "",
    EMS: "-?[0-9]{1,9}",
    CABINET: "[0-9]{4}",
    ETC: "[0-9]{4}",
    FOGSLINK: "[0-9]{1,2}",
    MODBUS: "[1-6]|10|11",
}
FACES = tuple(_CODES)  # the faces of the twin, in the order of the contract
_SIGNING = frozenset({ETC, CABINET})  # their requests have a digest and a time stamp
# The faces of a setting that is not for all.
_MEANT_FOR: Mapping[str, frozenset[str]] = {
    "http_status": frozenset(FACES) - {UPS_TCP, FOGSLINK, MODBUS},
    "code": frozenset(face for face, form in _CODES.items() if form),
    "duplicate": frozenset(FACES) - {CFOS, EMS},
    "wrong_digest": _SIGNING,
    "stale": _SIGNING,
}


class FaultError(ValueError):
    """Settings that a face does not support; the text names the setting."""


class UnknownFace(LookupError):
    """An unknown face; the text names the known ones."""


class Faults:
    """The faults of every face. `seconds` is a monotonic clock; equal seeds give equal faults."""

    def __init__(self, seconds: Callable[[], float], random_numbers: random.Random) -> None:
        self._seconds, self._random = seconds, random_numbers
        self._set: dict[str, tuple[FaultSettings, float | None]] = {}

    def put(self, face: str, content: Mapping[str, Any]) -> FaultSettings:
        """Replace the faults of a face. Raises UnknownFace or FaultError."""
        self._check_face(face)
        try:
            settings = msgspec.convert(dict(content), FaultSettings)
        except msgspec.ValidationError as error:
            raise FaultError(str(error)) from None
        for name, faces in _MEANT_FOR.items():
            if name in content and face not in faces:
                raise FaultError(f"{name} has no meaning for {face}")
        if settings.code is not None and not re.fullmatch(_CODES[face], settings.code):
            raise FaultError(f"code must be text like {_CODES[face]} for {face}")
        until = None if settings.lasting is None else self._seconds() + settings.lasting
        self._set[face] = (settings, until)
        return settings

    def clear(self, face: str) -> None:
        """End the faults of a face. Raises UnknownFace."""
        self._check_face(face)
        self._set.pop(face, None)

    def of(self, face: str) -> FaultSettings:
        settings, until = self._set.get(face, (NO_FAULTS, None))
        if until is not None and self._seconds() >= until:
            del self._set[face]
            return NO_FAULTS
        return settings

    def strikes(self, probability: float) -> bool:
        """Draw whether a fault occurs. For 0 nothing is drawn, so that runs stay the same."""
        return probability > 0 and self._random.random() < probability

    def garbage(self) -> bytes:
        return self._random.randbytes(self._random.randint(1, _GARBAGE_BYTES))

    def _check_face(self, face: str) -> None:
        if face not in _CODES:
            raise UnknownFace(f"no face {face[:40]!r}; there are {', '.join(_CODES)}")
