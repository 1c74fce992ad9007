"""The BMS control of an EMS: its three calls, its commands, its replies and error codes.

Source: the BMS document. Paths are below the base URL; the sample messages say "PCS" in
the document, too.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from twisted_gantry.wire import numbers
from twisted_gantry.wire.errors import BadMessage, WireError
from twisted_gantry.wire.json import convert, dumps, loads_text, salvage
from twisted_gantry.wire.quote import quote as quoted
from twisted_gantry.wire.reading import Texted

CONTROL_PATH = "/bms-control"
SYNC_PATH = "/bms-control/sync"
WRAPPER = "bmsControl"  # the POST's table is headed `Body/bmsControl`

MAX_ALARMS = 2**31 - 1
# Characters of a peer's text in an error.
MOST_QUOTED = 200


class BmsCommand(IntEnum):
    """The commands of a BMS."""

    RESET_FAULT = 1
    CLOSE_CONTACTOR = 2
    OPEN_CONTACTOR = 3


class OperatingStatus(Texted):
    """The state of the battery; the contactor is closed in all but the first."""

    POWERED_DOWN = 1
    IDLE = 2
    CHARGING = 3
    DISCHARGING = 4

    @property
    def contactor_closed(self) -> bool:
        return self is not OperatingStatus.POWERED_DOWN


class BmsCode(IntEnum):
    """The code of a reply."""

    SUCCESS = 0
    PARAMETER_FORMAT = 100001


CONTROL_DONE = "PCS控制下发成功"
SYNC_DONE = "PCS状态同步成功"
FORMAT_WRONG = "参数格式错误"


class BmsControl(msgspec.Struct, frozen=True):
    """The body of the POST."""

    device_uid: str
    command: BmsCommand

    def encode(self) -> bytes:
        return dumps(self)


class Status(msgspec.Struct, frozen=True, omit_defaults=True):
    """The `data` of a GET and of a PUT; `alarm_status` is the number of alarms. A field that cannot
    be read is None, and described in `wrong`.
    """

    device_uid: str
    alarm_status: int | None
    operating_status: OperatingStatus | None
    wrong: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return `idle, 0 alarms`."""
        state, alarms = self.operating_status, self.alarm_status
        state_text = "in an unknown state" if state is None else state.text
        count = "an unknown number of" if alarms is None else str(alarms)
        return f"{state_text}, {count} alarm{'' if alarms == 1 else 's'}"


class Reply(msgspec.Struct, frozen=True):
    """The answer to each call. A code that the document does not list stays as received; it is None
    if it cannot be read, beside `data` that can.
    """

    code: int | None
    message: str = ""
    data: Any = None

    def encode(self) -> bytes:
        return dumps(self)


class OtherDevice(BadMessage):
    """The status is that of another `device_uid`."""


class BmsRefused(Exception):
    """The EMS refused: a `code` other than 0, or HTTP status 4xx. Nothing was done."""

    def __init__(self, why: str, status: int = 200, code: int | None = None) -> None:
        super().__init__(why)
        self.status, self.code = status, code


def query(device_uid: str) -> str:
    """Return the query of a GET or a PUT, without its `?`."""
    return f"device_uid={quote(device_uid, safe='')}"


def decode_control(body: bytes) -> BmsControl:
    """Read a POST, flat or in `bmsControl`, numbers also as text. Raises NotJson, BadMessage."""
    fields = loads_text(body)
    if isinstance(fields, dict) and isinstance(fields.get(WRAPPER), dict):
        fields = fields[WRAPPER]
    return convert(fields, BmsControl, "a body")


class EmsAnswer(NamedTuple):
    """A reply with a good code, and what was repaired to read it."""

    reply: Reply
    repairs: tuple[str, ...] = ()


def decode_reply(status: int, body: bytes, hidden: Iterable[str] = ()) -> Reply:
    """Return the reply of `read_reply`. Raises BmsRefused, NotJson, BadMessage."""
    return read_reply(status, body, hidden).reply


def read_reply(status: int, body: bytes, hidden: Iterable[str] = ()) -> EmsAnswer:
    """Read an answer with the HTTP status `status`; the reply that is returned has code 0, or none
    that can be read. No error quotes the texts in `hidden`. Raises BmsRefused. Raises NotJson or
    BadMessage where the outcome stays unknown: the answer is no reply, or its status is neither 2xx
    nor 4xx.
    """
    hidden = tuple(hidden)
    kind: type[WireError] = BadMessage
    try:
        fields, repairs = salvage(body)
    except WireError as error:
        fields, repairs, kind = None, (), type(error)
    fields = _only(fields)
    code = numbers.unpadded(fields.get("code")) if isinstance(fields, dict) else None
    code = numbers.whole(code)
    data = _data(fields) if isinstance(fields, dict) else None
    if code is None and not isinstance(_only(data), dict):
        told = quoted(body, hidden, MOST_QUOTED) or "an empty body"
        text = f"HTTP {status}: {told}"
        if 400 <= status < 500:
            raise BmsRefused(text, status)
        wrong = kind(text)
        wrong.quoted = told if 200 <= status < 300 else ""
        raise wrong
    reply = Reply(code, numbers.text(fields.get("message")) or "", data)
    text = f"HTTP {status}, code {code}: {quoted(reply.message, hidden, MOST_QUOTED)}"
    if 400 <= status < 500 or (200 <= status < 300 and code not in (BmsCode.SUCCESS, None)):
        raise BmsRefused(text, status, code)
    if not 200 <= status < 300:
        raise BadMessage(text)
    return EmsAnswer(reply, repairs)


def _data(fields: dict[str, Any]) -> Any:
    """Return `data`; a status may be JSON in a text, or stand in its place."""
    data = fields.get("data")
    if isinstance(data, str) and data.lstrip().startswith("{"):
        try:
            return salvage(data.encode()).value
        except (WireError, UnicodeEncodeError):
            return data
    return fields if data is None and "alarm_status" in fields else data


def expect_success(reply: Reply) -> None:
    """Check that a command was taken. Raises BadMessage for a code that cannot be read."""
    if reply.code is None:
        raise BadMessage("a reply without a code")


def decode_status(reply: Reply, device_uid: str) -> Status:
    """Read the `data` of a GET or a PUT for one device; an odd field costs that field. Raises
    BadMessage for the status of another device, and when nothing can be read.
    """
    fields = _own(reply.data, device_uid)
    if not isinstance(fields, dict):
        raise BadMessage("data that is no object")
    uid = numbers.text(fields.get("device_uid"))
    if uid and not _same(uid, device_uid):
        raise OtherDevice("the status of another device")
    names = ("alarm_status", "operating_status")
    given_alarms, given_state = (numbers.unpadded(fields.get(name)) for name in names)
    alarms, number = _alarms(given_alarms), numbers.whole(given_state)
    state = OperatingStatus(number) if number in set(OperatingStatus) else None
    wrong = []
    if alarms is None:
        wrong.append(f"alarm_status is {_shown(given_alarms)}")
    if state is None:
        wrong.append(f"operating_status is {_shown(given_state)}")
    if alarms is None and state is None:
        raise BadMessage(", ".join(wrong))
    return Status(device_uid, alarms, state, tuple(wrong))


def _alarms(node: Any) -> int | None:
    """Return a number of alarms; of a list that of its elements together, each a number of alarms
    or an alarm. One that is told counts beside others that cannot be read.
    """
    if isinstance(node, list):
        each = [1 if isinstance(one, dict) else _alarms(one) for one in node]
        told = sum(one for one in each if one is not None)
        return told if told or None not in each else None
    number = numbers.whole(node)
    if number is None:  # `true` is one alarm
        number = numbers.flag(node)
    return int(number) if number is not None and 0 <= number <= MAX_ALARMS else None


def _same(one: str, other: str) -> bool:
    one, other = (str(numbers.unpadded(each)) for each in (one, other))
    number = numbers.whole(one)
    return one.casefold() == other.strip().casefold() or (
        number is not None and number == numbers.whole(other)
    )


def _own(data: Any, device_uid: str) -> Any:
    """Return the status of one device out of a list of several; anything else as `_only` does."""
    if not isinstance(data, list) or len(data) < 2:
        return _only(data)
    named = [one for one in data if isinstance(one, dict) and one.get("device_uid")]
    own = [one for one in named if _same(numbers.text(one["device_uid"]) or "", device_uid)]
    return own[0] if len(own) == 1 else data


def _only(node: Any) -> Any:
    """Return the only element of a list, and anything else as it is."""
    return node[0] if isinstance(node, list) and len(node) == 1 else node


def _shown(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", type(None): "missing or cannot be read"}
    return kinds.get(type(value)) or repr(quoted(str(value), most=40))
