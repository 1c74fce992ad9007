"""The commands of the platform to `remotecontrol.do`: decoded, checked and encoded.

Source: the ETC document, sections 2.2, 3.2 and 3.3; decisions: `docs/protocols/etc-gantry.md`,
"Commands" and "Meaning". Field names are those of the document.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import IntEnum
from ipaddress import ip_address
from itertools import takewhile
from typing import Any

import msgspec

from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc.envelope import Sentinel, same_id
from twisted_gantry.wire.json import convert
from twisted_gantry.wire.numbers import flag, number, text, whole

FIRST_CABINET = "1"
MAX_ID = 20  # characters of a cabinet's id, as of a gantry's
FREQUENCIES = range(5, 86_401)
"""The range of `setFrequency` in seconds."""
TEMPERATURES = (0.0, 45.0)
"""The lowest and highest set point of an air conditioner in °C."""
SET_POINTS = ("autoRefrigerationTemp", "autoHeatingTemp")
ALL_AIR_CONDITIONERS = "0"
YEARS = range(1970, 3000)
"""The years of times that are read; farther years overflow in some zones."""


class Cmd(IntEnum):
    """The values of `cmd` (section 3.2); version 0.37 removed 7, the push of the white list."""

    POWER_CYCLE = 1
    UNLOCK_DOOR = 2
    AIR_CONDITIONER = 3
    AIR_CONDITIONER_TEMPERATURE = 4
    POWER_MODE = 5
    DOOR_GUARD = 6
    RECTIFIER = 8
    BATTERY_TEST = 9
    BATTERY_TEST_RESULT = 10


_Read = Callable[[Any], str | None]
"""Reads the value of a field; returns its text in one spelling, None if it is out of range."""


def _number_in(*values: int) -> _Read:
    def read(given: Any) -> str | None:
        value = None if isinstance(given, bool) else whole(given)
        return str(value) if value in values else None

    return read


def _below(most: int) -> _Read:
    return _number_in(*range(most))


def _flag(given: Any) -> str | None:
    value = flag(given)
    return None if value is None else str(int(value))


def _degrees(given: Any) -> str | None:
    value = None if isinstance(given, bool) else number(given)
    return None if value is None or abs(value) >= 1000 else f"{value:.3f}".rstrip("0").rstrip(".")


def _host(given: Any) -> str | None:
    host = text(given) or ""
    return host if re.fullmatch(r"[^\s]{1,64}", host) else None


def _port(given: Any) -> str | None:
    value = None if isinstance(given, bool) else whole(given)
    return str(value) if value is not None and 0 < value < 65_536 else None


# The fields of each cmd except `cabinetId`.
_FIELDS: dict[Cmd, dict[str, _Read]] = {
    Cmd.POWER_CYCLE: {"rebootIp": _host, "rebootPort": _port},
    Cmd.UNLOCK_DOOR: {"unlockDoorId": _number_in(1, 2)},
    Cmd.AIR_CONDITIONER: {"airId": _below(100), "airOperate": _number_in(1, 2)},
    Cmd.AIR_CONDITIONER_TEMPERATURE: {
        "airId": _below(100),
        **dict.fromkeys(SET_POINTS, _degrees),
    },
    Cmd.POWER_MODE: {"mode": _below(4)},
    Cmd.DOOR_GUARD: {"isDoorDefend": _flag},
    Cmd.RECTIFIER: {"onOff": _flag},
    Cmd.BATTERY_TEST: {"testStartStop": _flag},
    Cmd.BATTERY_TEST_RESULT: {},
}
# What a field is that may be missing; of the set points one is needed.
_DEFAULTS = {"airId": ALL_AIR_CONDITIONERS}
_COMMON = ("updateNow", "setServer", "setFrequency", "cmd", "cabinetId")
KNOWN_FIELDS = frozenset(_COMMON).union(*_FIELDS.values())
# Without these a command has a wider effect: an empty one is not the same as a missing one.
_NARROWING = ("cabinetId", "airId")
# Without `cabinetId` these address every cabinet of the gantry.
_ALL_CABINETS = frozenset({Cmd.POWER_CYCLE, Cmd.POWER_MODE, Cmd.DOOR_GUARD})
_SERVER = re.compile(
    r"(https?://)?"
    r"([A-Za-z0-9][A-Za-z0-9._-]{0,252}|\[(?P<v6>[0-9A-Fa-f:.]{2,45})\])"
    r"(:(?P<port>[0-9]{1,5}))?"
    r"/[A-Za-z0-9._~%!$&'()*+,;=:/-]{1,200}",
    re.IGNORECASE | re.ASCII,  # without ASCII, U+017F matches s
)


@dataclass(frozen=True)
class EtcCommand:
    """One `cmd` with its checked fields, all text as in the document. `cabinet_id` None addresses
    all cabinets. A power cycle has none: a relay is in no cabinet.
    """

    cmd: Cmd
    cabinet_id: str | None
    fields: dict[str, str]


@dataclass(frozen=True)
class EtcControl:
    """The wishes of one request in the order of execution. `set_server` is as received;
    `set_frequency` is seconds.
    """

    set_server: str | None = None
    set_frequency: int | None = None
    command: EtcCommand | None = None
    update_now: bool = False


def decode_control(fields: Any, *, cabinet: bool) -> EtcControl:
    """Read and check a `computerControl`, or with `cabinet` a `cabinetControl`. An unknown field is
    ignored, unless it is one letter off a known one: that is a damaged command. Raises BadMessage,
    which names the field.
    """
    if not isinstance(fields, dict):
        raise BadMessage("the control is no object")
    _check_names(fields)
    given = {key: fields[key] for key in KNOWN_FIELDS if not _is_empty(fields.get(key))}
    update = flag(given["updateNow"]) if "updateNow" in given else None
    if "updateNow" in given and not update:
        raise BadMessage("updateNow is not 1")
    server = given.get("setServer")
    if server is not None:
        server = server.strip() if isinstance(server, str) else ""
        server_url(server, "http")
    command = None
    if cabinet and "cmd" in given:
        for key in _NARROWING:
            if key not in given and fields.get(key) is not None:
                raise BadMessage(f"{key} is empty")
        command = _command(given)
    control = EtcControl(server, _frequency(given), command, bool(update))
    if control == EtcControl():
        raise BadMessage("nothing is asked for")
    return control


def _is_empty(given: Any) -> bool:
    return given is None or (isinstance(given, str) and not given.strip())


def _check_names(fields: dict[str, Any]) -> None:
    """Raise BadMessage for a name that is one letter off a known one."""
    for name in fields.keys() - KNOWN_FIELDS:
        meant = next((known for known in sorted(KNOWN_FIELDS) if _one_off(name, known)), None)
        if meant is not None:
            raise BadMessage(f"{name[:40]!r} is no field; {meant} is one")


def _one_off(name: str, known: str) -> bool:
    """Tell whether a letter was replaced, removed or added, or is a capital."""
    if name.lower() == known.lower():
        return True
    if abs(len(name) - len(known)) > 1:
        return False
    start = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(name, known, strict=False))))
    longer, shorter = sorted((name[start:], known[start:]), key=len, reverse=True)
    return longer[1:] == (shorter[1:] if len(longer) == len(shorter) else shorter)


def _frequency(given: dict[str, Any]) -> int | None:
    if "setFrequency" not in given:
        return None
    return frequency(given["setFrequency"])


def frequency(given: Any) -> int:
    """Return the seconds of a `setFrequency`. Raises BadMessage."""
    seconds = None if isinstance(given, bool) else whole(given)
    if seconds is None or seconds not in FREQUENCIES:
        raise BadMessage(f"setFrequency is not {FREQUENCIES[0]} to {FREQUENCIES[-1]} s")
    return seconds


_CMDS = {each.value: each for each in Cmd}


def _command(given: dict[str, Any]) -> EtcCommand:
    cmd = None if isinstance(given["cmd"], bool) else _CMDS.get(whole(given["cmd"]) or 0)
    if cmd is None:
        raise BadMessage(f"cmd {(text(given['cmd']) or '?')[:10]!r} is unknown")
    fields = {}
    for name, read in _FIELDS[cmd].items():
        if name not in given:
            if name in _DEFAULTS:
                fields[name] = _DEFAULTS[name]
            elif name not in SET_POINTS:
                raise BadMessage(f"cmd {cmd.value} needs {name}")
            continue
        value = read(given[name])
        if value is None:
            raise BadMessage(f"{name} is out of range")
        fields[name] = value
    if cmd is Cmd.AIR_CONDITIONER_TEMPERATURE:
        points = [fields.get(each) for each in SET_POINTS]
        check_set_points(*(None if each is None else float(each) for each in points))
    if cmd is Cmd.POWER_CYCLE:
        return EtcCommand(cmd, None, fields)
    default = None if cmd in _ALL_CABINETS else FIRST_CABINET
    return EtcCommand(cmd, _cabinet_id(given, default), fields)


def _cabinet_id(given: dict[str, Any], default: str | None) -> str | None:
    if "cabinetId" not in given:
        return default
    cabinet_id = same_id(given["cabinetId"])
    if cabinet_id is None or len(cabinet_id) > MAX_ID:
        raise BadMessage("cabinetId is out of range")
    return cabinet_id


def check_set_points(cool_above: float | None, heat_below: float | None) -> None:
    """Check the set points of an air conditioner in °C, of which one may be missing. Raises
    BadMessage.
    """
    low, high = TEMPERATURES
    given = [each for each in (cool_above, heat_below) if each is not None]
    if not given:
        raise BadMessage(f"cmd 4 needs {' or '.join(SET_POINTS)}")
    if not all(low <= each <= high for each in given):
        raise BadMessage(f"a set point is not {low:g} to {high:g} degrees")
    if cool_above is not None and heat_below is not None and heat_below >= cool_above:
        raise BadMessage("autoHeatingTemp is not below autoRefrigerationTemp")


def encode_control(control: EtcControl) -> dict[str, str]:
    fields: dict[str, str] = {}
    if control.set_server is not None:
        fields["setServer"] = control.set_server
    if control.set_frequency is not None:
        fields["setFrequency"] = str(control.set_frequency)
    if control.command is not None:
        fields["cmd"] = str(control.command.cmd.value)
        if control.command.cabinet_id is not None:
            fields["cabinetId"] = control.command.cabinet_id
        fields |= control.command.fields
    if control.update_now:
        fields["updateNow"] = "1"
    return fields


def server_url(text: str, scheme: str) -> str:
    """Return the URL of `[scheme://]host[:port]/path`, by default `scheme`. Raises BadMessage."""
    match = _SERVER.fullmatch(text)
    good = match is not None and 0 < int(match["port"] or 80) < 65_536
    if match is None or not good or not _is_address(match["v6"] or "::"):
        raise BadMessage("setServer is no [scheme://]host[:port]/path")
    return text if match[1] else f"{scheme}://{text}"


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


# -- the result of a battery test (section 3.2.3)


class BatteryTestResult(msgspec.Struct, frozen=True, rename="camel"):
    """The `batterysTestResult`: each a value or a Sentinel, all text. `test_start_time` `yyyy-MM-dd
    hh:mm:ss.zzz`; `test_result` 1 none, 2 good, 3 slightly, 4 badly abnormal; `efficiency` %,
    `discharge_time` h, `discharge_end_voltage` V, `discharge_av_current` A, `discharge_ah_current`
    Ah, `test_temperature` °C; `test_end_course` 1 end voltage, 2 end time, 3 alarm, 4 by hand, 5
    fault alarm, 6 charge too low, 7 temperature too low, 255 other.
    """

    test_start_time: str
    test_result: str
    efficiency: str
    discharge_time: str
    discharge_end_voltage: str
    discharge_av_current: str
    discharge_ah_current: str
    test_temperature: str
    test_end_course: str


_LONGEST_RESULT = 40  # characters of a value


def decode_battery_result(fields: Any) -> BatteryTestResult:
    """Read a `batterysTestResult`; missing fields become NoData. Raises BadMessage."""
    if not isinstance(fields, dict):
        raise BadMessage("batterysTestResult is no object")
    keys = [each.encode_name for each in msgspec.structs.fields(BatteryTestResult)]
    texts = {key: text(fields.get(key)) or Sentinel.NO_DATA.value for key in keys}
    return convert({key: each[:_LONGEST_RESULT] for key, each in texts.items()}, BatteryTestResult)


# -- pictures (section 3.3)


@dataclass(frozen=True)
class PictureRequest:
    """The wanted picture: the cabinet, and when its door opened (Unix seconds)."""

    cabinet_id: str
    door_open_time: float


def decode_picture_request(fields: Any, zone: tzinfo) -> PictureRequest:
    """Read a `getCabinetImageVedio` with times in `zone`. Raises BadMessage."""
    if not isinstance(fields, dict):
        raise BadMessage("getCabinetImageVedio is no object")
    given = {key: each for key, each in fields.items() if not _is_empty(each)}
    cabinet_id = _cabinet_id(given, FIRST_CABINET) or FIRST_CABINET
    opened = given.get("doorOpenTime")
    moment = parse_local_time(opened.strip() if isinstance(opened, str) else "", zone)
    return PictureRequest(cabinet_id, moment)


def parse_local_time(text: str, zone: tzinfo) -> float:
    """Return the Unix seconds of `yyyy-MM-dd hh:mm:ss[.zzz]` in `zone`. Raises BadMessage."""
    form = r"([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,3})?"
    match = re.fullmatch(form, text)
    if match is None or int(text[:4]) not in YEARS:
        raise BadMessage("a time that is not yyyy-MM-dd hh:mm:ss.zzz")
    try:
        moment = datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=zone)
        seconds = moment.timestamp()
    except (ValueError, OverflowError):
        raise BadMessage("a time that does not exist") from None
    return seconds + int((match[2] or ".0")[1:].ljust(3, "0")) / 1000


def file_time(moment: float, zone: tzinfo) -> str:
    """Write Unix seconds as `yyyyMMddhhmmsszzz`, for names of pictures."""
    # Round to milliseconds first: cutting a float just below one loses a millisecond.
    whole = datetime.fromtimestamp(round(moment * 1000) // 1000, zone)
    return whole.strftime("%Y%m%d%H%M%S") + f"{round(moment * 1000) % 1000:03d}"
