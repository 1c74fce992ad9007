"""The dialects of a cFos Charging Manager: what its firmwares and the devices behind it write."""

from collections.abc import Callable
from typing import Any

from twisted_gantry.twin.dialects import dialect as d

Dialect = d.Dialect

_NEW_PARAMS = (
    *("max_total_current", "reserve_current", "overdraft_cur", "max_total_evse_current"),
    *("cons_evse_power", "avail_evse_power"),
)
# What firmware 2 keeps in the `evse` of a device.
_NESTED = (
    *("total_energy", "cur_charging_power", "charging_enabled", "paused", "pause_time"),
    *("current_l1", "current_l2", "current_l3", "phases", "model", "last_set_charging_cur"),
)
_GARBAGE_WH = 4_294_967_295
_GARBAGE_EVERY = 7  # answers


def _params(message: d.Json, drop: tuple[str, ...], **put: Any) -> d.Json:
    params = message.get("params")
    if not isinstance(params, dict):
        return message
    kept = {key: value for key, value in params.items() if key not in drop}
    return message | {"params": kept | put}


def _devices(change: Callable[[d.Json], d.Json]) -> d.Fields:
    """Change each device of an answer to `get_dev_info`."""

    def fields(message: d.Json, _: int) -> d.Json:
        devices = message.get("devices")
        if not isinstance(devices, list):
            return message
        return message | {"devices": [change(each) for each in devices]}

    return fields


def _is_evse(device: d.Json) -> bool:
    return str(device.get("dev_id", "")).startswith("E")


def _first_generation(device: d.Json) -> d.Json:
    kept = {key: value for key, value in device.items() if key not in ("evse", "ocpp", "attach")}
    if _is_evse(device):
        kept.pop("max_charging_cur", None)
    return kept


def _old(version: str, *drop: str) -> d.Fields:
    def fields(message: d.Json, number: int) -> d.Json:
        message = _devices(_first_generation)(message, number)
        return _params(message, (*_NEW_PARAMS, *drop), version=version)

    return fields


def _nested(device: d.Json) -> d.Json:
    if not _is_evse(device):
        return device
    evse = device.get("evse")
    inner = evse if isinstance(evse, dict) else {}
    moved = {key: device[key] for key in _NESTED if key in device}
    return {k: v for k, v in device.items() if k not in moved} | {"evse": inner | moved}


def _second(message: d.Json, number: int) -> d.Json:
    return _params(_devices(_nested)(message, number), (), version="2.0.1")


def _garbage(message: d.Json, number: int) -> d.Json:
    def change(device: d.Json) -> d.Json:
        garbage = number % _GARBAGE_EVERY == 0 and "import" in device
        return device | {"import": _GARBAGE_WH} if garbage else device

    return _devices(change)(message, number)


def _wrapped(message: d.Json, number: int) -> d.Json:
    def change(device: d.Json) -> d.Json:
        garbage = number % _GARBAGE_EVERY == 0 and "import" in device
        return device | {"import": -872_424_875 + number} if garbage else device

    return _devices(change)(message, number)


def _flags(_: str, value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value


def _evse(**values: Any) -> d.Fields:
    return _devices(lambda device: device | values if _is_evse(device) else device)


def _meter(**values: Any) -> d.Fields:
    return _devices(lambda device: device if _is_evse(device) else device | values)


DIALECTS = (
    Dialect(
        "firmware-1.6",
        "Firmware 1.6: powers in W in place of currents, no `time`, no `evse`",
        "固件 1.6：以瓦表示的功率代替电流，无 `time`、无 `evse`",
        _old("1.6.12", "time"),
    ),
    Dialect(
        "firmware-1.12",
        "Firmware 1.12: powers in W in place of currents, no `evse`",
        "固件 1.12：以瓦表示的功率代替电流，无 `evse`",
        _old("1.12.3"),
    ),
    Dialect(
        "firmware-2",
        "Firmware 2: what an EVSE measures stands in its `evse`",
        "固件 2：充电桩的测量值位于 `evse` 中",
        _second,
    ),
    Dialect(
        "latin-1",
        "Names come in Latin-1, not in UTF-8",
        "名称为 Latin-1 编码，而非 UTF-8",
        _devices(lambda device: device | {"name": f"Zähler {device.get('dev_id')}"}),
        encoding="latin-1",
    ),
    Dialect(
        "nan",
        "The power of each meter is `nan`",
        "各电表的功率为 `nan`",
        _meter(power_w=d.bare("nan"), power=d.bare("nan")),
    ),
    Dialect(
        "raw-cr-lf",
        "`last_error` holds a raw CR LF",
        "`last_error` 中含原始回车换行",
        _devices(lambda device: device | {"last_error": f"timeout{d.RAW_CR}{d.RAW_LF}retry"}),
    ),
    Dialect(
        "energy-garbage",
        "Each seventh answer has 4294967295 Wh in place of a meter's total",
        "每第七次应答以 4294967295 Wh 代替电表总电量",
        _garbage,
    ),
    Dialect(
        "energy-wrapped",
        "Each seventh answer has a negative total",
        "每第七次应答的总电量为负数",
        _wrapped,
    ),
    Dialect(
        "no-limit-set",
        "`last_set_charging_cur` is -1: no current was set yet",
        "`last_set_charging_cur` 为 -1：尚未设定电流",
        _evse(last_set_charging_cur=-1),
    ),
    Dialect("flags", "Flags come as 0 and 1", "标志以 0 和 1 返回", d.in_all(_flags)),
    Dialect("doubles", "Whole numbers come as doubles", "整数以浮点数返回", d.in_all(d.doubles)),
    Dialect("texts", "Numbers come as texts", "数字以文本返回", d.in_all(d.as_text)),
    Dialect("nul-behind", "A NUL follows the object", "对象之后跟一个 NUL 字符", data=d.with_nul),
)
