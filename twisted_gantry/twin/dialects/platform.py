"""The dialects of an ETC platform: how it writes its answers."""

from collections.abc import Callable

from twisted_gantry.twin.dialects import dialect as d

Dialect = d.Dialect


def _code(write: Callable[[str], object]) -> d.Fields:
    def fields(message: d.Json, _: int) -> d.Json:
        return message | {"code": write(str(message["code"]))} if "code" in message else message

    return fields


def _no_list(message: d.Json, _: int) -> d.Json:
    return {key: each for key, each in message.items() if key != "data"}


def _without_last_byte(data: bytes) -> bytes:
    return data[:-1]


DIALECTS = (
    Dialect("gbk", "`msg` comes in GBK, not in UTF-8", "`msg` 为 GBK 编码", encoding="gb18030"),
    Dialect(
        "short-content-length",
        "`Content-Length` counts letters, not bytes",
        "`Content-Length` 按字符数而非字节数计算",
        counts_letters=True,
    ),
    Dialect(
        "cut",
        "The last byte of each answer is missing",
        "每个应答缺少最后一个字节",
        data=_without_last_byte,
    ),
    Dialect("code-number", "`code` is a number: `1000`", "`code` 为数字：`1000`", _code(int)),
    Dialect(
        "code-double", "`code` is a double: `1000.0`", "`code` 为浮点数：`1000.0`", _code(float)
    ),
    Dialect(
        "code-padded",
        "`code` is a text with blanks around it",
        "`code` 前后带空格",
        _code(lambda code: f" {code} "),
    ),
    Dialect("tail-nul", "A NUL follows the object", "对象之后跟一个 NUL 字符", data=d.with_nul),
    Dialect(
        "raw-lf",
        "`msg` ends with a raw CR LF",
        "`msg` 以原始回车换行结尾",
        lambda message, _: message | {"msg": f"{message.get('msg')}{d.RAW_CR}{d.RAW_LF}"},
    ),
    Dialect(
        "msg-null",
        "`msg` is null",
        "`msg` 为 null",
        lambda message, _: message | {"msg": None},
    ),
    Dialect(
        "chunked",
        "Answers come in chunks, without `Content-Length`",
        "应答分块传输，无 `Content-Length`",
        in_chunks=True,
    ),
    Dialect(
        "no-white-list",
        "There is no white list: 1000 without `data`",
        "无白名单：1000 且不含 `data`",
        _no_list,
    ),
    Dialect(
        "bom",
        "A byte order mark stands before each answer",
        "每个应答以字节序标记（BOM）开头",
        data=lambda data: b"\xef\xbb\xbf" + data,
    ),
)
