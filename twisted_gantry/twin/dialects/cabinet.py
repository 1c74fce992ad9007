"""The dialects of a smart cabinet: how it writes its uploads and its answers.

The document writes every value as a text, so that a number here is a dialect of its own.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from twisted_gantry.twin.dialects import dialect as d

Dialect = d.Dialect

_STATUS = "cabinetStatus"
_GOOD_SENSOR = {"status": "1", "isWarning": "0", "warningChangeTime": "NoData"}
_WHOLE, _NUMBER = re.compile(r"0|[1-9][0-9]{0,14}"), re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,6})?")
_TIME = "timeStamp"
_WARNING = re.compile(rb'("warningMsg":"[^"]{8})[^"]*')
_CHINA = timezone(timedelta(hours=8))


def _status(change: Callable[[d.Json], d.Json]) -> d.Fields:
    """Change the state of the cabinet in an upload; nothing else that a cabinet says has one."""

    def fields(message: d.Json, _: int) -> d.Json:
        status = message.get(_STATUS)
        return message | {_STATUS: change(status)} if isinstance(status, dict) else message

    return fields


def _double(key: str, value: Any) -> Any:
    if key.endswith(("CardId", "gantryId")) or not isinstance(value, str):
        return value
    return float(value) if _WHOLE.fullmatch(value) else value


def _as_number(key: str, value: Any) -> Any:
    if key.endswith(("CardId", "gantryId")) or not isinstance(value, str):
        return value
    if _WHOLE.fullmatch(value):
        return int(value)
    return float(value) if _NUMBER.fullmatch(value) else value


def _switches(status: d.Json) -> d.Json:
    def change(key: str, value: Any) -> Any:
        flag = key in ("isWarning", "isWorking", "currentLimiting", "defendMode", "status")
        return {"0": False, "1": True}.get(value, value) if flag else value

    changed: d.Json = d.each_value(status, change)
    return changed


def _time(write: Callable[[int], object]) -> d.Fields:
    def fields(message: d.Json, _: int) -> d.Json:
        given = str(message.get(_TIME, ""))
        return message | {_TIME: write(int(given))} if given.isdigit() else message

    return fields


def _in_words(moment: int) -> str:
    return datetime.fromtimestamp(moment, _CHINA).strftime("%Y-%m-%d %H:%M:%S")


def _two_sensors(status: d.Json) -> d.Json:
    smoke, water = status.get("smokeSensor"), status.get("waterloggingSensor")
    return status | {
        "smokeSensor": [_GOOD_SENSOR, smoke],
        "waterloggingSensor": [water, _GOOD_SENSOR],
    }


def _raw_lf(status: d.Json) -> d.Json:
    rows = [row | {"warningMsg": f"{row['warningMsg']}{d.RAW_LF}"} for row in status["elec"]]
    return status | {"elec": rows}


def _air(**values: Any) -> Callable[[d.Json], d.Json]:
    def change(status: d.Json) -> d.Json:
        return status | {"thermohygrometer": status["thermohygrometer"] | values}

    return change


def _vendor(message: d.Json, _: int) -> d.Json:
    return message | {"vendor": "山特电子"}


DIALECTS = (
    Dialect(
        "gbk",
        "All texts come in GBK, not in UTF-8",
        "文本均为 GBK 编码，而非 UTF-8",
        _vendor,
        encoding="gb18030",
    ),
    Dialect(
        "doubles",
        "Whole numbers come as doubles, in flags, ids, version and time alike",
        "整数以浮点数上传，包括标志、编号、版本和时间",
        d.in_all(_double),
    ),
    Dialect("numbers", "Numbers come without quotes", "数字不加引号", d.in_all(_as_number)),
    Dialect(
        "switches",
        "Flags come as `true` and `false`",
        "标志为 `true` 和 `false`",
        _status(_switches),
    ),
    Dialect(
        "ms-timestamps",
        "`timeStamp` is in milliseconds",
        "`timeStamp` 以毫秒为单位",
        _time(lambda moment: str(moment * 1000)),
    ),
    Dialect(
        "date-timestamps",
        "`timeStamp` is a date and a time in words",
        "`timeStamp` 为日期时间文本",
        _time(_in_words),
    ),
    Dialect("no-timestamp", "`timeStamp` is empty", "`timeStamp` 为空", _time(lambda _: "")),
    Dialect(
        "sensor-arrays",
        "The smoke and water sensors come as arrays of two",
        "烟雾和水浸传感器以两个元素的数组上传",
        _status(_two_sensors),
    ),
    Dialect("trailing-nul", "A NUL follows the object", "对象之后跟一个 NUL 字符", data=d.with_nul),
    Dialect(
        "raw-lf", "`warningMsg` ends with a raw LF", "`warningMsg` 以原始换行结尾", _status(_raw_lf)
    ),
    Dialect(
        "nan",
        "The temperature is `nan` and the humidity `1.#QNAN`",
        "温度为 `nan`，湿度为 `1.#QNAN`",
        _status(_air(temperature=d.bare("nan"), humidity=d.bare("1.#QNAN"))),
    ),
    Dialect(
        "empty-member",
        "The temperature has a key and no value",
        "温度只有键而没有值",
        _status(_air(temperature=d.bare(""))),
    ),
    Dialect(
        "odd-numbers",
        "The temperature is `025`, the humidity `inf`",
        "温度为 `025`，湿度为 `inf`",
        _status(_air(temperature=d.bare("025"), humidity=d.bare("inf"))),
    ),
    Dialect(
        "twice",
        "The temperature comes twice, with two values",
        "温度出现两次，数值不同",
        _status(_air(temperature=d.twice("temperature", "25", "99"))),
    ),
    Dialect(
        "padded",
        "Flags and ids have a zero before them: `01`",
        "标志和编号前补零：`01`",
        d.in_all(d.padded),
    ),
    Dialect(
        "cut-letter",
        "`warningMsg` is cut after eight bytes, within a letter",
        "`warningMsg` 截断为八个字节，末尾为半个汉字",
        data=lambda data: _WARNING.sub(rb"\1", data),
    ),
    Dialect(
        "null-groups",
        "The groups `ups` and `thermohygrometer` are null",
        "`ups` 和 `thermohygrometer` 两组为 null",
        _status(lambda status: status | {"ups": None, "thermohygrometer": None}),
    ),
)
