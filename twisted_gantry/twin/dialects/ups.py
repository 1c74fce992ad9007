"""The dialects of a UPS card: what a Megatec behind the card writes, and small JSON writers."""

from collections.abc import Callable

from twisted_gantry.twin.dialects import dialect as d
from twisted_gantry.wire.upscard.values import LIVE_UNITS, RATED_UNITS

Dialect = d.Dialect
_LIVE, _RATED = tuple(LIVE_UNITS), tuple(RATED_UNITS)
_MAINS_BIT = 15 - 7  # the place of b7 in the status word
_SQUARE_ROOT_OF_3 = 3**0.5


def _value(change: Callable[[str], str], *commands: str) -> d.Fields:
    """Change the `value` of a reply, or of the replies to `commands`."""

    def fields(message: d.Json, _: int) -> d.Json:
        asked = str(message.get("cmd", "")).removesuffix("()")
        if "value" not in message or (commands and asked not in commands):
            return message
        return message | {"value": change(str(message["value"]))}

    return fields


def _tokens(change: Callable[[list[str]], None], command: str) -> d.Fields:
    """Change the fields of a value, which is one of `command`."""

    def changed(value: str) -> str:
        tokens = value.removeprefix("(").split(" ")
        change(tokens)
        return "(" + " ".join(tokens)

    return _value(changed, command)


def _both(*changes: d.Fields) -> d.Fields:
    def fields(message: d.Json, number: int) -> d.Json:
        for change in changes:
            message = change(message, number)
        return message

    return fields


def _put(names: tuple[str, ...], **values: str) -> Callable[[list[str]], None]:
    def change(tokens: list[str]) -> None:
        for name, value in values.items():
            tokens[names.index(name)] = value

    return change


def _without(key: str) -> d.Fields:
    def fields(message: d.Json, _: int) -> d.Json:
        return {name: value for name, value in message.items() if name != key}

    return fields


def _session(write: Callable[[str], object]) -> d.Fields:
    def fields(message: d.Json, _: int) -> d.Json:
        session = str(message.get("session", ""))
        return message | {"session": write(session)} if session.isdigit() else message

    return fields


def _no_mains_bit(tokens: list[str]) -> None:
    word = tokens[-1]
    tokens[-1] = f"{word[:_MAINS_BIT]}0{word[_MAINS_BIT + 1 :]}"


def _line_to_line(tokens: list[str]) -> None:
    at = _RATED.index("rated_input_voltage")
    tokens[at] = f"{float(tokens[at]) * _SQUARE_ROOT_OF_3:.0f}"


def _one_nan(message: d.Json, number: int) -> d.Json:
    put = _put(_LIVE, temperature=("nan", "1.#QNAN", "1e999")[number % 3])
    return _tokens(put, "QAD")(message, number)


_ONE_PHASE = {
    **dict.fromkeys(("input_voltage_s", "input_voltage_t"), "0.0"),
    **dict.fromkeys(("output_voltage_s", "output_voltage_t"), "0.0"),
    **dict.fromkeys(("output_current_s", "output_current_t"), "0.0"),
}
_NO_GAUGE = {"battery_runtime": "65535", "battery_charge": "255", "temperature": "255.0"}
_SLOW_S = 2.5  # below the time limit of a reply

DIALECTS = (
    Dialect(
        "cr-terminated",
        "Each value ends with a raw CR, as Megatec ends its replies",
        "每个值以原始回车符（CR）结尾，如 Megatec 应答",
        _value(lambda value: value + d.RAW_CR),
    ),
    Dialect(
        "nul-terminated",
        "Each value ends with a raw NUL",
        "每个值以原始 NUL 字符结尾",
        _value(lambda value: value + d.RAW_NUL),
    ),
    Dialect(
        "gbk-maker",
        "The maker's name comes in GBK, not in UTF-8",
        "厂商名称为 GBK 编码，而非 UTF-8",
        _tokens(_put(_RATED, manufacturer="山特"), "RTD"),
        encoding="gb18030",
    ),
    Dialect(
        "blank-maker",
        "The ratings name no maker and no model: sixteen blanks instead",
        "额定值中厂商和型号为空（十六个空格）",
        _value(lambda value: "(" + " " * 16 + "V6.00 " + " ".join(value.split(" ")[3:]), "RTD"),
    ),
    Dialect("no-uid", "Replies have no `uid`", "应答不含 `uid`", _without("uid")),
    Dialect("no-cmd", "Replies have no `cmd`", "应答不含 `cmd`", _without("cmd")),
    Dialect(
        "session-double",
        "The session comes back as a double: `12345678.0`",
        "会话号以浮点数返回：`12345678.0`",
        _session(float),
    ),
    Dialect(
        "session-padded",
        "The session comes back with blanks around it",
        "会话号前后带空格返回",
        _session(lambda session: f" {session} "),
    ),
    Dialect(
        "nul-behind",
        "A NUL follows each object",
        "每个对象之后跟一个 NUL 字符",
        data=d.with_nul,
    ),
    Dialect(
        "closes-after-reply",
        "The card closes its session after each reply",
        "每次应答后关闭会话",
        closes=True,
    ),
    Dialect("slow", "Each reply takes 2.5 s", "每次应答需要 2.5 秒", delay=_SLOW_S),
    Dialect(
        "sentinels",
        "A card without a battery gauge: 65535 s, 255 % and 255.0 °C",
        "无电池计量：65535 秒、255 %、255.0 °C",
        _tokens(_put(_LIVE, **_NO_GAUGE), "QAD"),
    ),
    Dialect(
        "one-nan",
        "The temperature is `nan`, `1.#QNAN` or `1e999`",
        "温度为 `nan`、`1.#QNAN` 或 `1e999`",
        _one_nan,
    ),
    Dialect(
        "single-phase-zeros",
        "A single-phase UPS (1/1) that shows 0.0 for the phases it does not have",
        "单相 UPS（1/1），对不存在的相显示 0.0",
        _both(
            _tokens(_put(_RATED, phases="1/1"), "RTD"),
            _tokens(_put(_LIVE, **_ONE_PHASE), "QAD"),
        ),
    ),
    Dialect(
        "line-to-line",
        "The rated input voltage is that between two phases",
        "额定输入电压为线电压",
        _tokens(_line_to_line, "RTD"),
    ),
    Dialect(
        "no-mains-bit",
        "The bit for abnormal mains (b7) is never set",
        "市电异常位（b7）从不置位",
        _tokens(_no_mains_bit, "QAD"),
    ),
)
