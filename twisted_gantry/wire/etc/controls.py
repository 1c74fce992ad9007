"""The controls of `remotecontrol.do` by name: what each does, needs and endangers.

Who sends a control takes its words from here: the cabinet driver as a command of a device, the
centre as a command for many gantries. Source: the ETC document, sections 2.2 and 3.2.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from twisted_gantry.wire.etc.commands import SET_POINTS, Cmd, EtcControl

TOLLING, POWER, ACCESS, DEVICE = "tolling", "power", "access", "device"
"""What a control can hurt."""


@dataclass(frozen=True)
class ControlField:
    """A field of a control. `choices`, if any, are its values; a `number` may be written as one.
    `longest` counts characters.
    """

    choices: tuple[str, ...] = ()
    required: bool = True
    number: bool = False
    longest: int = 200


@dataclass(frozen=True)
class ControlType:
    """A control, described in English and Chinese; a predicate `danger` says what follows.

    One that `endangers` something asks for a confirmation; empty if it endangers nothing. `cmd`
    None is a field of its own, as `setFrequency`. `fields` are those beside `cmd` and `cabinetId`.
    """

    cmd: Cmd | None
    en: str
    zh: str
    endangers: str = ""
    danger: str = ""
    danger_zh: str = ""
    fields: Mapping[str, ControlField] = field(default_factory=dict)


_OFF_ON = ControlField(("0", "1"))
_AIR_ID = ControlField(required=False, longest=2)
_SET_POINT = ControlField(required=False, number=True)

UPDATE_NOW, SET_FREQUENCY, SET_SERVER = "update-now", "set-frequency", "set-server"
BATTERY_TEST_RESULT = "battery-test-result"

CONTROLS: Mapping[str, ControlType] = {
    "power-cycle": ControlType(
        Cmd.POWER_CYCLE,
        "power off, a pause, power on",
        "断电重启",
        POWER,
        "cuts the power of the equipment behind the relay, then restores it",
        "会使继电器所接设备断电后再上电",
        {"rebootIp": ControlField(longest=64), "rebootPort": ControlField(number=True)},
    ),
    "unlock-door": ControlType(
        Cmd.UNLOCK_DOOR,
        "unlock a door: 1 front, 2 back",
        "远程解锁机柜门（1前门，2后门）",
        ACCESS,
        "opens the cabinet to anybody who stands before it",
        "会打开机柜门，任何人都可接触柜内设备",
        {"unlockDoorId": ControlField(("1", "2"))},
    ),
    "air-conditioner": ControlType(
        Cmd.AIR_CONDITIONER,
        "air conditioner, airId 0 or none for all: 1 run, 2 standby",
        "开关空调（airId为0或不填表示所有空调；1运行，2待机）",
        DEVICE,
        "decides on the cooling: in standby the equipment may overheat",
        "会改变机柜散热：空调待机时设备可能过热",
        {"airId": _AIR_ID, "airOperate": ControlField(("1", "2"))},
    ),
    "air-conditioner-temperature": ControlType(
        Cmd.AIR_CONDITIONER_TEMPERATURE,
        "set points of an air conditioner, airId 0 or none for all: cool above, heat below (°C), "
        "one or both",
        "调节空调温度（airId为0或不填表示所有空调；高于制冷，低于制热，℃，可只填一个）",
        DEVICE,
        "decides on the cooling: with a wrong bound the equipment may overheat or freeze",
        "会改变机柜温控：设定不当时设备可能过热或过冷",
        {"airId": _AIR_ID, **dict.fromkeys(SET_POINTS, _SET_POINT)},
    ),
    "power-mode": ControlType(
        Cmd.POWER_MODE,
        "power mode: 0 nothing off, 1 air conditioners off, 2 also the rear plate readers, "
        "3 also the rear antennas; 2 and 3 stop tolling equipment",
        "设置电源模式（0不关闭，1关闭空调，2再关闭后排牌识，3再关闭后排天线；2和3会停收费设备）",
        TOLLING,
        "switches equipment off or on; 2 and 3 stop toll equipment at once",
        "会立即关闭或恢复设备供电：模式2和3会停收费设备",
        {"mode": ControlField(("0", "1", "2", "3"))},
    ),
    "door-guard": ControlType(
        Cmd.DOOR_GUARD,
        "door guard: 0 disarm, 1 arm",
        "门禁布防（0撤防，1布防）",
        ACCESS,
        "arms or disarms the doors: disarmed, a break-in raises no alarm",
        "会改变门禁布防：撤防后非法开门不再报警",
        {"isDoorDefend": _OFF_ON},
    ),
    "rectifier": ControlType(
        Cmd.RECTIFIER,
        "all rectifiers of the cabinet: 0 off, which leaves the load on the battery, 1 on",
        "整流模块开关机（全部；0关闭，负载转由电池供电，1打开）",
        POWER,
        "switches the supply of the load: off, the gantry darkens once the battery is empty",
        "会切换负载供电：关闭后由电池供电，电池耗尽门架断电",
        {"onOff": _OFF_ON},
    ),
    "battery-test": ControlType(
        Cmd.BATTERY_TEST,
        "battery test: 0 stop, 1 start",
        "电池测试（0结束，1开始）",
        POWER,
        "puts the load on the battery: if the battery or the mains fails now, the gantry darkens",
        "使负载转由电池供电：此时电池有故障或市电中断，门架会断电",
        {"testStartStop": _OFF_ON},
    ),
    BATTERY_TEST_RESULT: ControlType(
        Cmd.BATTERY_TEST_RESULT, "the result of the last battery test", "查询上次电池测试结果"
    ),
    SET_FREQUENCY: ControlType(
        None,
        "report every so many seconds, 5 to 86400",
        "设置上报周期（秒，5至86400）",
        DEVICE,
        "decides how often the cabinet reports: faults may go unseen until the next report",
        "会改变机柜上报周期：两次上报之间的故障可能无法及时发现",
        {"setFrequency": ControlField(number=True)},
    ),
    SET_SERVER: ControlType(
        None,
        "upload to this server, [scheme://]host[:port]/path, from now on",
        "设置上报服务器（[协议://]主机[:端口]/路径）",
        DEVICE,
        "sends the uploads of the cabinet to another server",
        "使机柜改向其他服务器上报",
        {"setServer": ControlField(longest=300)},
    ),
    UPDATE_NOW: ControlType(None, "report at once", "马上上报状态"),
}

NAMES: Mapping[Cmd, str] = {each.cmd: name for name, each in CONTROLS.items() if each.cmd}


def names_of(control: EtcControl) -> tuple[str, ...]:
    """Return the names of all that one request does, in the order of execution."""
    names = [
        (control.set_server is not None, SET_SERVER),
        (control.set_frequency is not None, SET_FREQUENCY),
        (control.command is not None, NAMES[control.command.cmd] if control.command else ""),
        (control.update_now, UPDATE_NOW),
    ]
    return tuple(name for given, name in names if given)
