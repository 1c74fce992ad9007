"""How a face of the twin misbehaves, as set through the control API.

A probability (0 to 1) is rolled anew for each answer, result or request. What the settings mean:

- `delay` (s): what was asked for is done at once, its answer comes later. On sessions (`ups-tcp`,
  `fogslink`) the order of the answers stays.
- `drop`: it is done, its acknowledgement is lost: no answer on sessions, no result from `ups-http`,
  a cut connection on the other faces over HTTP.
- `garbage`: it is done; what comes as its answer or result is no JSON.
- `half`: it is done; the first half of the answer or result comes. An answer over HTTP ends there,
  short of its Content-Length; a session stays, and the next answer follows the half.
- `duplicate`: an answer of a session, a result of `ups-http`, or a request of `etc` and `cabinet`
  is sent twice, the request once the first was answered. Answers over HTTP cannot be: refused for
  `cfos` and `ems`.
- `wrong_digest`: the `binfile-md5` of a request that `etc` or `cabinet` sends is that of another
  body.
- `stale`: the `timeStamp` of a request that `etc` or `cabinet` sends is `STALE_S` old.
- `drip` (bytes/s): answers, results, and requests of `etc` and `cabinet` come in small pieces.
- `busy`: nothing is done. `etc` and `cabinet` answer 1005, `ups-tcp` and `ups-http` 201, `ems` HTTP
  429, `cfos` HTTP 503; `fogslink` is silent.
- `frozen`: connections are accepted, nothing is received, answered or sent; all of that goes on
  when it is over, for those who are still there. The clocks of a protocol go on meanwhile: a
  session at `fogslink` whose heartbeats were not read is closed afterwards.
- `refuse`: connections are closed before anything is received: those of sessions when they come, or
  at their next byte if they are open, over HTTP when a request has come.
- `http_status` (300 to 599): this status without a body, and nothing is done. Refused for `ups-tcp`
  and `fogslink`.
- `code`: this code of the protocol, and nothing is done: four digits on `etc` and `cabinet`, three
  on `ups-tcp` and `ups-http`, an integer as text on `ems`, one or two digits on `fogslink`, where
  `9` asks for the pack again, and `2` and `3` refuse new sessions, too. `cfos` has no codes.
- `for` (s): all of it ends by itself after so long.

On `fogslink`, `drop`, `garbage`, `half` and `duplicate` meet the answers to data alone; everything
is delayed, and drips. Of several, the first in the order `frozen`, `refuse`,
`http_status`, `code`, `busy`, `drop`, `garbage`, `half`, `duplicate` decides; `delay` and `drip`
go with those that answer.
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

STALE_S = 3600.0
"""How old a stale time stamp is: far beyond what any receiver allows."""

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
    """The settings of one face; without any it behaves. `lasting` is `for`, in seconds."""

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
        """Whether connections are closed when they come: a frozen face closes none."""
        return self.refuse and not self.frozen

    @property
    def acts(self) -> bool:
        """Whether what is asked for is done, whatever becomes of the answer."""
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
}
FACES = tuple(_CODES)
"""The faces of the twin, in the order of the contract."""
_SIGNING = frozenset({ETC, CABINET})  # their requests have a digest and a time stamp
# Where a setting has a meaning, if not everywhere.
_MEANT_FOR: Mapping[str, frozenset[str]] = {
    "http_status": frozenset(FACES) - {UPS_TCP, FOGSLINK},
    "code": frozenset(face for face, form in _CODES.items() if form),
    "duplicate": frozenset(FACES) - {CFOS, EMS},
    "wrong_digest": _SIGNING,
    "stale": _SIGNING,
}


class FaultError(ValueError):
    """FaultSettings that a face does not take; the text names the setting."""


class UnknownFace(LookupError):
    """There is no such face; the text names those that there are."""


class Faults:
    """The faults of every face. `seconds` is a monotonic clock; equal seeds roll equally."""

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
        """Let a face behave. Raises UnknownFace."""
        self._check_face(face)
        self._set.pop(face, None)

    def of(self, face: str) -> FaultSettings:
        """Return what is in force now."""
        settings, until = self._set.get(face, (NO_FAULTS, None))
        if until is not None and self._seconds() >= until:
            del self._set[face]
            return NO_FAULTS
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
