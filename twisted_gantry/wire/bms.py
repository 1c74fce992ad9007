"""The BMS control of an EMS: its three calls, its commands, its replies and error codes.

Source: the BMS document. Paths are below the base URL; the sample messages say "PCS" in
the document, too.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Annotated, Any
from urllib.parse import quote

import msgspec

from twisted_gantry.wire.errors import BadMessage, WireError
from twisted_gantry.wire.json import convert, dumps, loads_text
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


class Status(msgspec.Struct, frozen=True):
    """The `data` of a GET and of a PUT; `alarm_status` is the number of alarms."""

    device_uid: str
    alarm_status: Annotated[int, msgspec.Meta(ge=0, le=MAX_ALARMS)]
    operating_status: OperatingStatus

    def __str__(self) -> str:
        """Return `idle, 0 alarms`."""
        plural = "" if self.alarm_status == 1 else "s"
        return f"{self.operating_status.text}, {self.alarm_status} alarm{plural}"


class Reply(msgspec.Struct, frozen=True):
    """The answer to each call; a code that the document does not list stays as received."""

    code: int
    message: str = ""
    data: Any = None

    def encode(self) -> bytes:
        return dumps(self)


class BmsRefused(Exception):
    """The EMS refused: a `code` other than 0, or HTTP status 4xx. Nothing was done."""


def query(device_uid: str) -> str:
    """Return the query of a GET or a PUT, without its `?`."""
    return f"device_uid={quote(device_uid, safe='')}"


def decode_control(body: bytes) -> BmsControl:
    """Read a POST, flat or in `bmsControl`, numbers also as text. Raises NotJson, BadMessage."""
    fields = loads_text(body)
    if isinstance(fields, dict) and isinstance(fields.get(WRAPPER), dict):
        fields = fields[WRAPPER]
    return convert(fields, BmsControl, "a body")


def decode_reply(status: int, body: bytes, hidden: Iterable[str] = ()) -> Reply:
    """Read an answer with the HTTP status `status`; the reply that is returned has code 0. No error
    quotes the texts in `hidden`. Raises BmsRefused. Raises NotJson or BadMessage where the outcome
    stays unknown: the answer is no reply, or its status is neither 2xx nor 4xx.
    """
    try:
        reply = convert(loads_text(body), Reply, "a reply")
    except WireError as error:
        told = _quote(body.decode("utf-8", "replace"), hidden) or "an empty body"
        text = f"HTTP {status}: {told}"
        if 400 <= status < 500:
            raise BmsRefused(text) from None
        raise type(error)(text) from None
    text = f"HTTP {status}, code {reply.code}: {_quote(reply.message, hidden)}"
    if 400 <= status < 500 or (200 <= status < 300 and reply.code != BmsCode.SUCCESS):
        raise BmsRefused(text)
    if not 200 <= status < 300:
        raise BadMessage(text)
    return reply


def decode_status(reply: Reply, device_uid: str) -> Status:
    """Read the `data` of a GET or a PUT for one device. Raises BadMessage."""
    status = convert(reply.data, Status, "data")
    if status.device_uid != device_uid:
        raise BadMessage("the status of another device")
    return status


def _quote(text: str, hidden: Iterable[str]) -> str:
    """Return the beginning of a peer's text as one printable line without hidden texts."""
    for each in sorted(hidden, key=len, reverse=True):
        if each:
            text = text.replace(each, "***")
    line = " ".join(text.split())[:MOST_QUOTED]
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in line)
