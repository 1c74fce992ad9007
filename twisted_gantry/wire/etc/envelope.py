"""The ETC gantry monitoring interface: envelope, digest, codes, answers, the white list.

Source: the ETC document, sections 1.5 to 1.8 and 4. The reports are in `wire/etc/reports.py`.
"""

import hashlib
import hmac
import math
import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, tzinfo
from enum import IntEnum, StrEnum
from typing import Any

import msgspec

from twisted_gantry.wire.errors import BadMessage, NotJson
from twisted_gantry.wire.json import dumps, loads, loads_canonical, loads_text, salvage_text
from twisted_gantry.wire.numbers import number as number_of
from twisted_gantry.wire.numbers import text as text_of
from twisted_gantry.wire.numbers import unpadded, whole
from twisted_gantry.wire.reading import Quality

VERSION = "1001"
TEST_AUTH = "123456"  # the code of the test period (section 1.5); no secret
MD5_HEADER = "binfile-md5"
AUTH_HEADER = "binfile-auth"
# Both sides refuse a longer request body with HTTP 413.
MAX_BODY = 1024 * 1024


class EtcCode(IntEnum):
    """The code of an answer (section 1.7)."""

    SUCCESS = 1000
    NOT_ALLOWED = 1001
    BAD_PARAMETERS = 1002
    CLOCK_SKEW = 1003
    INVALID_SIGNATURE = 1004
    TOO_FREQUENT = 1005
    UNKNOWN_VERSION = 1006
    CONTROL_FAILED = 1007
    UNKNOWN_EXCEPTION = 1008
    NO_PICTURE = 1009


MESSAGES: Mapping[EtcCode, str] = {
    EtcCode.SUCCESS: "成功",
    EtcCode.NOT_ALLOWED: "无权使用该接口",
    EtcCode.BAD_PARAMETERS: "参数有误",
    EtcCode.CLOCK_SKEW: "系统时间偏差太大",
    EtcCode.INVALID_SIGNATURE: "无效的签名",
    EtcCode.TOO_FREQUENT: "请求过于频繁",
    EtcCode.UNKNOWN_VERSION: "未知的接口版本号",
    EtcCode.CONTROL_FAILED: "执行控制命令失败",
    EtcCode.UNKNOWN_EXCEPTION: "未知系统异常",
    EtcCode.NO_PICTURE: "无对应图像/视频",
}


class Sentinel(StrEnum):
    """The content of a field without a value (section 1.8)."""

    NO_DATA = "NoData"
    GET_FAILED = "GetFailed"
    NOT_SUPPORT = "NotSupport"


SENTINELS: Mapping[Quality, Sentinel] = {
    Quality.NO_DATA: Sentinel.NO_DATA,
    Quality.GET_FAILED: Sentinel.GET_FAILED,
    Quality.NOT_SUPPORTED: Sentinel.NOT_SUPPORT,
}


class Method(StrEnum):
    """The calls of the interface; `FIELDS_KEY` has the key of their fields."""

    COMPUTER_STATUS = "computerStatusUpdate"
    CABINET_STATUS = "cabinetStatusUpdate"
    CARDS = "queryAndGetCardInfo"
    COMPUTER_CONTROL = "computerControl"
    CABINET_CONTROL = "cabinetControl"
    PICTURE = "getCabinetImageVedio"  # spelt so


_METHODS = {each.value: each for each in Method}
MONITOR = frozenset({Method.COMPUTER_STATUS, Method.CABINET_STATUS, Method.CARDS})
REMOTE_CONTROL = frozenset({Method.COMPUTER_CONTROL, Method.CABINET_CONTROL, Method.PICTURE})

FIELDS_KEY: Mapping[Method, str] = {
    **{each: each.value for each in REMOTE_CONTROL},
    Method.COMPUTER_STATUS: "computerStatus",
    Method.CABINET_STATUS: "cabinetStatus",
    Method.CARDS: "data",
}


class EtcRefused(Exception):
    """The request gets a code other than 1000; `why` is for the log, not the answer."""

    def __init__(self, code: EtcCode, why: str) -> None:
        super().__init__(f"{code.value}: {why}")
        self.code, self.why = code, why


def digest(body: bytes) -> str:
    """Return the `binfile-md5` of a body: hex, lower case. It does not prove the sender."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def signed_headers(body: bytes, auth: str) -> dict[str, str]:
    return {"Content-Type": "application/json", MD5_HEADER: digest(body), AUTH_HEADER: auth}


def encode_request(gantry_id: str, method: Method, time_stamp: float, fields: Any) -> bytes:
    """Return the body of a request; `time_stamp` is Unix seconds, cut to whole ones."""
    return dumps(
        {
            "gantryId": gantry_id,
            "method": method.value,
            "timeStamp": str(int(time_stamp)),
            "version": VERSION,
            FIELDS_KEY[method]: fields,
        }
    )


def restamped(body: bytes, time_stamp: float) -> bytes:
    """Return one of our own request bodies with another `timeStamp`."""
    return dumps({**loads(body), "timeStamp": str(int(time_stamp))})


def stamp_of(body: bytes) -> int:
    """Return the `timeStamp` of one of our own request bodies, Unix seconds."""
    return int(loads(body)["timeStamp"])


class Request(msgspec.Struct, frozen=True):
    """A request with a good envelope; `fields` is the value under the method's own key.

    `time_stamp` is Unix seconds, None for an upload without a time that can be read. `repairs` says
    what was repaired in an upload.
    """

    gantry_id: str
    method: Method
    time_stamp: float | None
    fields: Any
    repairs: tuple[str, ...] = ()


def check_request(
    body: bytes,
    headers: Mapping[str, str],
    *,
    auth: str,
    methods: Collection[Method],
    gantry_id: str | None,
    now: float,
    skew: float,
    reports: bool = False,
) -> Request:
    """Check a request as its receiver does, in the order of the page. `headers` have lower-case
    names; `methods` are those of the entry point; `gantry_id` None accepts any. `now` is Unix
    seconds, `skew` the accepted difference of `timeStamp` in seconds. Raises EtcRefused.

    With `reports` a damaged body is repaired, and what cannot be read of the version or the time
    stamp does no harm. A command is never repaired: half of one may do what no one asked for.
    """
    if not same_code(headers.get(AUTH_HEADER, ""), auth):
        raise EtcRefused(EtcCode.NOT_ALLOWED, f"wrong or missing {AUTH_HEADER}")
    if headers.get(MD5_HEADER, "").strip().lower() != digest(body):
        raise EtcRefused(EtcCode.INVALID_SIGNATURE, f"{MD5_HEADER} does not match the body")
    request = check_body(body, methods=methods, gantry_id=gantry_id, reports=reports)
    off = math.inf if request.time_stamp is None else request.time_stamp - now
    if abs(off) > skew:
        raise EtcRefused(EtcCode.CLOCK_SKEW, f"timeStamp is off by {off:.0f} s")
    return request


def check_body(
    body: bytes,
    *,
    methods: Collection[Method],
    gantry_id: str | None,
    reports: bool = False,
    may: Callable[[str], object] = lambda gantry_id: None,
    numbers_as_text: bool = True,
) -> Request:
    """Check the body of a request whose code and digest are right, as `check_request` does, without
    the age of its time stamp. `may(gantry_id)` raises EtcRefused for a gantry that must not come
    with the code: JSON comes before, the version after. Without `numbers_as_text` numbers among the
    fields may be numbers, which is faster. Raises EtcRefused.
    """
    try:
        fields = None if numbers_as_text else loads_canonical(body)
        if isinstance(fields, dict):
            repairs: tuple[str, ...] = ()
        else:
            fields, repairs = report_of(body) if reports else (loads_text(body), ())
    except (NotJson, BadMessage) as error:
        raise EtcRefused(EtcCode.BAD_PARAMETERS, str(error)) from None
    if not isinstance(fields, dict):
        raise EtcRefused(EtcCode.BAD_PARAMETERS, "the body is no object")
    given = same_id(fields.get("gantryId"))
    if given is not None:
        may(given)
    _check_version(fields.get("version"), reports)
    request = _check_fields(fields, methods, gantry_id, reports)
    if not repairs:
        return request
    return msgspec.structs.replace(request, fields=_failed(request.fields), repairs=repairs)


def report_of(body: bytes) -> tuple[Any, tuple[str, ...]]:
    """Decode the body of an upload, numbers as text; returns it with the repairs. It may stand
    alone in a list, and its fields may be JSON in a text. Raises NotJson.
    """
    fields, repairs = salvage_text(body)
    if isinstance(fields, list) and len(fields) == 1:
        [fields] = fields
    if not isinstance(fields, dict):
        return fields, repairs
    fields = {key: unpadded(value) for key, value in fields.items()}
    method = _METHODS.get(str(fields.get("method")))
    key = "" if method is None else FIELDS_KEY[method]
    inner = fields.get(key)
    if isinstance(inner, str) and inner.lstrip()[:1] in ("{", "["):
        fields[key], more = salvage_text(inner.encode("utf-8", "replace"))
        repairs += more
    return fields, repairs


def _failed(node: Any) -> Any:
    """Return fields with GetFailed for what could not be read, which is None."""
    if isinstance(node, dict):
        return {key: _failed(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_failed(value) for value in node]
    return Sentinel.GET_FAILED.value if node is None else node


def _check_version(given: Any, reports: bool) -> None:
    if given == VERSION:
        return
    version = text_of(given)
    if reports and not version:
        return
    if version is None:
        raise EtcRefused(EtcCode.BAD_PARAMETERS, "no version")
    if str(whole(version)) != VERSION:
        raise EtcRefused(EtcCode.UNKNOWN_VERSION, f"version {version[:14]!r}, not {VERSION}")


def same_code(given: str, auth: str) -> bool:
    """Compare an authentication code in constant time."""
    return hmac.compare_digest(_raw(given), _raw(auth))


def _raw(header: str) -> bytes:
    return header.encode("utf-8", "surrogatepass")


def _check_fields(
    fields: dict[str, Any], methods: Collection[Method], gantry_id: str | None, reports: bool
) -> Request:
    given, name = same_id(fields.get("gantryId")), text_of(fields.get("method"))
    for key, text in (("gantryId", given), ("method", name)):
        if text is None:
            raise EtcRefused(EtcCode.BAD_PARAMETERS, f"{key} is missing or no text")
    if gantry_id is not None and given != same_id(gantry_id):
        raise EtcRefused(EtcCode.BAD_PARAMETERS, f"gantryId is not {gantry_id}")
    method = _METHODS.get(name or "")
    if method is None or method not in methods:
        raise EtcRefused(EtcCode.BAD_PARAMETERS, f"unknown method {str(name)[:40]!r}")
    if FIELDS_KEY[method] not in fields:
        raise EtcRefused(EtcCode.BAD_PARAMETERS, f"{FIELDS_KEY[method]} is missing")
    time_stamp = number_of(fields.get("timeStamp"))
    seconds = 0 if reports else whole(time_stamp)
    if seconds is None or not 0 <= seconds < _MOST_SECONDS:
        raise EtcRefused(EtcCode.BAD_PARAMETERS, "timeStamp is not Unix seconds")
    return Request(given or "", method, time_stamp, fields[FIELDS_KEY[method]])


_MOST_SECONDS = 10**12
_LONGEST_ID = 100  # characters; a longer one is no number
_ID = re.compile(r"0*([0-9]+)(\.0*)?")


def same_id(node: Any) -> str | None:
    """Return an id in the one spelling of it: `1` for `"01"`, `1.0` and `" 1 "`. None for what is
    no id.
    """
    text = text_of(node)
    if text and text[0].isalpha():  # most gantryIds
        return text
    match = _ID.fullmatch((text or "")[:_LONGEST_ID])
    return match[1] if match and text and len(text) <= _LONGEST_ID else text or None


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to a request; a `code` outside section 1.7 stays as received.

    `cards` are the bytes of `cardInfos`, which `wire/etc/cards.py` reads; in `data` the list is
    empty. `repairs` says what was repaired.
    """

    code: str
    msg: str | None = None
    data: Any = None
    batterys_test_result: Any = msgspec.field(default=None, name="batterysTestResult")
    cards: bytes = b""
    repairs: tuple[str, ...] = ()

    def encode(self) -> bytes:
        more = {"data": self.data, "batterysTestResult": self.batterys_test_result}
        present = {key: value for key, value in more.items() if value is not None}
        return dumps({"code": self.code, "msg": self.msg} | present)


MAX_MSG = 40  # characters (section 1.6)


def answer(code: EtcCode, data: Any = None, *, msg: str = "") -> Answer:
    """Return an answer with `code`, and with `msg` or the document's text for the code."""
    return Answer(str(code.value), (msg or MESSAGES[code])[:MAX_MSG], data)


# -- the white list of access cards (section 4)

NO_VERSION = "0"


class Card(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """An access card and its validity, `yyyy-MM-dd HH:mm:ss` in the zone of the gantry."""

    card_id: str
    valid_time: str
    invalid_time: str


class CardList(msgspec.Struct, frozen=True):
    """A white list; `version` is `yyyyMMddHHmmss`."""

    version: str
    cards: tuple[Card, ...]


def is_list_version(version: str) -> bool:
    """Tell whether `version` is fourteen digits, `yyyyMMddHHmmss`."""
    return re.fullmatch(r"[0-9]{14}", version) is not None


def card_answer(current: str, offered: CardList | None) -> Answer:
    """Return the platform's answer to a gantry with a list of version `current`."""
    if offered is None or offered.version <= current:
        return answer(EtcCode.SUCCESS, {"isExistLatestVersion": "0"})
    fields = {"latestVersion": offered.version, "cardInfos": offered.cards}
    return answer(EtcCode.SUCCESS, {"isExistLatestVersion": "1", **fields})


# -- how values are written


def number(value: float) -> str:
    """Write a number with at most two decimals."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def percent(value: float) -> str:
    """Write a percentage or a temperature with exactly two decimals (section 2.1.2)."""
    text = f"{value:.2f}"
    return "0.00" if text == "-0.00" else text


def flag(value: object) -> str:
    return "1" if value else "0"


def local_time(moment: float, zone: tzinfo) -> str:
    """Write Unix seconds as `yyyy-MM-dd hh:mm:ss.zzz`, 24-hour, in `zone`."""
    return datetime.fromtimestamp(moment, zone).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
