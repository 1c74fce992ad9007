"""The dialects of a Fogslink cloud: how it ends its lines and writes its numbers.

The cloud knows accounts and codes as texts; one that writes numbers writes each without quotes.
"""

from typing import Any

from twisted_gantry.twin.dialects import dialect as d

Dialect = d.Dialect

# The answer to a heartbeat of another device: a second object on the line.
_STRANGER = b'{"res100":{"eqSN":"0","code":"0"}}'


def _number(_: str, value: Any) -> Any:
    plain = isinstance(value, str) and value.isascii() and value.isdigit()
    return int(value) if plain and (value == "0" or not value.startswith("0")) else value


def _double(key: str, value: Any) -> Any:
    number = _number(key, value)
    return float(number) if isinstance(number, int) and number < 2**53 else value


def _line(data: bytes) -> bytes:
    return data.removesuffix(b"\n")


DIALECTS = (
    Dialect(
        "glued",
        "Another object stands before each answer on the same line",
        "同一行中每个应答之前还有另一个对象",
        data=lambda data: _STRANGER + data,
    ),
    Dialect("no-lf", "No LF ends an answer", "应答末尾没有换行符", data=_line),
    Dialect(
        "cr-lf",
        "CR LF ends each answer",
        "每个应答以 CR LF 结尾",
        data=lambda data: _line(data) + b"\r\n",
    ),
    Dialect("nul", "A NUL stands before the LF", "换行符之前有一个 NUL 字符", data=d.with_nul),
    Dialect(
        "nul-alone",
        "A NUL ends each answer in place of the LF",
        "每个应答以 NUL 代替换行符结尾",
        data=lambda data: _line(data) + b"\0",
    ),
    Dialect("numbers", "Digits come as numbers, not as texts", "数字不加引号", d.in_all(_number)),
    Dialect("doubles", "Digits come as doubles", "数字以浮点数返回", d.in_all(_double)),
)
