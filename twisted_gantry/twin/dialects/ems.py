"""The dialects of an EMS in front of a battery store."""

from collections.abc import Callable
from typing import Any

from twisted_gantry.twin.dialects import dialect as d

Dialect = d.Dialect


def _data(change: Callable[[d.Json], d.Json]) -> d.Fields:
    """Change the `data` of an answer that has an object there."""

    def fields(message: d.Json, _: int) -> d.Json:
        data = message.get("data")
        return message | {"data": change(data)} if isinstance(data, dict) else message

    return fields


def _put(**values: Any) -> d.Fields:
    return _data(lambda data: data | values)


def _upper(data: d.Json) -> d.Json:
    return data | {"device_uid": str(data.get("device_uid", "")).upper()}


DIALECTS = (
    Dialect(
        "doubles",
        "Whole numbers come as doubles: `0.0`, `2.0`",
        "整数以浮点数返回：`0.0`、`2.0`",
        d.in_all(d.doubles),
    ),
    Dialect("texts", "Numbers come as texts", "数字以文本返回", d.in_all(d.as_text)),
    Dialect(
        "message-null",
        "`message` is null in each answer",
        "每个应答的 `message` 为 null",
        lambda message, _: message | {"message": None},
    ),
    Dialect(
        "no-message",
        "Answers have no `message`",
        "应答不含 `message`",
        lambda message, _: {key: each for key, each in message.items() if key != "message"},
    ),
    Dialect(
        "odd-status",
        "`operating_status` is 0, which the document does not list",
        "`operating_status` 为 0，文档未列出",
        _put(operating_status=0),
    ),
    Dialect(
        "status-null",
        "`operating_status` is null",
        "`operating_status` 为 null",
        _put(operating_status=None),
    ),
    Dialect(
        "uid-upper-case",
        "`device_uid` comes back in capitals",
        "`device_uid` 以大写返回",
        _data(_upper),
    ),
    Dialect(
        "no-uid",
        "The data have no `device_uid`",
        "数据不含 `device_uid`",
        _data(lambda data: {key: each for key, each in data.items() if key != "device_uid"}),
    ),
    Dialect(
        "gbk",
        "Texts come in GBK, not in UTF-8",
        "文本为 GBK 编码，而非 UTF-8",
        lambda message, _: message | {"message": "操作成功"},
        encoding="gb18030",
    ),
    Dialect(
        "padded",
        "Numbers come as texts with blanks around them",
        "数字以前后带空格的文本返回",
        d.in_all(d.padded),
    ),
    Dialect("nul-behind", "A NUL follows the object", "对象之后跟一个 NUL 字符", data=d.with_nul),
)
