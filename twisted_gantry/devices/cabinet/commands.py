"""Executes the commands of a smart cabinet; none is repeated when its answer is lost.

Arguments carry the document's names. Source: the ETC document, section 3.2.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from attrs import define

from twisted_gantry.core.commands.types import (
    Argument,
    CommandResult,
    CommandType,
    Endangers,
    Outcome,
)
from twisted_gantry.core.interfaces import NotTold, Picture
from twisted_gantry.devices.cabinet.channel import (
    TROUBLE,
    CabinetChannel,
    TurnedDown,
    code_of,
)
from twisted_gantry.net.http.client import NoAnswer, NotConnected
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc import commands as etc
from twisted_gantry.wire.etc.envelope import Answer, EtcCode, number

UPDATE_NOW, POWER_MODE_COMMAND = "update-now", "power-mode"
SET_FREQUENCY, SET_SERVER = "set-frequency", "set-server"

_AIR_ID = Argument(longest=2, required=False)
_OFF_ON = Argument(choices=("0", "1"))
_ACCESS, _DEVICE, _POWER = Endangers.ACCESS, Endangers.DEVICE, Endangers.POWER
_TEST_EN = "puts the load on the battery: if the battery or the mains fails now, the gantry darkens"
_TEST_ZH = "使负载转由电池供电：此时电池有故障或市电中断，门架会断电"

COMMANDS: Mapping[str, CommandType] = {
    "unlock-door": CommandType(
        {"unlockDoorId": Argument(choices=("1", "2"), subject=True)},
        "unlock a door: 1 front, 2 back",
        "远程解锁机柜门（1前门，2后门）",
        endangers=_ACCESS,
        danger="opens the cabinet to anybody who stands before it",
        danger_zh="会打开机柜门，任何人都可接触柜内设备",
    ),
    "air-conditioner": CommandType(
        {"airId": _AIR_ID, "airOperate": Argument(choices=("1", "2"))},
        "air conditioner, airId 0 or none for all: 1 run, 2 standby",
        "开关空调（airId为0或不填表示所有空调；1运行，2待机）",
        about="air",
        endangers=_DEVICE,
        danger="decides on the cooling: in standby the equipment may overheat",
        danger_zh="会改变机柜散热：空调待机时设备可能过热",
    ),
    "air-conditioner-temperature": CommandType(
        {"airId": _AIR_ID, **dict.fromkeys(etc.SET_POINTS, Argument(float, required=False))},
        "air conditioner, airId 0 or none for all: cool above, heat below (°C), one or both",
        "调节空调温度（airId为0或不填表示所有空调；高于制冷，低于制热，℃，可只填一个）",
        endangers=_DEVICE,
        danger="decides on the cooling: with a wrong bound the equipment may overheat or freeze",
        danger_zh="会改变机柜温控：设定不当时设备可能过热或过冷",
    ),
    POWER_MODE_COMMAND: CommandType(
        {"mode": Argument(choices=("0", "1", "2", "3"))},
        "power mode: 0 nothing off, 1 air conditioners off, 2 also the rear plate readers, "
        "3 also the rear antennas; 2 and 3 stop tolling equipment",
        "设置电源模式（0不关闭，1关闭空调，2再关闭后排牌识，3再关闭后排天线；2和3会停收费设备）",
        about="air",
        endangers=Endangers.TOLLING,
        danger="switches equipment off or on; 2 and 3 stop toll equipment at once",
        danger_zh="会立即关闭或恢复设备供电：模式2和3会停收费设备",
    ),
    "door-guard": CommandType(
        {"isDoorDefend": _OFF_ON},
        "door guard: 0 disarm, 1 arm",
        "门禁布防（0撤防，1布防）",
        endangers=_ACCESS,
        danger="arms or disarms the doors: disarmed, a break-in raises no alarm",
        danger_zh="会改变门禁布防：撤防后非法开门不再报警",
    ),
    "rectifier": CommandType(
        {"onOff": _OFF_ON},
        "all rectifiers of the cabinet: 0 off, which leaves the load on the battery, 1 on",
        "整流模块开关机（全部；0关闭，负载转由电池供电，1打开）",
        endangers=_POWER,
        danger="switches the supply of the load: off, the gantry darkens once the battery is empty",
        danger_zh="会切换负载供电：关闭后由电池供电，电池耗尽门架断电",
    ),
    "battery-test": CommandType(
        {"testStartStop": _OFF_ON},
        "battery test: 0 stop, 1 start",
        "电池测试（0结束，1开始）",
        once=True,
        endangers=_POWER,
        danger=_TEST_EN,
        danger_zh=_TEST_ZH,
    ),
    SET_FREQUENCY: CommandType(
        {"setFrequency": Argument(int)},
        "report every so many seconds, 5 to 86400",
        "设置上报周期（秒，5至86400）",
        endangers=_DEVICE,
        danger="decides how often the cabinet reports: faults may go unseen until the next report",
        danger_zh="会改变机柜上报周期：两次上报之间的故障可能无法及时发现",
    ),
    SET_SERVER: CommandType(
        {"setServer": Argument(longest=300)},
        "upload to this server, [scheme://]host[:port]/path, from now on",
        "设置上报服务器（[协议://]主机[:端口]/路径）",
        danger="sends the uploads of the cabinet to another server",
        danger_zh="使机柜改向其他服务器上报",
        endangers=_DEVICE,
        local_only=True,
    ),
    UPDATE_NOW: CommandType({}, "report at once", "马上上报状态"),
}

_CMDS = {each.name.lower().replace("_", "-"): each for each in etc.Cmd}
# The document gives these no `cabinetId`.
_WHOLE_GANTRY = frozenset({etc.Cmd.POWER_MODE, etc.Cmd.DOOR_GUARD})


def control_of(command: str, args: Mapping[str, Any], cabinet_id: str) -> etc.EtcControl:
    """Return the message for a command whose arguments fit its type. Raises BadMessage."""
    if command == UPDATE_NOW:
        return etc.EtcControl(update_now=True)
    if command == SET_FREQUENCY:
        return etc.EtcControl(set_frequency=etc.frequency(args["setFrequency"]))
    if command == SET_SERVER:
        etc.server_url(args["setServer"], "http")
        return etc.EtcControl(set_server=args["setServer"])
    cmd = _CMDS[command]
    fields = {name: each if isinstance(each, str) else number(each) for name, each in args.items()}
    if "airId" in COMMANDS[command].arguments:
        air_id = fields.setdefault("airId", etc.ALL_AIR_CONDITIONERS)
        if not (air_id.isascii() and air_id.isdigit()):
            raise BadMessage("airId is no number")
    if cmd is etc.Cmd.AIR_CONDITIONER_TEMPERATURE:
        points = [fields.get(each) for each in etc.SET_POINTS]
        etc.check_set_points(*(None if each is None else float(each) for each in points))
    addressed = None if cmd in _WHOLE_GANTRY else cabinet_id
    return etc.EtcControl(command=etc.EtcCommand(cmd, addressed, fields))


@define(eq=False)
class CabinetCommands:
    """Executes commands. `answered` is told of each answer, `period_set` of the seconds that the
    cabinet took with `set-frequency`; `look_again` asks for an upload.
    """

    _channel: CabinetChannel
    _cabinet_id: str
    _answered: Callable[[Answer], None]
    _look_again: Callable[[], None]
    _period_set: Callable[[float], None]

    async def execute(self, command: str, args: Mapping[str, Any]) -> CommandResult:
        try:
            control = control_of(command, args, self._cabinet_id)
        except BadMessage as error:
            return CommandResult(Outcome.REFUSED, str(error))
        try:
            answer = await self._channel.tell(control)
        except TurnedDown as error:
            return CommandResult(Outcome.FAILED, str(error))
        except NotConnected as error:
            return CommandResult(Outcome.FAILED, f"not sent: {error}")
        except NoAnswer as error:
            # The outcome is unknown, so the command is not repeated.
            return CommandResult(Outcome.TIMEOUT, f"{error}; the next upload shows what happened")
        finally:
            if command != UPDATE_NOW:
                self._look_again()
        self._answered(answer)
        if code_of(answer) is EtcCode.SUCCESS:
            if control.set_frequency is not None:
                self._period_set(control.set_frequency)
            return CommandResult(Outcome.DONE)
        return CommandResult(Outcome.FAILED, f"the cabinet answers {self._channel.words(answer)}")

    async def picture(self, opened: str) -> Picture | None:
        """Return the picture of a door that opened at `opened`. Raises NotTold."""
        try:
            answer = await self._channel.ask_picture(self._cabinet_id, opened)
        except TROUBLE as error:
            raise NotTold(str(error)) from None
        if isinstance(answer, Picture):
            return answer
        self._answered(answer)
        if code_of(answer) is EtcCode.NO_PICTURE:
            return None
        raise NotTold(f"the cabinet answers {self._channel.words(answer)}")

    async def battery_test_result(self) -> Mapping[str, str]:
        """Return the result of the last battery test. Raises NotTold."""
        question = etc.EtcCommand(etc.Cmd.BATTERY_TEST_RESULT, self._cabinet_id, {})
        try:
            answer = await self._channel.tell(etc.EtcControl(command=question))
        except TROUBLE as error:
            raise NotTold(str(error)) from None
        self._answered(answer)
        if code_of(answer) is not EtcCode.SUCCESS:
            raise NotTold(f"the cabinet answers {self._channel.words(answer)}")
        try:
            result = etc.decode_battery_result(answer.batterys_test_result)
        except BadMessage as error:
            raise NotTold(str(error)) from None
        fields: dict[str, str] = msgspec.to_builtins(result)
        return fields
