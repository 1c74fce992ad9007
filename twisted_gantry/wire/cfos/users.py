"""The users of a cFos Charging Manager, their PINs, and charging rules.

Source: the cFos document, "get_users" and "set_params". The vendor calls the rules work in
progress: unknown keys are passed on unchanged.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Annotated, Any

import msgspec

from twisted_gantry.wire.cfos.calls import expect
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.json import convert

MAX_USERS = 1000
MASKED = "***"

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Minutes = Annotated[int, msgspec.Meta(ge=0, le=7 * 24 * 60)]
_MilliAmperes = Annotated[int, msgspec.Meta(ge=-1_000_000, le=1_000_000)]


class RuleMode(IntEnum):
    """What the current of a rule is relative to."""

    ABSOLUTE = 0
    RELATIVE = 1
    SOLAR = 2
    RELATIVE_SOLAR = 3
    SOLAR_MINUS = 4
    SURPLUS = 5


class ChargingRule(msgspec.Struct, frozen=True, kw_only=True):
    """A charging rule, written with all its keys: `days` bit 0 is Monday, `current` and `solar` mA,
    `udur` s, times min.
    """

    days: Annotated[int, msgspec.Meta(ge=0, le=127)] = 127
    mode: RuleMode = RuleMode.ABSOLUTE
    current: _MilliAmperes | None = None
    enabled: bool = True
    udur: Annotated[int, msgspec.Meta(ge=0, le=86_400)] | None = None
    time: _Minutes | None = None
    dur: _Minutes | None = None
    expr: Annotated[str, msgspec.Meta(max_length=500)] | None = None
    input: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    price_level: float | None = None
    solar: _MilliAmperes | None = None


class Rfid(msgspec.Struct, frozen=True, kw_only=True):
    """A PIN or RFID of a user: it authorizes (`ac_auth`), and stops charging (`ac_ovch`)."""

    id: _Id
    name: str = ""
    ac_auth: bool = True
    ac_ovch: bool = False
    used_phases: Annotated[int, msgspec.Meta(ge=0, le=7)] = 0

    def __repr__(self) -> str:
        return f"Rfid(name={self.name!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("name", self.name)]


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A user and the EVSEs that it may use. `id` is empty for a new user."""

    id: Annotated[str, msgspec.Meta(max_length=64)] = ""
    name: str = ""
    display: bool = True
    dev_ids: list[str] = []
    rfids: list[Rfid] = []
    charging_rules: list[ChargingRule] = []


def user(fields: Any) -> User:
    """Read one user; an id may be a number. Raises BadMessage, without any PIN."""
    return convert(_ids_as_text(fields), User)


def masked(answer: Any) -> list[dict[str, Any]]:
    """Return the answer to `get_users`, each PIN as MASKED. Raises CfosRefused, BadMessage."""
    return [_masked(each) for each in _bounded(answer)]


def masked_user(answer: Any) -> dict[str, Any]:
    """Return the answer to `get_user`, each PIN as MASKED. Raises CfosRefused, BadMessage."""
    return _masked(expect(dict, answer))


def _masked(fields: Any) -> dict[str, Any]:
    known = _ids_as_text(fields)
    return {**known, "rfids": [{**rfid, "id": MASKED} for rfid in known["rfids"]]}


def _bounded(answer: Any) -> list[Any]:
    found: list[Any] = expect(list, answer)
    if len(found) > MAX_USERS:
        raise BadMessage(f"{len(found)} users, more than {MAX_USERS}")
    return found


def _ids_as_text(fields: Any) -> Any:
    if not isinstance(fields, Mapping):
        raise BadMessage("a user that is no object")
    given = {**fields, "id": _as_id(fields.get("id", ""))}
    rfids = fields.get("rfids", [])
    if not (isinstance(rfids, list) and all(isinstance(each, Mapping) for each in rfids)):
        raise BadMessage("rfids that are no list of objects")
    given["rfids"] = [{**each, "id": _as_id(each.get("id"))} for each in rfids]
    return given


def _as_id(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**20:
        return str(value)
    return value
