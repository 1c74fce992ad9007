"""The commands of the platform to `remotecontrol.do`: decoded, checked and encoded.

Source: the ETC document, sections 2.2, 3.2 and 3.3; decisions: `docs/protocols/etc-gantry.md`,
"Commands" and "Meaning". Field names are those of the document.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import IntEnum
from ipaddress import ip_address
from typing import Any

import msgspec

from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc.envelope import Sentinel
from twisted_gantry.wire.json import convert

FIRST_CABINET = "1"
MAX_ID = 20  # characters of a cabinet's id, as of a gantry's
FREQUENCIES = range(5, 86_401)
"""The range of `setFrequency` in seconds."""
TEMPERATURES = (0.0, 45.0)
"""The lowest and highest set point of an air conditioner in °C."""
SET_POINTS = ("autoRefrigerationTemp", "autoHeatingTemp")
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


# The fields of each cmd except `cabinetId`, and their patterns.
_DIGITS = r"[0-9]{1,5}"
_DEGREES = r"-?[0-9]{1,3}(\.[0-9]{1,3})?"
_AIR_ID = r"0|[1-9][0-9]?"
_FIELDS: dict[Cmd, dict[str, str]] = {
    Cmd.POWER_CYCLE: {"rebootIp": r"[^\s]{1,64}", "rebootPort": _DIGITS},
    Cmd.UNLOCK_DOOR: {"unlockDoorId": "[12]"},
    Cmd.AIR_CONDITIONER: {"airId": _AIR_ID, "airOperate": "[12]"},
    Cmd.AIR_CONDITIONER_TEMPERATURE: {"airId": _AIR_ID, **dict.fromkeys(SET_POINTS, _DEGREES)},
    Cmd.POWER_MODE: {"mode": "[0-3]"},
    Cmd.DOOR_GUARD: {"isDoorDefend": "[01]"},
    Cmd.RECTIFIER: {"onOff": "[01]"},
    Cmd.BATTERY_TEST: {"testStartStop": "[01]"},
    Cmd.BATTERY_TEST_RESULT: {},
}
_COMMON = ("updateNow", "setServer", "setFrequency", "cmd", "cabinetId")
_KNOWN = frozenset(_COMMON).union(*_FIELDS.values())
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
    """Read and check a `computerControl`, or with `cabinet` a `cabinetControl`. An empty field
    counts as missing, an unknown one is ignored. Raises BadMessage, which names the field.
    """
    if not isinstance(fields, dict):
        raise BadMessage("the control is no object")
    given = _given(fields, _KNOWN)
    update = given.get("updateNow")
    if update not in (None, "1"):
        raise BadMessage("updateNow is not 1")
    server = given.get("setServer")
    if server is not None:
        server_url(server, "http")
    command = _command(given) if cabinet else None
    control = EtcControl(server, _frequency(given), command, update is not None)
    if control == EtcControl():
        raise BadMessage("nothing is asked for")
    return control


def _given(fields: dict[str, Any], keys: Iterable[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for key in keys:
        value = fields.get(key)
        if value is None:
            continue
        if not isinstance(value, str):
            raise BadMessage(f"{key} is no text")
        if value.strip():
            given[key] = value.strip()
    return given


def _frequency(given: dict[str, str]) -> int | None:
    text = given.get("setFrequency")
    if text is None:
        return None
    if not (re.fullmatch(_DIGITS, text) and int(text) in FREQUENCIES):
        raise BadMessage(f"setFrequency is not {FREQUENCIES[0]} to {FREQUENCIES[-1]} s")
    return int(text)


def _command(given: dict[str, str]) -> EtcCommand | None:
    text = given.get("cmd")
    if text is None:
        return None
    known = {str(each.value): each for each in Cmd}
    if text not in known:
        raise BadMessage(f"cmd {text[:10]!r} is unknown")
    cmd = known[text]
    fields = {}
    for name, form in _FIELDS[cmd].items():
        if name not in given:
            raise BadMessage(f"cmd {text} needs {name}")
        if not re.fullmatch(form, given[name]):
            raise BadMessage(f"{name} is out of range")
        fields[name] = given[name]
    if cmd is Cmd.POWER_CYCLE and not 0 < int(fields["rebootPort"]) < 65_536:
        raise BadMessage("rebootPort is out of range")
    if cmd is Cmd.AIR_CONDITIONER_TEMPERATURE:
        check_set_points(*(float(fields[each]) for each in SET_POINTS))
    if cmd is Cmd.POWER_CYCLE:
        return EtcCommand(cmd, None, fields)
    default = None if cmd in _ALL_CABINETS else FIRST_CABINET
    return EtcCommand(cmd, _cabinet_id(given, default), fields)


def _cabinet_id(given: dict[str, str], default: str | None) -> str | None:
    cabinet_id = given.get("cabinetId", default)
    if cabinet_id is not None and len(cabinet_id) > MAX_ID:
        raise BadMessage("cabinetId is out of range")
    return cabinet_id


def check_set_points(cool_above: float, heat_below: float) -> None:
    """Check the two set points of an air conditioner, in °C. Raises BadMessage."""
    low, high = TEMPERATURES
    if not (low <= heat_below <= high and low <= cool_above <= high):
        raise BadMessage(f"a set point is not {low:g} to {high:g} degrees")
    if heat_below >= cool_above:
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
    """Read a `batterysTestResult` of texts; missing fields become NoData. Raises BadMessage."""
    if not isinstance(fields, dict):
        raise BadMessage("batterysTestResult is no object")
    missing = Sentinel.NO_DATA.value
    given = {key: each for key, each in fields.items() if isinstance(each, str) and each.strip()}
    keys = [each.encode_name for each in msgspec.structs.fields(BatteryTestResult)]
    texts = {key: given.get(key, missing).strip()[:_LONGEST_RESULT] for key in keys}
    return convert(texts, BatteryTestResult)


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
    given = _given(fields, ("cabinetId", "doorOpenTime"))
    cabinet_id = _cabinet_id(given, FIRST_CABINET) or FIRST_CABINET
    return PictureRequest(cabinet_id, parse_local_time(given.get("doorOpenTime", ""), zone))


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
